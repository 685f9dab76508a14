from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol import client_files
from airflow_provider_oauth.protocol.client_files import MAX_FILE_SIZE, read_client_file
from tests.connections import oauth_config

UNREADABLE = (
    "Connection 'shop': Private key file (private_key_file) is not the absolute path of a file below [oauth] "
    "file_folder that this process can read, of at most 64 kB. Check the path, and that the file exists on every host "
    "that requests tokens."
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "key.pem").write_bytes(b"fake key")
    (tmp_path / "outside.pem").write_bytes(b"outside")
    return folder


def read(path: str | Path, folder: str | Path) -> bytes:
    return read_client_file(oauth_config(private_key_file=str(path), file_folder=str(folder)), "private_key_file")


def error(path: str | Path, folder: str | Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(path, folder)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_file_below_the_folder_is_read(folder: Path) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "key.pem").write_bytes(b"deep")
    assert read(folder / "key.pem", folder) == b"fake key"
    assert read(folder / "a" / "b" / "key.pem", folder) == b"deep"
    assert read(folder / "key.pem", f"{folder}/") == b"fake key"


def test_a_file_is_read_again_each_time(folder: Path) -> None:
    assert read(folder / "key.pem", folder) == b"fake key"
    (folder / "key.pem").write_bytes(b"rotated")
    assert read(folder / "key.pem", folder) == b"rotated"


def test_a_path_with_dots_is_allowed_if_it_ends_below_the_folder(folder: Path) -> None:
    assert read(f"{folder}/./../files/key.pem", folder) == b"fake key"


def test_missing_unreadable_and_outside_have_the_same_text(folder: Path) -> None:
    (folder / "large.pem").write_bytes(b"a" * (MAX_FILE_SIZE + 1))
    (folder / "subfolder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(folder.parent / "outside.pem")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "dangling").symlink_to(folder / "absent")
    sibling = Path(f"{folder}2")
    sibling.mkdir()
    (sibling / "key.pem").write_bytes(b"sibling")
    names = ("absent.pem", "large.pem", "subfolder", "pipe", "link", "loop", "dangling", "key.pem/key.pem", "a" * 5000)
    paths = [*(folder / name for name in names), folder, folder.parent / "outside.pem", folder.parent / "absent.pem"]
    others = [f"{folder}/../outside.pem", sibling / "key.pem", "key.pem", "", f"{folder}/key.pem\0", "/dev/zero"]
    assert {error(path, folder) for path in [*paths, *others]} == {UNREADABLE}


def test_the_file_system_is_not_used_for_a_path_outside_the_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only to resolve the path could mount a network file system, or wait for one that does not respond."""
    used: list[str] = []
    lstat = os.lstat

    def record(path: Any, **kwargs: Any) -> os.stat_result:
        used.append(str(path))
        return lstat(path, **kwargs)

    monkeypatch.setattr(os, "lstat", record)
    outside = folder.parent / "net" / "host.example" / "key.pem"
    paths = (outside, f"{folder}/../net/host.example/key.pem", f"{folder}-net/key.pem", "net/key.pem")
    assert [error(path, folder) for path in paths] == [UNREADABLE] * 4
    assert str(folder) in used
    assert not [path for path in used if "net" in path]


def test_a_file_without_permission_has_the_same_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may read a file of any mode
    assert error(folder / "key.pem", folder) == UNREADABLE


def test_a_file_of_the_maximum_size_is_read(folder: Path) -> None:
    (folder / "large.pem").write_bytes(b"a" * MAX_FILE_SIZE)
    assert len(read(folder / "large.pem", folder)) == 64 * 1024


def test_symbolic_links_inside_the_folder_are_followed(folder: Path) -> None:
    """Kubernetes mounts a file as a link to ..data/NAME, and ..data is a link to a folder with a timestamp."""
    (folder / "..2026_11_28").mkdir()
    (folder / "..2026_11_28" / "tls.key").write_bytes(b"mounted")
    (folder / "..data").symlink_to("..2026_11_28")
    (folder / "tls.key").symlink_to("..data/tls.key")
    assert read(folder / "tls.key", folder) == b"mounted"


def test_the_folder_may_be_a_symbolic_link(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert read(link / "key.pem", link) == b"fake key"
    assert read(folder / "key.pem", link) == b"fake key"
    assert error(link / ".." / "outside.pem", link) == UNREADABLE


def test_kubernetes_may_replace_the_files_while_the_path_is_resolved(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("..old", "..new"):
        (folder / name).mkdir()
        (folder / name / "key").write_text(name)
    (folder / "..data").symlink_to("..old")
    (folder / "key").symlink_to("..data/key")
    opened = client_files._opened

    def swap(folder: str, parts: list[str]) -> int:
        if parts[0] == "..old":
            Path(folder, "..old", "key").unlink()
            Path(folder, "..old").rmdir()
            Path(folder, "..data").unlink()
            Path(folder, "..data").symlink_to("..new")
        return opened(folder, parts)

    monkeypatch.setattr(client_files, "_opened", swap)
    assert read(folder / "key", folder) == b"..new"


@pytest.mark.parametrize("part", ["key.pem", "sub"])
def test_a_link_that_replaces_a_part_of_the_path_after_the_check_is_not_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "outside.pem").write_bytes(b"inside")
    opened = client_files._opened

    def swap(real: str, parts: list[str]) -> int:
        target = folder / part
        if not target.is_symlink():
            target.rename(folder / "moved")
            target.symlink_to(folder.parent / "outside.pem" if part == "key.pem" else folder.parent)
        return opened(real, parts)

    monkeypatch.setattr(client_files, "_opened", swap)
    assert error(folder / ("key.pem" if part == "key.pem" else "sub/outside.pem"), folder) == UNREADABLE


def test_without_the_setting_no_file_can_be_used(folder: Path) -> None:
    text = (
        "Connection 'shop': Private key file (private_key_file) cannot be used, because the setting [oauth] "
        "file_folder of this Airflow installation is {}. Ask an administrator to set it to the folder of such files."
    )
    assert error(folder / "key.pem", "") == text.format("not set")
    assert error(folder / "key.pem", "files") == text.format("not an absolute path")
    assert error(folder / "key.pem", folder.parent / "absent") == UNREADABLE


def test_no_file_descriptor_stays_open(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    before = set(os.listdir("/dev/fd"))
    read(folder / "key.pem", folder)
    for path in (folder, folder / "pipe", folder / "absent" / "key.pem", folder / "key.pem" / "x"):
        error(path, folder)
    assert set(os.listdir("/dev/fd")) == before
