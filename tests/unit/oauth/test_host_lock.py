from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.oauth.host_lock import HostLock

HOLD = """
import sys
from pathlib import Path
from airflow_provider_oauth.oauth.host_lock import HostLock
lock = HostLock(Path(sys.argv[1]), "api")
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path):
    return HostLock(tmp_path, "api")


@pytest.fixture
def another(tmp_path):
    """The lock, as another process has it."""
    return HostLock(tmp_path, "api")


def test_a_second_holder_does_not_wait_and_gets_it_when_the_first_lets_go(lock, another):
    assert lock.acquire()
    assert not another.acquire()
    lock.release()
    assert another.acquire()
    another.release()


def test_who_holds_it_can_ask_again(lock, another):
    assert lock.acquire()
    assert lock.acquire()
    lock.release()
    assert another.acquire()
    another.release()


def test_letting_go_of_what_another_holds_does_nothing(lock, another):
    assert lock.acquire()
    another.release()
    assert not another.acquire()
    lock.release()


def test_connections_do_not_stand_in_each_others_way(lock, tmp_path):
    other = HostLock(tmp_path, "other")
    assert lock.acquire()
    assert other.acquire()
    lock.release()
    other.release()


def test_the_lock_of_a_killed_process_is_free(lock, tmp_path):
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


def test_the_folder_is_made_for_this_user_only(tmp_path):
    folder = tmp_path / "locks" / "deep"
    lock = HostLock(folder, "../../etc/passwd")
    assert lock.acquire()
    (file,) = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert file.parent == folder
    lock.release()


def test_a_folder_that_cannot_be_used_says_which_setting_to_change(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"'api'.*\[oauth\] lock_folder"):
        HostLock(tmp_path / "file", "api").acquire()


def test_a_folder_that_another_user_could_hold_the_lock_in_is_refused(tmp_path):
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError, match="open to other users"):
        HostLock(folder, "api").acquire()


def test_a_link_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "locks").symlink_to(tmp_path / "target")
    with pytest.raises(ConfigurationError):
        HostLock(tmp_path / "locks", "api").acquire()


def test_a_configured_folder_can_be_shared_by_several_users(tmp_path):
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o777)
    lock = HostLock(folder, "api", shared=True)
    assert lock.acquire()
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o666
    lock.release()
