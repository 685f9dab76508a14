"""A pull of numbered rows into a folder of parts, and what its files must contain."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.parts import PartFolder, Resumed
from airflow_provider_oauth.extract.progress import MANIFEST, PROGRESS, RunName
from airflow_provider_oauth.extract.writers.file_format import file_format
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_oauth.protocol.clock import Clock

RUN = RunName("my_dag", "manual__2026", "my_task")
#: Each page has two rows, and a part is closed after three rows, so a part has two pages. The last part has one page.
PAGES = 5
PAGE_ROWS = 2
PART_ROWS = 3
ROWS = list(range(PAGES * PAGE_ROWS))
SUMMARY = {"started": "2026-01-01T00:00:00+00:00", "ended": "2026-01-01T00:01:00+00:00", "pages": PAGES}
CLOCK = FakeClock()


def part_folder(
    target: ObjectStoragePath,
    attempt: str = "1-aaaaaa",
    *,
    run: RunName = RUN,
    fingerprint: str = "request",
    suffix: str = ".jsonl",
    columns: Any = None,
    part_rows: int = PART_ROWS,
    part_bytes: int = 1_000_000,
    resume_within: timedelta = timedelta(days=1),
    clock: Clock = CLOCK,
    private: bool = False,
) -> PartFolder:
    """Return a folder of parts for an attempt."""
    chosen = file_format("my_api", f"part{suffix}", columns=columns, extra_columns="error", csv_escape=False)
    return PartFolder(
        target,
        conn_id="my_api",
        run=run,
        attempt=attempt,
        fingerprint=fingerprint,
        suffix=suffix,
        open_part=chosen.open,
        part_rows=part_rows,
        part_bytes=part_bytes,
        resume_within=resume_within,
        clock=clock,
        private=private,
    )


def line(number: int) -> bytes:
    return json.dumps({"id": number}).encode()


def read_pages(folder: PartFolder, first: int = 0, last: int = PAGES) -> None:
    """Write the pages from ``first`` up to and without ``last``."""
    for page in range(first, last):
        folder.write([line(number) for number in range(page * PAGE_ROWS, (page + 1) * PAGE_ROWS)])
        folder.end_page(0, {"page": page + 1}, {"rows": (page + 1) * PAGE_ROWS})


def begun(target: ObjectStoragePath, attempt: str = "1-aaaaaa", pages: int = 0, **options: Any) -> PartFolder:
    """Return the folder of an attempt that has read some pages and was killed."""
    folder = part_folder(target, attempt, **options)
    folder.begin()
    read_pages(folder, 0, pages)
    folder.close()
    return folder


def stored(target: ObjectStoragePath, name: str) -> dict[str, Any]:
    """Return the content of a JSON file."""
    content: dict[str, Any] = json.loads((target / name).read_text())
    return content


def change(target: ObjectStoragePath, name: str, **changes: Any) -> None:
    """Change values of a JSON file."""
    (target / name).write_text(json.dumps(stored(target, name) | changes))


def pull(folder: PartFolder) -> Resumed | None:
    """Run an attempt as the operator does."""
    try:
        resumed = folder.begin()
        read_pages(folder, resumed.position["page"] if resumed and resumed.position else 0)
        folder.finish()
        folder.publish(SUMMARY)
    except BaseException:
        folder.abandon()
        raise
    return resumed


def contents(target: ObjectStoragePath) -> dict[str, bytes]:
    """Return the files of a local folder."""
    return {path.name: path.read_bytes() for path in target.iterdir()}


def listed_rows(files: Mapping[str, bytes], name: str) -> list[int] | None:
    """Return the numbers of the rows that the manifest or the progress lists, None if there is no such file.

    Check that the parts are as this file describes them.
    """
    if name not in files:
        return None
    numbers: list[int] = []
    for part in json.loads(files[name])["parts"]:
        content = files[part["name"]]
        assert len(content) == part["bytes"]
        unpacked = gzip.decompress(content) if part["name"].endswith(".gz") else content
        rows = [json.loads(row)["id"] for row in unpacked.splitlines()]
        assert len(rows) == part["rows"]
        numbers += rows
    return numbers


def check(files: Mapping[str, bytes]) -> bool:
    """Check that the manifest has all rows once, and that the progress has those before its position.

    :return: whether there is a manifest
    """
    if (read := listed_rows(files, PROGRESS)) is not None:
        progress = json.loads(files[PROGRESS])
        assert read == ROWS[: progress["position"]["page"] * PAGE_ROWS if progress["position"] else 0]
        assert progress["state"] == ({"rows": len(read)} if read else {})
    if (rows := listed_rows(files, MANIFEST)) is not None:
        assert rows == ROWS
        assert json.loads(files[MANIFEST])["rows"] == len(ROWS)
    return rows is not None


def unlisted(files: Mapping[str, bytes]) -> list[str]:
    """Return the names of all files that are neither the manifest nor listed by it."""
    parts = {part["name"] for part in json.loads(files[MANIFEST])["parts"]}
    return sorted(set(files) - parts - {MANIFEST})
