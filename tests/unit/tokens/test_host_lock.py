from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import filelock
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from filelock import UnixFileLock

from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError
from airflow_provider_oauth.tokens.host_lock import HostLock

HOLD = """
import sys
from contextlib import suppress
from pathlib import Path
from airflow_provider_oauth.tokens.host_lock import HostLock
lock = HostLock(Path(sys.argv[1]), "api")
print(lock.acquire(), flush=True)
sys.stdin.read()
"""

#: The user ID of "nobody".
ANOTHER_USER = 65534


@pytest.fixture
def lock(tmp_path: Path) -> HostLock:
    return HostLock(tmp_path, "api")


@pytest.fixture
def another(tmp_path: Path) -> HostLock:
    """Return the lock as another process sees it."""
    return HostLock(tmp_path, "api")


def test_another_process_does_not_wait_and_gets_the_lock_after_it_was_released(
    lock: HostLock, another: HostLock
) -> None:
    assert lock.acquire()
    assert not another.acquire()
    lock.release()
    assert another.acquire()
    another.release()


def test_the_lock_can_be_acquired_twice_by_the_same_process(lock: HostLock, another: HostLock) -> None:
    assert lock.acquire()
    assert lock.acquire()
    lock.release()
    assert another.acquire()
    another.release()


def test_releasing_another_processs_lock_does_nothing(lock: HostLock, another: HostLock) -> None:
    assert lock.acquire()
    another.release()
    assert not another.acquire()
    lock.release()


def test_each_connection_has_its_own_lock(lock: HostLock, tmp_path: Path) -> None:
    other = HostLock(tmp_path, "other")
    assert lock.acquire()
    assert other.acquire()
    lock.release()
    other.release()


def test_the_lock_of_a_killed_process_is_free(lock: HostLock, tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == "True\n"
        assert not lock.acquire()
        holder.kill()
        holder.wait(10)
    assert lock.acquire()
    lock.release()


def test_the_folder_is_created_for_this_user_only(tmp_path: Path) -> None:
    folder = tmp_path / "locks" / "deep"
    lock = HostLock(folder, "../../etc/passwd")
    assert lock.acquire()
    (file,) = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert file.parent == folder
    lock.release()


def test_an_unusable_folder_names_the_setting_and_is_retried(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OAuthError, match=r"'api'.*\[oauth\] lock_folder") as caught:
        HostLock(tmp_path / "file", "api").acquire()
    assert not isinstance(caught.value, AirflowFailException)


def test_a_default_folder_that_other_users_can_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(OAuthError, match="other users can write to"):
        HostLock(folder, "api").acquire()


def test_a_default_folder_of_another_user_names_the_setting_and_is_retried(tmp_path: Path) -> None:
    folder = Path("/usr")  # belongs to root
    if os.getuid() == 0:
        folder = tmp_path / "locks"
        folder.mkdir(mode=0o700)
        os.chown(folder, ANOTHER_USER, ANOTHER_USER)
    with pytest.raises(OAuthError, match=r"belongs to another user.*\[oauth\] lock_folder") as caught:
        HostLock(folder, "api").acquire()
    assert not isinstance(caught.value, AirflowFailException)


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "locks").symlink_to(tmp_path / "target")
    with pytest.raises(OAuthError):
        HostLock(tmp_path / "locks", "api").acquire()


@pytest.mark.parametrize("version", ["3.16.0", "3.25.2", "4.2.4", "4.2.4rc1"])
@pytest.mark.parametrize("mode", [0o1777, 0o770, 0o702])
def test_an_old_filelock_is_refused_in_a_shared_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, mode: int
) -> None:
    tmp_path.chmod(mode)
    monkeypatch.setattr(filelock, "__version__", version)
    with pytest.raises(ConfigurationError, match=rf"'api'.*\[oauth\] lock_folder.*filelock {version} .*4\.2\.5"):
        HostLock(tmp_path, "api", shared=True).acquire()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_an_old_filelock_works_in_a_folder_of_one_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared: bool, mode: int
) -> None:
    tmp_path.chmod(mode)
    monkeypatch.setattr(filelock, "__version__", "3.25.2")
    lock = HostLock(tmp_path, "api", shared=shared)
    assert lock.acquire()
    assert not HostLock(tmp_path, "api", shared=shared).acquire()
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    lock.release()


def test_a_configured_folder_can_be_a_link_to_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "locks").symlink_to(tmp_path / "target")
    monkeypatch.setattr(
        filelock, "__version__", "3.25.2"
    )  # this version is refused if other users can write to the folder
    lock = HostLock(tmp_path / "locks", "api", shared=True)
    assert lock.acquire()
    lock.release()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o755), (0o002, 0o775)])
def test_the_umask_applies_when_a_configured_folder_is_created(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        with suppress(ConfigurationError):  # an old filelock
            HostLock(tmp_path / "locks", "api", shared=True).acquire()
    finally:
        os.umask(before)
    assert (tmp_path / "locks").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("version", ["4.2.5", "4.2.10", "4.3", "5.0.0.dev1"])
def test_a_new_filelock_works_in_a_shared_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str) -> None:
    made = []
    monkeypatch.setattr(filelock, "__version__", version)
    monkeypatch.setattr(filelock, "FileLock", lambda *args, **kwargs: made.append(kwargs) or UnixFileLock(args[0]))
    tmp_path.chmod(0o1777)
    assert HostLock(tmp_path, "api", shared=True).acquire()
    assert made == [{"mode": 0o666, "thread_local": False, "fallback_to_soft": False}]
