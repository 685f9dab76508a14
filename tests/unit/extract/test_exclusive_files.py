"""Files that must not exist: one that has the name is an error and stays as it was."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_oauth.extract import storage
from airflow_provider_oauth.extract.storage import StorageError, new_file
from tests.unit.extract.bucket import Bucket

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.storage import NewFile

ROW = b'{"id": 1}\n'


def write(target: ObjectStoragePath, content: bytes = ROW) -> NewFile:
    with new_file(target, exclusive=True) as file:
        file.write(content)
    return file


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def test_a_new_file_is_complete_and_its_temporary_file_is_removed(path: Path) -> None:
    assert write(ObjectStoragePath(str(path))).size == len(ROW)
    assert files(path.parent) == {path.name: ROW}
    assert path.stat().st_nlink == 1


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_file_with_the_name_stays(path: Path, when: str) -> None:
    if when == "before":
        path.write_bytes(b"other")
    with (  # noqa: PT012
        pytest.raises(StorageError, match="^FileExistsError: "),
        new_file(ObjectStoragePath(str(path)), exclusive=True) as file,
    ):
        file.write(ROW)
        path.write_bytes(b"other")
    assert files(path.parent) == {path.name: b"other"}


def test_a_link_to_a_file_stays(path: Path) -> None:
    other = path.with_name("other.jsonl")
    other.write_bytes(b"other")
    path.symlink_to(other)
    with pytest.raises(StorageError, match="^FileExistsError: "):
        write(ObjectStoragePath(str(path)))
    assert path.is_symlink()
    assert other.read_bytes() == b"other"


def test_a_link_whose_response_was_lost_is_no_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of NFS repeats the request and gets an error, although the link is its own."""

    def link(new: Path, existing: Path) -> None:
        os.link(existing, new)
        os.link(existing, new)

    monkeypatch.setattr(Path, "hardlink_to", link)
    write(ObjectStoragePath(str(path)))
    assert files(path.parent) == {path.name: ROW}


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_links(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def link(new: Path, existing: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "hardlink_to", link)
    write(ObjectStoragePath(str(path)))
    assert files(path.parent) == {path.name: ROW}
    with pytest.raises(StorageError, match="^FileExistsError: .*rows.jsonl exists already"):
        write(ObjectStoragePath(str(path)), b"other")
    assert files(path.parent) == {path.name: ROW}


@pytest.mark.parametrize("protocols", [("memory",), ()], ids=["upload", "rename"])
def test_other_storages_check_that_there_is_no_file(monkeypatch: pytest.MonkeyPatch, protocols: tuple[str]) -> None:
    monkeypatch.setattr(storage, "ATOMIC_UPLOAD", protocols)
    bucket = Bucket(monkeypatch)
    host, folder = bucket.host("first")
    assert not host.exists("/bucket/out/rows.jsonl")  # fills the cache
    _, other = bucket.host("second")
    write(other / "rows.jsonl")
    with pytest.raises(StorageError, match="^FileExistsError: /bucket/out/rows.jsonl exists already"):
        write(folder / "rows.jsonl", b"other")
    assert bucket.files == {"rows.jsonl": ROW}


def test_a_storage_that_cannot_rename_to_an_existing_name_keeps_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket(monkeypatch)
    host, folder = bucket.host("first")

    def refuse(path1: str, path2: str, **options: object) -> None:
        bucket.objects[path2] = b"other"  # another process was faster
        raise FileExistsError(path2)

    monkeypatch.setattr(host, "mv", refuse)
    with pytest.raises(StorageError, match="FileExistsError"):
        write(folder / "rows.jsonl")
    assert bucket.files == {"rows.jsonl": b"other"}


def test_an_error_of_the_storage_is_not_taken_for_an_absent_file(monkeypatch: pytest.MonkeyPatch) -> None:
    host, folder = Bucket(monkeypatch).host("first")
    host.fail_all("info", PermissionError("denied"))
    with pytest.raises(StorageError, match="PermissionError: denied"):
        write(folder / "rows.jsonl")
