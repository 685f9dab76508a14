"""Files in local folders and in storages without streaming uploads: complete, or what was there before."""

from __future__ import annotations

import errno
import gc
import gzip
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import store
from backports import zstd
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from airflow_provider_oauth.extract import storage
from airflow_provider_oauth.extract.storage import StorageError, new_file
from tests.full_disk import full_disk

if TYPE_CHECKING:
    from collections.abc import Iterator

ROW = b'{"id": 1}\n'
URL = "memory://bucket/rows.jsonl"
UNPACK = {"": bytes, ".gz": gzip.decompress, ".zst": zstd.decompress}
SUFFIX = pytest.mark.parametrize("suffix", UNPACK)
EARLIER = pytest.mark.parametrize("earlier", [None, b"earlier rows"])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- local files


@SUFFIX
@pytest.mark.parametrize("rows", [0, 1, 100_000])
def test_a_file_has_all_rows_and_its_size_is_counted(tmp_path: Path, suffix: str, rows: int) -> None:
    path = tmp_path / "folder" / f"rows.jsonl{suffix}"
    with new_file(ObjectStoragePath(str(path))) as file:
        for _ in range(rows):
            file.write(ROW)
        assert not path.exists()
    content = path.read_bytes()
    assert UNPACK[suffix](content) == ROW * rows
    assert file.size == len(content)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@SUFFIX
def test_the_same_rows_result_in_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    for name in "ab":
        with new_file(ObjectStoragePath(str(tmp_path / f"{name}.jsonl{suffix}"))) as file:
            file.write(ROW)
    assert len(set(files(tmp_path).values())) == 1


@SUFFIX
@EARLIER
@pytest.mark.parametrize("rows", [0, 1, 100_000])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_exception_the_folder_is_as_before(
    tmp_path: Path, suffix: str, rows: int, error: type[BaseException], earlier: bytes | None
) -> None:
    path = tmp_path / f"rows.jsonl{suffix}"
    if earlier:
        path.write_bytes(earlier)
    with pytest.raises(error), new_file(ObjectStoragePath(str(path))) as file:  # noqa: PT012
        for _ in range(rows):
            file.write(ROW)
        raise error
    gc.collect()  # compressors write when they are deleted
    assert files(tmp_path) == ({path.name: earlier} if earlier else {})


@SUFFIX
@EARLIER
def test_on_a_full_disk_the_folder_is_as_before(tmp_path: Path, suffix: str, earlier: bytes | None) -> None:
    path = tmp_path / f"rows.jsonl{suffix}"
    if earlier:
        path.write_bytes(earlier)
    with (  # noqa: PT012
        full_disk(100_000),
        pytest.raises(StorageError, match="^OSError: .*File too large") as caught,
        new_file(ObjectStoragePath(str(path))) as file,
    ):
        for _ in range(200_000):
            file.write(os.urandom(50))
    assert caught.value.__cause__.errno == errno.EFBIG  # type: ignore[union-attr]
    assert files(tmp_path) == ({path.name: earlier} if earlier else {})


def test_a_disk_that_is_full_when_the_last_bytes_are_written_is_an_error(tmp_path: Path) -> None:
    target = ObjectStoragePath(str(tmp_path / "rows.jsonl"))
    with full_disk(10), pytest.raises(StorageError), new_file(target) as file:
        file.write(ROW * 5)  # stays in the buffer until the file is published
    assert files(tmp_path) == {}


def test_two_tasks_that_write_the_same_path_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    target = ObjectStoragePath(str(tmp_path / "rows.jsonl"))
    with new_file(target) as first:
        first.write(b"first\n")
        with new_file(target) as second:
            second.write(b"second and longer\n")
        assert files(tmp_path)["rows.jsonl"] == b"second and longer\n"
    assert files(tmp_path) == {"rows.jsonl": b"first\n"}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077])
@pytest.mark.parametrize(("private", "mode"), [(False, 0o666), (True, 0o600)])
def test_the_umask_applies_to_a_file_and_is_not_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, umask: int, private: bool, mode: int
) -> None:
    changes, change = list[int](), os.umask
    before = change(umask)
    monkeypatch.setattr(os, "umask", changes.append)
    try:
        with new_file(ObjectStoragePath(str(tmp_path / "rows.jsonl")), private=private) as file:
            file.write(ROW)
    finally:
        change(before)
    assert (tmp_path / "rows.jsonl").stat().st_mode & 0o777 == mode & ~umask
    assert changes == []  # all threads share it


def test_a_device_is_not_replaced() -> None:
    with (
        pytest.raises(StorageError, match="/dev/null exists and is not a file"),
        new_file(ObjectStoragePath("/dev/null")),
    ):
        pass


def test_without_a_target_bytes_are_only_counted() -> None:
    with new_file(None) as file:
        file.write(ROW)
    assert file.size == len(ROW)


# --- storages without streaming uploads


class LazyFile(AbstractBufferedFile):
    """A file whose ``commit`` and ``discard`` do nothing, as in fsspec's base class. ``close`` publishes it."""

    def _upload_chunk(self, final: bool = False) -> bool:
        if final:
            self.fs.objects[self.path] = self.buffer.getvalue()
        return not final


class LazyFileSystem(AbstractFileSystem):
    """A storage that can store too little, with or without an error."""

    protocol = "memory"
    root_marker = "/"

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        #: After how many bytes an upload fails; None if it does not.
        self.fails_at: int | None = None
        #: How many bytes of an upload are stored; None for all.
        self.stores: int | None = None
        self.can_replace = True

    def _open(self, path: str, mode: str = "rb", **options: Any) -> LazyFile:
        return LazyFile(self, path, mode, **options)

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        if path not in self.objects:
            raise FileNotFoundError(path)
        return {"name": path, "size": len(self.objects[path]), "type": "file"}

    def put_file(self, lpath: str, rpath: str, *args: Any, **options: Any) -> None:
        content = Path(lpath).read_bytes()
        self.objects[rpath] = content[: self.stores if self.fails_at is None else self.fails_at]
        if self.fails_at is not None:
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    def mv(self, path1: str, path2: str, **options: Any) -> None:
        if path2 in self.objects and not self.can_replace:
            raise FileExistsError(path2)
        self.objects[path2] = self.objects.pop(path1)

    def rm_file(self, path: str) -> None:
        del self.objects[path]

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing."""


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> Iterator[LazyFileSystem]:
    monkeypatch.setattr(store, "_STORE_CACHE", {})
    LazyFileSystem.clear_instance_cache()
    fs = LazyFileSystem()
    store.attach("memory", None, fs=fs)
    yield fs
    LazyFileSystem.clear_instance_cache()


@EARLIER
@pytest.mark.parametrize("can_replace", [True, False])
def test_a_storage_whose_commit_does_nothing_gets_the_complete_file(
    lazy: LazyFileSystem, can_replace: bool, earlier: bytes | None
) -> None:
    target = ObjectStoragePath(URL)
    lazy.can_replace = can_replace
    before = {target.path: earlier} if earlier else {}
    lazy.objects.update(before)
    with new_file(target) as file:
        file.write(ROW * 3)
        assert lazy.objects == before
    assert lazy.objects == {target.path: ROW * 3}


def test_a_storage_that_is_expected_to_stream_but_does_not_gets_the_complete_file(
    lazy: LazyFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "STREAMING", ("memory",))  # for example Google's zonal buckets
    target = ObjectStoragePath(URL)
    with new_file(target) as file:
        file.write(ROW * 3)
        gc.collect()
        assert lazy.objects == {}
    assert lazy.objects == {target.path: ROW * 3}
    assert not lazy.transaction.files


def test_after_an_exception_nothing_is_stored(lazy: LazyFileSystem) -> None:
    with pytest.raises(ValueError, match="x"), new_file(ObjectStoragePath(URL)) as file:  # noqa: PT012
        file.write(ROW * 3)
        raise ValueError("x")
    assert lazy.objects == {}


@EARLIER
@pytest.mark.parametrize("fails_at", [0, 1, 29])
def test_a_failed_upload_leaves_what_was_there(lazy: LazyFileSystem, fails_at: int, earlier: bytes | None) -> None:
    target = ObjectStoragePath(URL)
    before = {target.path: earlier} if earlier else {}
    lazy.objects.update(before)
    lazy.fails_at = fails_at
    with pytest.raises(StorageError, match="ConnectionResetError: .*reset by peer"), new_file(target) as file:
        file.write(ROW * 3)
    assert lazy.objects == before


@pytest.mark.parametrize("stores", [0, len(ROW)])
def test_a_storage_that_loses_bytes_without_an_error_is_detected(lazy: LazyFileSystem, stores: int) -> None:
    lazy.stores = stores
    with (
        pytest.raises(StorageError, match=f"has {stores} bytes, but 30 bytes were written"),
        new_file(ObjectStoragePath(URL)) as file,
    ):
        file.write(ROW * 3)
    assert lazy.objects == {}


def test_a_size_that_cannot_be_read_is_ignored(lazy: LazyFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, **options: Any) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(lazy, "info", refuse)  # a role that may only write
    monkeypatch.setattr(lazy, "exists", lambda path: path in lazy.objects)
    target = ObjectStoragePath(URL)
    with new_file(target) as file:
        file.write(ROW)
    assert lazy.objects == {target.path: ROW}


def test_a_full_disk_for_temporary_files_leaves_nothing(
    lazy: LazyFileSystem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with (  # noqa: PT012
        full_disk(100_000),
        pytest.raises(StorageError, match="too large"),
        new_file(ObjectStoragePath(URL)) as file,
    ):
        for _ in range(200_000):
            file.write(ROW)
    assert (lazy.objects, files(tmp_path)) == ({}, {})


def test_a_storage_that_publishes_while_it_is_written_gets_the_complete_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_STORE_CACHE", {})
    fs = MemoryFileSystem()
    store.attach("memory", None, fs=fs)
    target = ObjectStoragePath("memory://folder/new/rows.jsonl")
    with new_file(target) as file:
        file.write(ROW)
        assert not fs.exists(target.path)
    assert fs.cat(target.path) == ROW
    assert [Path(each).name for each in fs.ls("/folder/new", detail=False)] == ["rows.jsonl"]
    fs.rm("/folder", recursive=True)
