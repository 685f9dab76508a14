"""``make try``: an Airflow that runs until Ctrl-C or SIGTERM."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests

from sandbox.examples import DOCS, EXAMPLES
from sandbox.playground import READY
from sandbox.processes import Component, kill
from sandbox.user_agent import AirflowPages
from tests.documents import README, blocks

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
#: Seconds for the start, for the run of a DAG, and for the stop.
TIMEOUT = 180
CONN_IDS = {example.conn_id for example in (*EXAMPLES.values(), *DOCS)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that two starts share, with the DAG of the README."""
    home = tmp_path_factory.mktemp("playground")
    (dag,) = blocks("python", README)
    (home / "dags").mkdir()
    (home / "dags" / "customers.py").write_text(dag.text.replace("/data/", f"{home}/data/"))
    return home


@pytest.fixture(scope="module")
def urls() -> set[str]:
    """The URLs of both starts."""
    return set()


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


def run_airflow(home: Path, command: str) -> str:
    """Run an ``airflow`` command in a shell that has sourced the printed file, and return its output."""
    script = f'source "{home}/env" && {command}'
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["/bin/bash", "-c", script], env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# The second start uses the files of the first one: the connections are stored again, and the token is found.
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_printed_user_can_log_in_and_stopping_leaves_no_process(
    playground: Component, home: Path, urls: set[str], number: signal.Signals
) -> None:
    url = printed(playground, "Airflow")
    urls.add(url)
    assert urls == {url}  # the second start has the port of the first one
    credentials = {"username": printed(playground, "User"), "password": printed(playground, "Password")}
    response = requests.post(f"{url}/auth/token", json=credentials, timeout=30)
    assert response.status_code == 201
    token = response.json()["access_token"]
    page = AirflowPages(url, token).show()
    assert page.rows.keys() == CONN_IDS
    assert all(conn_id in playground.log.read_text() for conn_id in page.rows)
    assert AirflowPages(url, token).act("example_operator", "renew")
    headers = {"Authorization": f"Bearer {token}"}
    dags = requests.get(f"{url}/api/v2/dags", headers=headers, timeout=30).json()["dags"]
    assert {dag["dag_id"] for dag in dags} - {"customers"} == EXAMPLES.keys()

    assert (home / "env").stat().st_mode & 0o777 == 0o600
    assert {row["conn_id"] for row in json.loads(run_airflow(home, "airflow oauth list -o json"))} == CONN_IDS
    assert printed(playground, "Server") in run_airflow(home, "airflow connections get my_api -o json")
    run_airflow(home, "airflow dags test customers")
    assert len((home / "data" / "customers.jsonl").read_text().splitlines()) == 250
    (home / "data" / "customers.jsonl").unlink()

    processes = psutil.Process(playground.pid).children(recursive=True)
    assert len(processes) > 4
    os.kill(playground.pid, number)
    deadline = time.monotonic() + TIMEOUT
    while playground.exit_code is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert playground.exit_code == 0, playground.tail()
    assert not [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
