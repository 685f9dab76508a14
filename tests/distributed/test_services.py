"""Start, restart and stop of the services that an Airflow of several hosts needs."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from sandbox import services
from sandbox.processes import Component, kill
from sandbox.services import PostgreSQL, Redis, Service, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], process_group=0)
print("ready", flush=True)
child.wait()
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Component]:
    """A process with a child in a new process group, like a task."""
    component = Component("parent", [sys.executable, "-c", PARENT], {}, tmp_path, tmp_path / "log")
    try:
        while not component.has_printed("ready"):
            assert component.exit_code is None, component.tail()
        yield component
    finally:
        kill([component])


@pytest.mark.parametrize("mode", ["smart", "fast", "immediate"])
def test_postgresql_has_the_same_port_and_data_after_a_restart(tmp_path: Path, mode: services.StopMode) -> None:
    with PostgreSQL(tmp_path) as postgresql:
        postgresql.query("CREATE TABLE kept AS SELECT 7 AS number, 'seven' AS word")
        port, pid = postgresql.port, postgresql.pid
        postgresql.restart(mode)
        assert (postgresql.port, postgresql.pid != pid) == (port, True)
        assert postgresql.query("SELECT * FROM kept") == [["7", "seven"]]


@pytest.mark.parametrize("kind", [PostgreSQL, Redis])
def test_a_service_listens_on_loopback_only_and_has_stopped_at_the_end(tmp_path: Path, kind: type[Service]) -> None:
    with kind(tmp_path) as service:
        process = psutil.Process(service.pid)
        processes = [process, *process.children(recursive=True)]
        listening = {each.laddr for each in process.net_connections() if each.status == psutil.CONN_LISTEN}
        assert listening == {("127.0.0.1", service.port)}
    psutil.wait_procs(processes, timeout=10)
    assert not any(each.is_running() for each in processes)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", service.port), timeout=5)


def test_postgresql_requires_the_password_and_leaves_no_data(tmp_path: Path) -> None:
    before = set(Path(services.tempfile.gettempdir()).glob("postgresql-*"))
    with PostgreSQL(tmp_path) as postgresql:
        password, postgresql.password = postgresql.password, "a wrong one"
        with pytest.raises(ServiceError, match="password authentication failed"):
            postgresql.query("SELECT 1")
        postgresql.password = password
    assert set(Path(services.tempfile.gettempdir()).glob("postgresql-*")) == before


@pytest.mark.parametrize(("kind", "package"), [(PostgreSQL, "postgresql"), (Redis, "redis-server")])
def test_the_error_for_a_missing_service_names_its_debian_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Service], package: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(services, "_DEBIAN_POSTGRESQL", str(tmp_path))
    with pytest.raises(ServiceError, match=f"is missing. Debian: apt-get install {package}$"), kind(tmp_path):
        pytest.fail("it started")


def test_the_error_for_a_service_that_does_not_start_has_the_end_of_its_log(tmp_path: Path) -> None:
    redis = Redis(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        redis.port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=r"(?s)redis\.log.*Address already in use"), redis:
            pytest.fail("it started")


def test_a_paused_component_pauses_all_its_processes_until_it_is_resumed(parent: Component) -> None:
    assert len(parent.members()) == 2
    parent.pause()
    assert {process.status() for process in parent.members()} == {psutil.STATUS_STOPPED}
    parent.resume()
    deadline = time.monotonic() + 10
    while any(process.status() == psutil.STATUS_STOPPED for process in parent.members()):
        assert time.monotonic() < deadline


def test_a_paused_component_is_killed_with_all_its_processes(parent: Component) -> None:
    members = parent.members()
    parent.pause()
    kill([parent])
    assert not any(each.is_running() for each in members)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_services_stop_when_their_caller_is_stopped_by_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    caller = (
        "import signal, sys, threading; from pathlib import Path; from sandbox.services import PostgreSQL, Redis\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "with PostgreSQL(Path(sys.argv[1])) as one, Redis(Path(sys.argv[1])) as two:\n"
        "    print('started', flush=True)\n"
        "    threading.Event().wait()\n"
    )
    component = Component(
        "caller", [sys.executable, "-c", caller, str(tmp_path)], dict(os.environ), Path.cwd(), tmp_path / "log"
    )
    try:
        while not component.has_printed("started"):
            assert component.exit_code is None, component.tail()
        processes = psutil.Process(component.pid).children(recursive=True)
        component.signal(number)
        while component.exit_code is None:
            psutil.wait_procs(processes, timeout=0.1)
    finally:
        kill([component])
    assert processes
    assert not any(each.is_running() for each in processes)
