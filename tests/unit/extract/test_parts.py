"""A folder of parts: what it contains, and what remains after an error."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import store
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_oauth.extract import storage
from airflow_provider_oauth.extract.folder import Folder
from airflow_provider_oauth.extract.progress import MANIFEST, PROGRESS
from airflow_provider_oauth.extract.rows import InvalidPage
from airflow_provider_oauth.extract.storage import StorageError
from tests.full_disk import full_disk
from tests.unit.extract.bucket import Bucket
from tests.unit.extract.part_folders import (
    SUMMARY,
    begun,
    check,
    contents,
    line,
    part_folder,
    pull,
    read_pages,
    stored,
    unlisted,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def target(tmp_path: Path) -> ObjectStoragePath:
    return ObjectStoragePath(f"{tmp_path}/out/")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setattr(storage, "ATOMIC_UPLOAD", ("memory",))
    return Bucket(monkeypatch)


# --- parts


def test_the_manifest_lists_all_parts_and_nothing_else_remains(target: ObjectStoragePath) -> None:
    folder = part_folder(target)
    assert pull(folder) is None
    files = contents(target)
    assert sorted(files) == [
        MANIFEST,
        "part-1-aaaaaa-00000.jsonl",
        "part-1-aaaaaa-00001.jsonl",
        "part-1-aaaaaa-00002.jsonl",
    ]
    assert files["part-1-aaaaaa-00001.jsonl"] == b'{"id": 4}\n{"id": 5}\n{"id": 6}\n{"id": 7}\n'
    assert json.loads(files[MANIFEST]) == {
        "version": 1,
        "run": {"dag_id": "my_dag", "run_id": "manual__2026", "task_id": "my_task", "map_index": -1},
        "attempt": "1-aaaaaa",
        **SUMMARY,
        "rows": 10,
        "bytes": 100,
        "parts": [
            {"name": "part-1-aaaaaa-00000.jsonl", "rows": 4, "bytes": 40},
            {"name": "part-1-aaaaaa-00001.jsonl", "rows": 4, "bytes": 40},
            {"name": "part-1-aaaaaa-00002.jsonl", "rows": 2, "bytes": 20},
        ],
    }
    assert (folder.parts, folder.rows, folder.size) == (3, 10, 100)


def test_the_manifest_has_from_and_to_of_an_incremental_extract(target: ObjectStoragePath) -> None:
    begun(target).publish({**SUMMARY, "from": "2026-01-01", "to": "2026-01-02", "rows": 7, "path": "/other"})
    manifest = stored(target, MANIFEST)
    assert (manifest["from"], manifest["to"], manifest["rows"]) == ("2026-01-01", "2026-01-02", 0)


@pytest.mark.parametrize(("options", "rows"), [({"part_rows": 4}, [4, 4, 2]), ({"part_rows": 1}, [2] * 5)])
def test_a_part_is_closed_after_a_number_of_rows(
    target: ObjectStoragePath, options: dict[str, int], rows: list[int]
) -> None:
    pull(part_folder(target, **options))
    assert [part["rows"] for part in stored(target, MANIFEST)["parts"]] == rows


@pytest.mark.parametrize(("part_bytes", "rows"), [(40, [4, 4, 2]), (41, [6, 4]), (1, [2] * 5)])
def test_a_part_is_closed_after_a_number_of_bytes_before_compression(
    target: ObjectStoragePath, part_bytes: int, rows: list[int]
) -> None:
    pull(part_folder(target, part_rows=100, part_bytes=part_bytes, suffix=".jsonl.gz"))
    assert [part["rows"] for part in stored(target, MANIFEST)["parts"]] == rows


def test_a_page_is_in_one_part(target: ObjectStoragePath) -> None:
    folder = part_folder(target)
    folder.begin()
    for batch in range(3):
        folder.write([line(batch)] * 10)
        assert not folder.parts
    assert folder.is_part_full
    folder.end_page(0, None, {})
    assert (folder.parts, folder.rows, folder.is_part_full) == (1, 30, False)


def test_a_page_without_rows_changes_nothing(target: ObjectStoragePath) -> None:
    folder = begun(target, pages=3)
    before = contents(target)
    folder.end_page(1, {"page": 9}, {"rows": 9})
    assert contents(target) == before


def test_parts_are_compressed_and_their_size_is_that_in_the_storage(target: ObjectStoragePath) -> None:
    folder = part_folder(target, suffix=".jsonl.gz")
    pull(folder)
    files = contents(target)
    assert check(files)
    assert folder.size == sum(len(content) for name, content in files.items() if name != MANIFEST)


@pytest.mark.parametrize(
    ("suffix", "columns", "content"),
    [(".jsonl", None, b""), (".jsonl.gz", None, b""), (".csv", {"id": "int64"}, b"id\n")],
)
def test_an_empty_list_is_one_part_without_rows(
    target: ObjectStoragePath, suffix: str, columns: Any, content: bytes
) -> None:
    begun(target, suffix=suffix, columns=columns).publish(SUMMARY)
    files = contents(target)
    (part,) = stored(target, MANIFEST)["parts"]
    assert part == {
        "name": f"part-1-aaaaaa-00000{suffix}",
        "rows": 0,
        "bytes": len(files[f"part-1-aaaaaa-00000{suffix}"]),
    }
    written = files[part["name"]]
    assert (gzip.decompress(written) if suffix.endswith(".gz") else written) == content


def test_each_parquet_part_has_the_schema(target: ObjectStoragePath) -> None:
    columns = {"id": "int64", "name": "string"}
    folder = part_folder(target, suffix=".parquet", columns=columns)
    pull(folder)
    tables = [pyarrow.parquet.read_table(f"{target}/{part['name']}") for part in stored(target, MANIFEST)["parts"]]
    assert [table.num_rows for table in tables] == [4, 4, 2]
    assert len({str(table.schema) for table in tables}) == 1
    assert folder.missing == ("name",)


def test_a_column_is_missing_only_if_no_part_of_any_attempt_has_it(target: ObjectStoragePath) -> None:
    options: dict[str, Any] = {"suffix": ".csv", "columns": ["id", "a", "b", "c"], "part_rows": 1}
    first = part_folder(target, **options)
    first.begin()
    first.write([b'{"id":1,"a":1}'])
    first.end_page(0, {"page": 1}, {})
    second = part_folder(target, "2-bbbbbb", **options)
    second.begin()
    assert second.missing == ("b", "c")
    second.write([b'{"id":1,"b":1}'])
    second.finish()
    assert second.missing == ("c",)


@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o644)])
def test_the_files_can_be_private(target: ObjectStoragePath, private: bool, mode: int) -> None:
    folder = begun(target, pages=3, private=private)
    assert {(target / name).stat().st_mode & 0o777 for name in contents(target)} == {mode}
    folder.publish(SUMMARY)
    assert {(target / name).stat().st_mode & 0o777 for name in contents(target)} == {mode}


def test_a_row_that_does_not_fit_its_column_is_an_error(target: ObjectStoragePath) -> None:
    folder = begun(target, suffix=".parquet", columns={"id": "int64"})
    with pytest.raises(InvalidPage, match="column 'id' is text"):
        folder.write([b'{"id":"x"}'])
    folder.abandon()
    assert contents(target) == {}


# --- errors


def test_after_an_error_complete_parts_and_the_progress_stay(target: ObjectStoragePath) -> None:
    folder = part_folder(target)
    folder.begin()
    read_pages(folder, 0, 3)
    folder.abandon()
    assert sorted(contents(target)) == [PROGRESS, "part-1-aaaaaa-00000.jsonl"]
    assert check(contents(target)) is False


def test_after_an_error_in_the_first_part_nothing_stays(target: ObjectStoragePath) -> None:
    folder = part_folder(target)
    folder.begin()
    read_pages(folder, 0, 1)
    folder.abandon()
    assert contents(target) == {}


def test_after_an_error_the_result_of_an_earlier_run_stays(target: ObjectStoragePath) -> None:
    pull(part_folder(target))
    before = contents(target)
    folder = part_folder(target, "2-bbbbbb")
    folder.begin()
    read_pages(folder, 0, 3)
    folder.abandon()
    assert before.items() <= contents(target).items()


def test_after_a_write_that_may_take_effect_later_no_part_is_deleted(bucket: Bucket) -> None:
    host, target = bucket.host("first")
    folder = part_folder(target)
    folder.begin()
    read_pages(folder)
    folder.finish()
    # The owner, the parts and the manifest that will be replaced are read before the new one is written.
    number = len(host.operations) + 4
    host.fail(number, "late", TimeoutError("timeout"))
    with pytest.raises(StorageError, match="timeout"):
        folder.publish(SUMMARY)
    assert host.operations[number - 1] == "put"
    folder.abandon()
    bucket.land()
    assert check(bucket.files)


def test_obsolete_parts_that_cannot_be_deleted_are_a_warning_and_the_next_attempt_deletes_them(
    bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    _, target = bucket.host("first")
    pull(part_folder(target))
    host, target = bucket.host("second")
    folder = part_folder(target, "2-bbbbbb")
    folder.begin()
    read_pages(folder)
    folder.finish()
    host.fail_all("rm", PermissionError("denied"))
    folder.publish(SUMMARY)
    assert check(bucket.files)
    assert caplog.messages == [f"Obsolete files remain in {target}. The manifest does not list them."]
    assert len(unlisted(bucket.files)) == 4
    _, target = bucket.host("third")
    pull(part_folder(target, "3-cccccc"))
    assert check(bucket.files)
    assert unlisted(bucket.files) == []


def test_unlisted_parts_that_cannot_be_deleted_are_a_warning(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    host, target = bucket.host("first")
    folder = begun(target, pages=3)
    host.fail_all("cat", OSError("503"))
    folder.abandon()
    assert caplog.messages == [f"Parts of this attempt may remain in {target}. No file lists them."]


def test_the_list_of_files_that_a_storage_caches_is_not_used(bucket: Bucket) -> None:
    host, target = bucket.host("first")
    assert not host.exists("/bucket/out/_progress.json")  # fills the cache
    _, other = bucket.host("second")
    begun(other, "1-aaaaaa", pages=3)
    assert Folder(target, private=False).sizes().keys() == {PROGRESS, "part-1-aaaaaa-00000.jsonl"}
    assert not host.exists("/bucket/out/part-2-bbbbbb-00001.jsonl")
    resumed = pull(part_folder(target, "2-bbbbbb"))
    assert resumed is not None
    assert check(bucket.files)


def test_a_full_disk_is_an_error_and_the_next_attempt_continues(target: ObjectStoragePath) -> None:
    folder = begun(target, pages=3)
    with full_disk(30), pytest.raises(StorageError, match="File too large"):
        read_pages(folder, 2, 4)
    folder.abandon()
    assert sorted(contents(target)) == [PROGRESS, "part-1-aaaaaa-00000.jsonl"]
    assert pull(part_folder(target, "2-bbbbbb")) is not None
    assert check(contents(target))


def test_a_full_disk_at_the_manifest_is_an_error_and_the_next_attempt_continues(target: ObjectStoragePath) -> None:
    folder = begun(target, pages=5)
    folder.finish()
    with full_disk(200), pytest.raises(StorageError, match="File too large"):
        folder.publish(SUMMARY)
    folder.abandon()
    resumed = pull(part_folder(target, "2-bbbbbb"))
    assert resumed is not None
    assert resumed.rows == 8
    assert check(contents(target))


def test_a_file_at_the_place_of_the_folder_is_an_error(target: ObjectStoragePath) -> None:
    target.write_bytes(b"other")
    with pytest.raises(StorageError):
        part_folder(target).begin()
    assert target.read_bytes() == b"other"


# --- a storage of fsspec


def test_the_file_system_of_fsspec_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_STORE_CACHE", {})
    fs = MemoryFileSystem()
    store.attach("memory", None, fs=fs)
    target = ObjectStoragePath("memory://parts/out/")
    folder = part_folder(target)
    folder.begin()
    read_pages(folder, 0, 3)
    folder.abandon()
    assert pull(part_folder(target, "2-bbbbbb")) is not None
    assert pull(part_folder(target, "3-cccccc")) is None
    files = {name.rpartition("/")[2]: fs.cat(name) for name in fs.ls("/parts/out", detail=False)}
    assert check(files)
    assert unlisted(files) == []
    fs.rm("/parts", recursive=True)
