"""``make try``: an Airflow that runs until Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests

from sandbox.examples import EXAMPLES
from sandbox.playground import READY
from sandbox.processes import Component, kill
from sandbox.user_agent import AirflowPages

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
#: As ``python -m sandbox.playground`` in the foreground: the background jobs of a shell ignore SIGINT.
START = """
import signal, sys
from sandbox.playground import main

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
#: Seconds for the start, and for the stop.
TIMEOUT = 180


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that two starts share."""
    return tmp_path_factory.mktemp("playground")


@pytest.fixture
def playground(home: Path, tmp_path: Path) -> Iterator[Component]:
    """The running playground."""
    command = [sys.executable, "-c", START, "--home", str(home)]
    component = Component("playground", command, os.environ, ROOT, tmp_path / "output")
    try:
        deadline = time.monotonic() + TIMEOUT
        while not component.has_printed(READY):
            assert component.exit_code is None, component.tail()
            assert time.monotonic() < deadline, component.tail()
            time.sleep(0.2)
        yield component
    finally:
        descendants = psutil.Process(component.pid).children(recursive=True) if component.exit_code is None else []
        kill([component])
        for process in descendants:
            process.kill()


def printed(playground: Component, label: str) -> str:
    """Return the value that the playground has printed after a label."""
    found = re.search(rf"^{label}: +(\S+)$", playground.log.read_text(), re.MULTILINE)
    assert found, playground.tail()
    return found[1]


# The second start uses the files of the first one: the connections are stored again, and the token is found.
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_printed_user_can_log_in_and_stopping_leaves_no_process(
    playground: Component, number: signal.Signals
) -> None:
    url = printed(playground, "Airflow")
    credentials = {"username": printed(playground, "User"), "password": printed(playground, "Password")}
    response = requests.post(f"{url}/auth/token", json=credentials, timeout=30)
    assert response.status_code == 201
    token = response.json()["access_token"]
    page = AirflowPages(url, token).show()
    assert page.rows.keys() == {example.conn_id for example in EXAMPLES.values()}
    assert all(conn_id in playground.log.read_text() for conn_id in page.rows)
    assert AirflowPages(url, token).act("example_operator", "renew")
    headers = {"Authorization": f"Bearer {token}"}
    dags = requests.get(f"{url}/api/v2/dags", headers=headers, timeout=30).json()["dags"]
    assert {dag["dag_id"] for dag in dags} == EXAMPLES.keys()

    processes = psutil.Process(playground.pid).children(recursive=True)
    assert len(processes) > 4
    os.kill(playground.pid, number)
    deadline = time.monotonic() + TIMEOUT
    while playground.exit_code is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert playground.exit_code == 0, playground.tail()
    assert not [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
