"""The content of the progress and the manifest: what is read back, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_oauth.extract.progress import (
    InvalidFile,
    Manifest,
    Part,
    Progress,
    RunName,
    decoded_manifest,
    decoded_progress,
    encoded,
)
from tests.fake_clock import START

RUN = RunName("my_dag", "manual__2026-01-01T00:00:00+00:00", "group.my_task", 3)
PROGRESS = Progress(
    run=RUN,
    attempt="2-0a1b2c",
    fingerprint="f" * 16,
    started=START,
    updated=START + timedelta(seconds=1.5),
    replaces="1-ffffff",
    parts=(Part("part-1-aaaaaa-00000.jsonl.gz", 100, 2000), Part("part-2-0a1b2c-00001.jsonl.gz", 1, 20)),
    obsolete=("part-1-ffffff-00000.csv",),
    missing=("a", "b.c"),
    list=1,
    position={"url": None, "values": {"cursor": 2**70}, "pages": 3, "rows": 101},
    state={"greatest": "2026-01-01T00:00:00Z", "rows": 101},
)
MANIFEST = Manifest(
    run=RUN,
    attempt="2-0a1b2c",
    started="2026-01-01T00:00:00+00:00",
    ended="2026-01-01T00:01:00+00:00",
    rows=101,
    pages=4,
    bytes=2020,
    since="2025-12-31T00:00:00Z",
    until="2026-01-01T00:00:00Z",
    parts=PROGRESS.parts,
)


def test_the_progress_is_json_and_is_read_back_exactly() -> None:
    assert json.loads(encoded(PROGRESS)) == {
        "version": 1,
        "run": {
            "dag_id": "my_dag",
            "run_id": "manual__2026-01-01T00:00:00+00:00",
            "task_id": "group.my_task",
            "map_index": 3,
        },
        "attempt": "2-0a1b2c",
        "fingerprint": "ffffffffffffffff",
        "started": "2026-01-01T00:00:00Z",
        "updated": "2026-01-01T00:00:01.500000Z",
        "replaces": "1-ffffff",
        "parts": [
            {"name": "part-1-aaaaaa-00000.jsonl.gz", "rows": 100, "bytes": 2000},
            {"name": "part-2-0a1b2c-00001.jsonl.gz", "rows": 1, "bytes": 20},
        ],
        "obsolete": ["part-1-ffffff-00000.csv"],
        "missing": ["a", "b.c"],
        "list": 1,
        "position": {"url": None, "values": {"cursor": 2**70}, "pages": 3, "rows": 101},
        "state": {"greatest": "2026-01-01T00:00:00Z", "rows": 101},
    }
    assert decoded_progress(encoded(PROGRESS)) == PROGRESS


def test_the_manifest_is_json_and_is_read_back_exactly() -> None:
    assert json.loads(encoded(MANIFEST)) == {
        "version": 1,
        "run": {
            "dag_id": "my_dag",
            "run_id": "manual__2026-01-01T00:00:00+00:00",
            "task_id": "group.my_task",
            "map_index": 3,
        },
        "attempt": "2-0a1b2c",
        "started": "2026-01-01T00:00:00+00:00",
        "ended": "2026-01-01T00:01:00+00:00",
        "rows": 101,
        "pages": 4,
        "bytes": 2020,
        "from": "2025-12-31T00:00:00Z",
        "to": "2026-01-01T00:00:00Z",
        "parts": [
            {"name": "part-1-aaaaaa-00000.jsonl.gz", "rows": 100, "bytes": 2000},
            {"name": "part-2-0a1b2c-00001.jsonl.gz", "rows": 1, "bytes": 20},
        ],
    }
    assert decoded_manifest(encoded(MANIFEST)) == MANIFEST


def test_keys_that_this_version_does_not_know_are_ignored() -> None:
    content = json.loads(encoded(MANIFEST)) | {"new": 1}
    assert decoded_manifest(json.dumps(content).encode()) == MANIFEST


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff", b"null", b"[]", b"{", b"{}", b"[" * 100_000, b'"\xed\xa0"'])
def test_other_content_is_refused(content: bytes) -> None:
    for decode in (decoded_progress, decoded_manifest):
        with pytest.raises(InvalidFile):
            decode(content)


@pytest.mark.parametrize(
    "name",
    [
        "../part-1-aaaaaa-00000.jsonl",
        "other/part-1-aaaaaa-00000.jsonl",
        "/part-1-aaaaaa-00000.jsonl",
        "part-1-aaaaaa-00000.jsonl/",
        "part-1-aaaaaa-00000.jsonl\n",
        "part-1-aaaaaa-00000.jsonl.gz.gz",
        "part-1-aaaaaa-00000.txt",
        "part-1-aaaaaa-00000",
        "part-1-AAAAAA-00000.jsonl",
        "part-1-aaaaaa-0.jsonl",
        "part-1-aaaaaa-00000xjsonl",
        "part-1-../..-00000.jsonl",
        "part-\u0661-aaaaaa-00000.jsonl",
        "_manifest.json",
        ".part-1-aaaaaa-00000.jsonl",
        "customers.csv",
        "",
        1,
        None,
    ],
)
def test_a_name_that_is_not_that_of_a_part_is_refused(name: object) -> None:
    for change in ({"obsolete": [name]}, {"parts": [{"name": name, "rows": 1, "bytes": 1}]}):
        with pytest.raises(InvalidFile, match="Expected `str`"):
            decoded_progress(json.dumps(json.loads(encoded(PROGRESS)) | change).encode())
    with pytest.raises(InvalidFile, match="Expected `str`"):
        decoded_manifest(json.dumps(json.loads(encoded(MANIFEST)) | {"parts": [{"name": name}]}).encode())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 2}, "Invalid enum value 2 - at `$.version`"),
        ({"run": {"dag_id": "a"}}, "Object missing required field `run_id` - at `$.run`"),
        ({"attempt": "1"}, "Expected `str` matching regex"),
        ({"attempt": "../1-aaaaaa"}, "Expected `str` matching regex"),
        ({"attempt": None}, "Expected `str`, got `null` - at `$.attempt`"),
        ({"updated": "2026-01-01T00:00:00"}, "Expected `datetime` with a timezone component - at `$.updated`"),
        ({"parts": [{"name": "part-1-aaaaaa-00000.csv", "rows": -1, "bytes": 1}]}, "Expected `int` >= 0"),
        ({"parts": [{"name": "part-1-aaaaaa-00000.csv", "rows": 1.5, "bytes": 1}]}, "Expected `int`, got `float`"),
        ({"list": "1"}, "Expected `int`, got `str` - at `$.list`"),
        ({"position": []}, "Expected `object | null`, got `array` - at `$.position`"),
        ({"state": None}, "Expected `object`, got `null` - at `$.state`"),
    ],
)
def test_a_value_of_another_kind_is_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        decoded_progress(json.dumps(json.loads(encoded(PROGRESS)) | change).encode())
    assert text in str(caught.value)
