from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.oauth.lease import HostLock

HOLD = """
import sys
from pathlib import Path
from airflow_provider_oauth.oauth.lease import HostLock
with HostLock(Path(sys.argv[1]), "api").attempt() as taken:
    print(taken, flush=True)
    sys.stdin.read()
"""


def test_the_lock_is_taken_when_nobody_holds_it(tmp_path):
    with HostLock(tmp_path, "api").attempt() as taken:
        assert taken


def test_a_second_holder_does_not_wait(tmp_path):
    with HostLock(tmp_path, "api").attempt(), HostLock(tmp_path, "api").attempt() as taken:
        assert not taken


def test_connections_do_not_stand_in_each_others_way(tmp_path):
    with HostLock(tmp_path, "api").attempt(), HostLock(tmp_path, "other").attempt() as taken:
        assert taken


def test_the_lock_is_free_after_use_and_after_an_error(tmp_path):
    lock = HostLock(tmp_path, "api")
    with pytest.raises(RuntimeError, match="inside"), lock.attempt():
        raise RuntimeError("inside")
    with lock.attempt() as taken:
        assert taken


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    with holder:
        assert holder.stdout.readline() == "True\n"
        with HostLock(tmp_path, "api").attempt() as taken:
            assert not taken
        holder.kill()
        holder.wait(10)
    with HostLock(tmp_path, "api").attempt() as taken:
        assert taken


def test_the_folder_is_made_for_this_user_only(tmp_path):
    folder = tmp_path / "locks" / "deep"
    with HostLock(folder, "../../etc/passwd").attempt():
        (file,) = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert file.parent == folder


def test_a_folder_that_cannot_be_used_says_which_setting_to_change(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigurationError, match=r"'api'.*\[oauth\] lock_folder"),
        HostLock(tmp_path / "file", "api").attempt(),
    ):
        pass


def test_a_folder_that_another_user_could_hold_the_lock_in_is_refused(tmp_path):
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError, match="open to other users"), HostLock(folder, "api").attempt():
        pass


def test_a_link_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "locks").symlink_to(tmp_path / "target")
    with pytest.raises(ConfigurationError), HostLock(tmp_path / "locks", "api").attempt():
        pass


def test_a_configured_folder_can_be_shared_by_several_users(tmp_path):
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o777)
    with HostLock(folder, "api", shared=True).attempt() as taken:
        assert taken
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o666
