"""Pulls the same list into a file: ``OAuthExtractOperator`` and other programs, one after the other, on one server."""

from __future__ import annotations

import csv
import gzip
import json
import statistics
import tempfile
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import certifi

from benchmarks import environments
from benchmarks.measuring import Row, ratio
from benchmarks.pages import ROWS, Urls, page_server
from benchmarks.workers import FOLDER, Peer, Worker, workers
from tests.certificates import certificates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers.worker import Result

PAGES, MANY_PAGES = 200, 5000
#: The pages of a list that needs several parts with 100,000 rows each.
FOLDER_PAGES = 2000
ROUNDS = 9
#: Slow peers are measured in every third round.
SLOW = 3
#: Milliseconds before each response of the slow API.
DELAY = 50
#: The values of ``concurrency``.
THREADS = (8, 32)
OURS = Peer("this package", "ours")
LOOP = Peer("loop", "loop", "requests")
PEERS = {
    "ours": OURS,
    "loop": LOOP,
    "orjson": Peer("orjson loop", "orjson_loop", "orjson"),
    "client": Peer("dlt RESTClient loop", "dlt_client", "dlt"),
    "stock": Peer(f"HttpOperator (provider {version('apache-airflow-providers-http')})", "stock", is_slow=True),
    "pipeline": Peer("dlt pipeline to files", "dlt_pipeline", "dlt", suffix="", is_slow=True),
}
#: Measured only with ``PEERS=all``.
OPTIONAL_PEERS = {
    "airbyte": Peer("Airbyte source", "airbyte", "airbyte-cdk", is_slow=True),
    "singer": Peer("Singer tap", "singer", "singer-sdk", is_slow=True),
}
#: The goals for the speed of this package, divided by that of a peer.
PLAIN_GOALS = {"loop": "≥ 1.5", "orjson": "≥ 1.25", "pipeline": "≥ 10"}
TLS_GOALS = {"loop": "≥ 1.5", "orjson": "≥ 1.25", "stock": "≥ 18"}


class Bench(NamedTuple):
    """What all measurements need.

    :param urls: the server
    :param folder: for files
    :param env: the environment of all peers
    """

    urls: Urls
    folder: Path
    env: dict[str, str]


@contextmanager
def bench() -> Iterator[Bench]:
    """Run the server, and yield what all measurements need."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        created = certificates(folder)
        # All certificates that are usually there, because loading them takes time.
        bundle = folder / "bundle.pem"
        bundle.write_text(Path(certifi.where()).read_text() + Path(created.ca).read_text())
        with page_server(created.server) as urls:
            yield Bench(urls, folder, {"REQUESTS_CA_BUNDLE": str(bundle)})


def in_rounds(running: dict[str, Worker], url: str, suffix: str | None = None) -> dict[str, dict[int, Result]]:
    """Return the results of each worker by the number of the round. The first round is not counted.

    :param running: the workers, which pull the list one after the other in every round
    :param url: the base URL of the list
    :param suffix: the suffix of the file; None for the usual one
    """
    results: dict[str, dict[int, Result]] = {name: {} for name in running}
    for number in range(ROUNDS + 1):
        for name in sorted(running, reverse=bool(number % 2)):
            if not running[name].peer.is_slow or number % SLOW == 0:
                results[name][number] = running[name].pull(url, suffix=suffix)
    for taken in results.values():
        del taken[0]
    return results


def compared(
    label: str,
    peer: Peer,
    ours: dict[int, Result],
    theirs: dict[int, Result],
    goal: str = "",
    pages: int = PAGES,
) -> Row:
    """Return a row that compares the speed of two workers, in rows per second of the clock and of the processor."""
    rounds = sorted(ours.keys() & theirs.keys())
    by_clock = ratio([theirs[each].seconds for each in rounds], [ours[each].seconds for each in rounds])
    by_processor = ratio([theirs[each].processor for each in rounds], [ours[each].processor for each in rounds])
    return Row(
        label,
        f"{labelled(peer)}: {speed(theirs, pages)}",
        speed(ours, pages),
        f"{by_clock:.2f} (processor {by_processor:.2f})",
        goal,
    )


def labelled(peer: Peer) -> str:
    """Return the label of a peer, with the version of its library."""
    if peer.environment is None:
        return peer.label
    return f"{peer.label} ({environments.version(peer.environment)})"


def speed(results: dict[int, Result], pages: int = PAGES) -> str:
    """Return the median of rows per second as text."""
    median = pages * ROWS / statistics.median(result.seconds for result in results.values())
    return f"{round(median, -2):,.0f} rows/s"


def json_lines(bench: Bench, *, is_tls: bool) -> list[Row]:
    """Measure JSON Lines over plain HTTP or TLS."""
    peers, goals = dict(PEERS), TLS_GOALS if is_tls else PLAIN_GOALS
    if environments.with_all_peers() and not is_tls:  # the Singer SDK ignores REQUESTS_CA_BUNDLE
        peers |= OPTIONAL_PEERS
    url = Urls.of_list(bench.urls.tls if is_tls else bench.urls.plain, PAGES)
    with workers(peers, bench.folder, bench.env) as running:
        results = in_rounds(running, url)
        for worker in running.values():
            check_ids(worker)
    label = f"Pull: {PAGES} pages of {ROWS} rows, {'TLS' if is_tls else 'plain'}, JSON Lines"
    ours = results.pop("ours")
    return [compared(label, peers[name], ours, taken, goals.get(name, "")) for name, taken in results.items()]


def concurrency(bench: Bench) -> list[Row]:
    """Measure an API that takes 50 ms for each page."""
    url = Urls.of_list(bench.urls.plain, PAGES, DELAY)
    goals = dict(zip(THREADS, ("≥ 7.5", "≥ 24"), strict=True))
    with workers({"ours": OURS, "loop": LOOP}, bench.folder, bench.env) as running:
        for worker in running.values():
            worker.pull(Urls.of_list(bench.urls.plain, 1))  # imports modules, and gets the token
        rounds = range(1, SLOW + 1)
        results: dict[int, dict[int, Result]] = {threads: {} for threads in goals}
        theirs = {}
        for number in rounds:
            theirs[number] = running["loop"].pull(url)
            for threads, taken in results.items():
                taken[number] = running["ours"].pull(url, threads)
                check_ids(running["ours"])
    label = f"Pull: {PAGES} pages, {DELAY} ms per page, concurrency="
    return [compared(f"{label}{threads}", LOOP, taken, theirs, goals[threads]) for threads, taken in results.items()]


def tables(bench: Bench) -> list[Row]:
    """Measure CSV and Parquet with ``columns=``."""
    rows = []
    url = Urls.of_list(bench.urls.plain, PAGES)
    for peer, suffix, label in (
        (Peer("csv loop", "loop", "requests"), ".csv", "CSV"),
        (Peer("pyarrow loop", "pyarrow_loop", "pyarrow"), ".parquet", "Parquet"),
    ):
        with workers({"ours": OURS, "loop": peer}, bench.folder, bench.env) as running:
            results = in_rounds(running, url, suffix)
            for worker in running.values():
                check_ids(worker)
        label = f"Pull: {PAGES} pages of {ROWS} rows, plain, {label} with columns="
        rows.append(compared(label, peer, results["ours"], results["loop"], "≥ 1"))
    return rows


def folders_and_marks(bench: Bench) -> list[Row]:
    """Measure a folder of parts, and an incremental extract, compared with one file."""
    kinds: dict[str, dict[str, Any]] = {
        "file": {"suffix": ".jsonl"},
        "folder": {"suffix": FOLDER},
        "marks": {"suffix": ".jsonl", "incremental": True},
    }
    url = Urls.of_list(bench.urls.plain, FOLDER_PAGES)
    results: dict[str, dict[int, Result]] = {kind: {} for kind in kinds}
    with workers({"ours": OURS}, bench.folder, bench.env) as running:
        ours = running["ours"]
        for number in range(ROUNDS + 1):
            for kind in sorted(kinds, reverse=bool(number % 2)):
                results[kind][number] = ours.pull(url, **kinds[kind])
                check_ids(ours, FOLDER_PAGES)
    for taken in results.values():
        del taken[0]
    file, label = results.pop("file"), f"Pull: {FOLDER_PAGES} pages of {ROWS} rows, plain, JSON Lines"
    one_file = Peer("this package, one file", "ours")
    goals = {"folder": (f"{label}, folder of parts", "≥ 0.95"), "marks": (f"{label}, incremental=", "≥ 0.8")}
    return [compared(text, one_file, results[kind], file, goal, FOLDER_PAGES) for kind, (text, goal) in goals.items()]


def memory(bench: Bench) -> list[Row]:
    """Measure how the peak memory of a new process grows with the number of pages."""
    label = f"Peak memory: {PAGES} and {MANY_PAGES} pages"
    ours = peaks(bench, OURS)
    rows = []
    for peer in (LOOP, PEERS["stock"]):
        rows.append(Row(label, f"{labelled(peer)}: {megabytes(peaks(bench, peer))}", *growth(ours)))
    return [*rows, Row(f"{label}, concurrency={THREADS[0]}", "", *growth(peaks(bench, OURS, THREADS[0])))]


def growth(sizes: list[int]) -> tuple[str, str, str]:
    """Return the peak memory of this package as text, its ratio, and the goal for it."""
    return megabytes(sizes), f"{sizes[1] / sizes[0]:.2f}", "≤ 1.1"


def megabytes(sizes: list[int]) -> str:
    """Return the peak memory for both numbers of pages as text."""
    return " and ".join(f"{size / 1e6:.0f} MB" for size in sizes)


def peaks(bench: Bench, peer: Peer, threads: int = 1) -> list[int]:
    """Return the peak memory in bytes of two new processes: one pulls a short list, the other one a long list."""
    return [peak(bench, peer, pages, threads) for pages in (PAGES, MANY_PAGES)]


def peak(bench: Bench, peer: Peer, pages: int, threads: int) -> int:
    """Return the peak memory in bytes of a new process that pulls a list."""
    with workers({"peer": peer}, bench.folder, bench.env) as running:
        return running["peer"].pull(Urls.of_list(bench.urls.plain, pages), threads).memory


def check_ids(worker: Worker, pages: int = PAGES) -> None:
    """Check that a file has all rows, in the order of the list."""
    found = list(ids(worker.path))
    assert found == list(range(pages * ROWS)), f"{worker.peer.label}: {len(found)} rows, {found[:3]} … {found[-3:]}"


def ids(path: Path) -> Iterator[int]:
    """Yield the IDs of the rows in a file, in a folder of parts, or in the newest file of dlt's folder."""
    if (path / "_manifest.json").exists():
        for part in json.loads((path / "_manifest.json").read_text())["parts"]:
            yield from ids(path / part["name"])
        return
    if path.is_dir():
        path = max(path.glob("lake/items/*.jsonl.gz"), key=lambda file: file.stat().st_mtime)
    if path.suffix == ".parquet":
        from pyarrow import parquet

        yield from parquet.read_table(path, columns=["id"])["id"].to_pylist()
        return
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        if path.suffix == ".csv":
            yield from (int(found["id"]) for found in csv.DictReader(file))
            return
        for line in file:
            if record := record_of(json.loads(line)):
                yield record["id"]


def record_of(line: dict[str, object]) -> dict[str, int] | None:
    """Return the row in a line of a file; None for the other messages of Airbyte and Singer."""
    if "type" not in line:
        return line  # type: ignore[return-value]
    record = line.get("record")
    return record.get("data", record) if isinstance(record, dict) else None


def rows() -> list[Row]:
    """Return the rows of the table."""
    with bench() as running:
        return [
            *json_lines(running, is_tls=False),
            *json_lines(running, is_tls=True),
            *concurrency(running),
            *tables(running),
            *folders_and_marks(running),
            *memory(running),
        ]
