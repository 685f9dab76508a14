"""The harness that starts, uses and stops a real Airflow."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import psutil
import pytest
import requests

from sandbox.airflow import Airflow, AirflowError
from sandbox.fab_airflow import FabAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAG = """
from airflow.sdk import dag, task


@dag(schedule=None)
def trivial():
    @task
    def hello():
        print("hello from the task")
        return 42

    @task
    def fail_if_configured(params=None, dag_run=None):
        if dag_run.conf.get("fail"):
            raise ValueError("configured to fail")

    hello() >> fail_if_configured()


trivial()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``dags/trivial.py``, and ``home`` for Airflow."""
    folder = tmp_path_factory.mktemp("harness")
    (folder / "dags").mkdir()
    (folder / "dags" / "trivial.py").write_text(DAG)
    return folder


@pytest.fixture(scope="module")
def airflow(folder: Path) -> Iterator[Airflow]:
    """A running Airflow."""
    with Airflow(folder / "home", folder / "dags") as airflow:
        airflow.wait_until_parsed(["trivial"])
        yield airflow


def members(airflow: Airflow) -> list[psutil.Process]:
    """Return all processes of this Airflow."""
    return [process for component in airflow.components for process in component.members()]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return the processes that still run."""
    return [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def test_a_run_succeeds_and_its_log_and_xcom_can_be_read(airflow: Airflow) -> None:
    run_id = airflow.trigger("trivial")
    assert airflow.wait("trivial", run_id) == "success"
    assert airflow.task_states("trivial", run_id) == {"hello": "success", "fail_if_configured": "success"}
    assert "hello from the task" in airflow.task_log("trivial", run_id, "hello")
    assert airflow.xcom("trivial", run_id, "hello") == 42
    assert run_id in [run["dag_run_id"] for run in airflow.runs("trivial")]


def test_a_failed_run_is_reported_as_failed_and_its_log_has_the_reason(airflow: Airflow) -> None:
    run_id = airflow.trigger("trivial", conf={"fail": True})
    assert airflow.wait("trivial", run_id) == "failed"
    assert airflow.task_states("trivial", run_id)["fail_if_configured"] == "failed"
    assert "configured to fail" in airflow.task_log("trivial", run_id, "fail_if_configured")


def test_the_error_for_an_unknown_dag_quotes_airflow_and_names_the_logs(airflow: Airflow) -> None:
    with pytest.raises(AirflowError, match="(?s)returned 404.*not found.*console"):
        airflow.trigger("no_such_dag")


def test_the_error_for_a_dag_file_that_cannot_be_imported_has_its_traceback(airflow: Airflow, folder: Path) -> None:
    broken = folder / "dags" / "broken.py"
    broken.write_text("from airflow.sdk import dag\nimport a_module_that_is_not_there\n")
    try:
        with pytest.raises(AirflowError, match="(?s)broken.py.*a_module_that_is_not_there"):
            airflow.wait_until_parsed(["broken"])
    finally:
        broken.unlink()


def test_the_api_requires_a_login_and_listens_on_loopback_only(airflow: Airflow) -> None:
    assert requests.get(f"{airflow.url}/api/v2/dags", timeout=10).status_code == 401
    listening = {
        connection.laddr.ip
        for process in members(airflow)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_internal_secrets_are_in_files_that_only_the_owner_can_read(airflow: Airflow) -> None:
    for name in ("keys.json", "simple_auth_manager_passwords.json.generated"):
        assert stat.S_IMODE((airflow.home / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("kind", "roles"),
    [
        (Airflow, {"admin": "admin", "olga": "op", "victor": "viewer"}),
        # Ten seconds slower, because its commands start slowly.
        (FabAirflow, {"admin": "Admin", "olga": "Op", "victor": "Viewer"}),
    ],
)
def test_a_single_api_server_has_the_configured_users_and_workers(
    tmp_path: Path, kind: type[Airflow], roles: dict[str, str]
) -> None:
    (tmp_path / "dags").mkdir()
    with kind(tmp_path / "home", tmp_path / "dags", users=roles, only=["api-server"], api_server_workers=2) as airflow:
        assert [component.name for component in airflow.components] == ["api-server"]
        workers = [process for process in members(airflow) if "--multiprocessing-fork" in process.cmdline()]
        assert len(workers) == 2
        assert len({airflow.password_of(user) for user in roles}) == 3
        found = {}
        for user in roles:
            headers = {"Authorization": f"Bearer {airflow.token_of(user)}"}
            url = f"{airflow.url}/api/v2"
            responses = [requests.get(f"{url}/{path}", headers=headers, timeout=30) for path in ("dags", "connections")]
            found[user] = [response.status_code for response in responses]
        assert found == {"admin": [200, 200], "olga": [200, 200], "victor": [200, 403]}
        with pytest.raises(AirflowError, match="login of nobody failed with status 401"):
            airflow.token_of("nobody")


def test_a_second_start_has_the_runs_of_the_first_and_no_process_is_left_after_a_stop(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "trivial.py").write_text(DAG)
    with Airflow(tmp_path / "home", dags) as first:
        first.wait_until_parsed(["trivial"])
        run_id = first.trigger("trivial")
        assert first.wait("trivial", run_id) == "success"
        processes = members(first)
        assert len(processes) > len(first.components)
    assert alive(processes) == []
    with Airflow(tmp_path / "home", dags) as second:
        assert run_id in [run["dag_run_id"] for run in second.runs("trivial")]
        second.wait_until_parsed(["trivial"])
        assert second.wait("trivial", second.trigger("trivial")) == "success"


def test_a_failed_migration_raises_an_error_with_the_end_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    broken = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////no/such/folder/airflow.db"}
    with (
        pytest.raises(AirflowError, match="(?s)db migrate failed.*unable to open database file"),
        Airflow(tmp_path / "home", tmp_path / "dags", broken),
    ):
        pytest.fail("it started")


def test_a_component_that_exits_early_fails_the_start_with_the_end_of_its_log_and_stops_the_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "dags").mkdir()
    airflow = Airflow(tmp_path / "home", tmp_path / "dags", {"AIRFLOW__CORE__EXECUTOR": "NoSuchExecutor"})
    before = set(psutil.Process().children())
    with (
        pytest.raises(AirflowError, match=r"(?s)scheduler ended with exit code.*scheduler\.log.*NoSuchExecutor"),
        airflow,
    ):
        pytest.fail("it started")
    assert set(psutil.Process().children()) <= before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_airflow_stops_when_its_caller_is_stopped_by_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "dags").mkdir()
    caller = textwrap.dedent(
        """
        import signal, sys, threading
        from pathlib import Path
        from sandbox.airflow import Airflow

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        folder = Path(sys.argv[1])
        with Airflow(folder / "home", folder / "dags"):
            print("started", flush=True)
            threading.Event().wait()
        """
    )
    command = [sys.executable, "-c", caller, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=os.getcwd())  # noqa: S603
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"started\n"
        processes = psutil.Process(process.pid).children(recursive=True)
        assert len(processes) > 4
        process.send_signal(number)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert alive(processes) == []
