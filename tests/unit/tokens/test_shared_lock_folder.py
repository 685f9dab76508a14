"""A lock folder that several users share. Tests for all folders are in test_host_lock.py."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import filelock
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.tokens.host_lock import SHARED_SINCE, HostLock, _version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    _version(filelock.__version__) < SHARED_SINCE, reason="this filelock cannot share a folder: see test_host_lock.py"
)


def bind(path: Path) -> None:
    """Create a socket."""
    # Relative, because the path of a socket has at most 107 bytes.
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(path.parent):
        server.bind(path.name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def place(folder: Path) -> Path:
    """Return the path of the lock file, which does not exist yet."""
    lock = HostLock(folder, "api", shared=True)
    assert lock.acquire()
    lock.release()
    (file,) = folder.iterdir()
    file.unlink()
    return file


@pytest.fixture
def shared(folder: Path) -> HostLock:
    return HostLock(folder, "api", shared=True)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat(follow_symlinks=False).st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_every_user_can_open_the_lock_file(shared: HostLock, folder: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert shared.acquire()
    finally:
        os.umask(before)
    (file,) = folder.iterdir()
    assert mode(file) == 0o666
    shared.release()


def test_a_lock_file_that_another_process_creates_at_the_same_time_is_shared(
    monkeypatch: pytest.MonkeyPatch, shared: HostLock, folder: Path, place: Path
) -> None:
    def mkstemp(*args: Any, **kwargs: Any) -> Any:
        place.touch()
        place.chmod(0o666)
        return tempfile_mkstemp(*args, **kwargs)

    tempfile_mkstemp = tempfile.mkstemp
    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)
    assert shared.acquire()
    assert list(folder.iterdir()) == [place]
    assert not HostLock(folder, "api", shared=True).acquire()
    shared.release()


def test_the_lock_file_gets_its_name_after_its_mode(
    monkeypatch: pytest.MonkeyPatch, shared: HostLock, folder: Path, place: Path
) -> None:
    """Otherwise another user could find a file that only its creator can open."""
    seen = []

    def fchmod(file: int, mode: int) -> None:
        seen.append(place.exists())
        os_fchmod(file, mode)

    os_fchmod = os.fchmod
    monkeypatch.setattr(os, "fchmod", fchmod)
    assert shared.acquire()
    assert seen == [False]
    shared.release()


def test_a_link_is_not_followed_to_create_a_file(shared: HostLock, place: Path, tmp_path: Path) -> None:
    place.symlink_to(tmp_path / "authorized_keys")
    with pytest.raises(OAuthError, match="not a regular file") as caught:
        shared.acquire()
    assert not isinstance(caught.value, AirflowFailException)
    assert not (tmp_path / "authorized_keys").exists()


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_the_target_of_a_link_is_not_changed(shared: HostLock, place: Path, tmp_path: Path, link: str) -> None:
    target = tmp_path / "private"
    target.write_text("content")
    target.chmod(0o640)
    getattr(place, link)(target)
    with suppress(OAuthError):
        shared.acquire()
    assert (target.read_text(), mode(target)) == ("content", 0o640)
    shared.release()


def test_a_link_created_after_the_check_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, shared: HostLock, place: Path, tmp_path: Path
) -> None:
    target = tmp_path / "private"
    target.write_text("content")
    target.chmod(0o640)

    def check(self: HostLock) -> None:
        place.unlink()
        place.symlink_to(target)

    monkeypatch.setattr(HostLock, "_check_file", check)
    with pytest.raises(OAuthError, match="symbolic links"):
        shared.acquire()
    assert (target.read_text(), mode(target)) == ("content", 0o640)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, bind], ids=["fifo", "folder", "socket"])
@pytest.mark.parametrize("of_several_users", [True, False])
def test_a_lock_file_that_is_not_a_regular_file_is_refused(
    folder: Path, place: Path, make: Callable[[Path], object], of_several_users: bool
) -> None:
    make(place)
    if not of_several_users:
        folder.chmod(0o700)
    with pytest.raises(OAuthError, match=r"not a regular file.*\[oauth\] lock_folder"):
        HostLock(folder, "api", shared=of_several_users).acquire()


def test_a_file_system_without_locks_causes_an_error(monkeypatch: pytest.MonkeyPatch, shared: HostLock) -> None:
    def flock(*args: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OAuthError, match=r"Function not implemented.*\[oauth\] lock_folder"):
        shared.acquire()
