"""A lock folder that the processes of several users share."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import pytest

from airflow_provider_oauth.tokens.host_lock import SHARED_SINCE, _version

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = pytest.mark.skipif(
    _version(filelock.__version__) < SHARED_SINCE, reason="this filelock cannot share a folder: see test_host_lock.py"
)

#: CI runs as root, which can start processes of other users. Other users test with their own processes only.
USERS = [61001, 61002, 61003, 61004] if os.geteuid() == 0 else [os.geteuid()] * 4

#: Starts one process for each user ID. Each changes its user after the imports, because other users may not be able to
#: read the package.
PROCESSES = """
import json
import multiprocessing
import os
import sys
from pathlib import Path

import filelock.asyncio
from airflow_provider_oauth.tokens.host_lock import HostLock

folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
context = multiprocessing.get_context("fork")
barrier = context.Barrier(len(sys.argv[3:]), timeout=120)
outcomes = context.SimpleQueue()

def take(user):
    if user != os.geteuid():
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    os.umask(0o077)
    locks = [HostLock(folder, f"conn-{number}", shared=True) for number in range(rounds)]
    for number, lock in enumerate(locks):
        barrier.wait()
        try:
            outcome = lock.acquire()
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"
        outcomes.put((number, outcome))
    barrier.wait()  # until then, each process holds its locks

processes = [context.Process(target=take, args=[int(user)]) for user in sys.argv[3:]]
for process in processes:
    process.start()
print(json.dumps([outcomes.get() for _ in range(rounds * len(processes))]))
for process in processes:
    process.join(120)
sys.exit(any(process.exitcode for process in processes))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in which every user can create files. Other users cannot access ``tmp_path``."""
    folder = Path(tempfile.mkdtemp(prefix="oauth-locks-"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


def take(folder: Path, rounds: int, users: list[int]) -> list[list[Any]]:
    """Let all users acquire the same new lock at the same time, in several rounds. Return the results of each round."""
    done = subprocess.run(
        [sys.executable, "-c", PROCESSES, str(folder), str(rounds), *map(str, users)],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    got = {}
    for number, outcome in json.loads(done.stdout):
        got.setdefault(number, []).append(outcome)
    return list(got.values())


def test_one_of_four_users_acquires_a_new_lock_and_none_gets_an_error(folder: Path) -> None:
    got = take(folder, 60, USERS)
    assert [sorted(outcomes, key=str) for outcomes in got] == [[False, False, False, True]] * 60
    files = list(folder.iterdir())
    assert len(files) == 60
    assert {file.stat().st_mode & 0o777 for file in files} == {0o666}


def test_the_error_names_the_setting_if_the_lock_file_of_another_user_cannot_be_opened(folder: Path) -> None:
    take(folder, 1, USERS[:1])
    (file,) = folder.iterdir()
    if os.geteuid() == 0:
        os.chown(file, 0, 0)
    file.chmod(0)
    ((outcome,),) = take(folder, 1, USERS[1:2])
    assert outcome.startswith("OAuthError: Connection 'conn-0': the lock file")
    assert "Permission denied. Set [oauth] lock_folder to" in outcome
