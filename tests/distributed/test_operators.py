"""Operators, sensors and triggers, also those of the HTTP provider, in a running Airflow."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from sandbox.airflow import Airflow, AirflowError
from sandbox.examples import EXAMPLES_FOLDER
from sandbox.server import SandboxProcess
from tests.connections import connection_values
from tests.distributed.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

DAGS = Path(__file__).parent / "dags"
OURS = ("operator", "operator_deferred", "sensor", "sensor_deferred")
SECRET = "not-a-real-secret"  # noqa: S105
WRONG = "another-secret"


def connection_fields(url: str, client_id: str, secret: str = SECRET, **extra: Any) -> dict[str, Any]:
    """Return the fields of a connection to the sandbox's standard server; ``extra`` is a dict."""
    server = {"host": f"{url}/standard/api", "grant_url": f"{url}/standard/token"}
    fields = {"login": client_id, "password": secret, "grant_type": "client_credentials", "scope": "read"}
    return connection_values(**server | fields | extra)


def connection(url: str, client_id: str, secret: str = SECRET, **extra: Any) -> str:
    """Return a connection to the sandbox's standard server as JSON."""
    return json.dumps(connection_fields(url, client_id, secret, **extra))


def client(client_id: str, **fields: Any) -> dict[str, Any]:
    """Return the registration of a client at the standard server."""
    return {"server": "standard", "client_id": client_id, "client_secret": SECRET, "scopes": ["read"], **fields}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox with a client for every connection."""
    with SandboxProcess(tmp_path_factory.mktemp("operators_sandbox")) as sandbox:
        for client_id in ("valid", "wrong_secret", "stock", "watcher", "changed"):
            sandbox.control("clients", client(client_id))
        sandbox.control("clients", client("wrong_password", users={"ada": "her password"}))
        yield sandbox


@pytest.fixture(scope="module")
def airflow(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """An Airflow with a connection for every client. Some connections are wrong."""
    url = sandbox.url
    password = {"grant_type": "password", "username": "ada", "user_password": WRONG}
    env = {
        "AIRFLOW_CONN_VALID": connection(url, "valid"),
        "AIRFLOW_CONN_WRONG_SECRET": connection(url, "wrong_secret", WRONG),
        "AIRFLOW_CONN_WRONG_PASSWORD": connection(url, "wrong_password", **password),
        "AIRFLOW_CONN_CHANGED": connection(url, "changed"),
        "AIRFLOW_CONN_STOCK": connection(url, "stock"),
        "AIRFLOW_CONN_WATCHER": connection(url, "watcher"),
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        # The folder has the check of the asset watcher.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(EXAMPLES_FOLDER), os.environ.get("PYTHONPATH")])),
    }
    with Airflow(tmp_path_factory.mktemp("operators_airflow"), DAGS, env) as airflow:
        airflow.wait_until_parsed([f"{kind}__valid" for kind in OURS])
        yield airflow


def run(airflow: Airflow, dag_id: str) -> tuple[str, dict[str, Any], str]:
    """Run a DAG, and return its state, its task as the API describes it, and the task's log."""
    run_id = airflow.trigger(dag_id)
    state = airflow.wait(dag_id, run_id)
    (task,) = airflow.task_instances(dag_id, run_id)
    return state, task, airflow.task_log(dag_id, run_id, "call", max(1, task["try_number"]))


@pytest.mark.parametrize("kind", OURS)
def test_a_task_with_valid_credentials_succeeds_at_the_first_try(airflow: Airflow, kind: str) -> None:
    state, task, log = run(airflow, f"{kind}__valid")
    assert (state, task["try_number"]) == ("success", 1), log
    if kind.startswith("operator"):
        assert airflow.xcom(f"{kind}__valid", task["dag_run_id"], "call") == 250


def test_tasks_and_triggerer_share_one_token(airflow: Airflow, sandbox: SandboxProcess) -> None:
    for kind in OURS:
        assert run(airflow, f"{kind}__valid")[0] == "success"
    counts = sandbox.control("counts")["valid"]
    assert (counts["token_requests"], counts["api_401"]) == (1, 0)


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize(
    ("conn_id", "error"), [("wrong_secret", "invalid_client"), ("wrong_password", "invalid_grant")]
)
def test_wrong_credentials_fail_the_task_without_retries(airflow: Airflow, kind: str, conn_id: str, error: str) -> None:
    state, task, log = run(airflow, f"{kind}__{conn_id}")
    assert (state, task["state"], task["try_number"], task["max_tries"]) == ("failed", "failed", 1, 3), log
    assert error in log
    assert f"'{conn_id}'" in log
    page = f"{airflow.url}/oauth/?conn_id={conn_id}"
    assert f"The task failed while it used connection '{conn_id}'." in log
    assert f"To see the state of the connection, open {page}" in log
    run_id = quote(task["dag_run_id"])
    links = airflow.api("GET", f"dags/{kind}__{conn_id}/dagRuns/{run_id}/taskInstances/call/links")
    assert links["extra_links"] == {"OAuth connection": page}


def test_after_a_wrong_password_the_next_tasks_fail_with_the_same_reason_and_send_no_token_request(
    airflow: Airflow, sandbox: SandboxProcess
) -> None:
    run(airflow, "operator__wrong_password")
    token_requests = sandbox.control("counts")["wrong_password"]["token_requests"]
    assert token_requests > 0
    state, task, log = run(airflow, "operator_deferred__wrong_password")
    assert (state, task["try_number"]) == ("failed", 1)
    assert "invalid_grant" in log
    assert "No request is sent until" in log
    assert sandbox.control("counts")["wrong_password"]["token_requests"] == token_requests


def test_a_deferred_sensor_fails_without_retries_when_its_credentials_become_invalid(
    airflow: Airflow, sandbox: SandboxProcess
) -> None:
    run_id = airflow.trigger("sensor_deferred__changed", conf={"after": 1000})
    wait_until(
        lambda: airflow.task_states("sensor_deferred__changed", run_id)["call"] == "deferred", "it was not deferred"
    )
    before = sandbox.control("counts")["changed"]["api_calls"]
    wait_until(lambda: sandbox.control("counts")["changed"]["api_calls"] > before, "the triggerer does not poll")
    sandbox.control("clients", client("changed", client_secret=WRONG))
    sandbox.control("revoke", {"server": "standard", "client_id": "changed"})
    assert airflow.wait("sensor_deferred__changed", run_id) == "failed"
    (task,) = airflow.task_instances("sensor_deferred__changed", run_id)
    assert task["try_number"] == 1
    assert "invalid_client" in airflow.task_log("sensor_deferred__changed", run_id, "call")


def test_the_stock_operator_works_with_the_connection(airflow: Airflow, sandbox: SandboxProcess) -> None:
    state, task, log = run(airflow, "stock_operator__stock")
    assert state == "success", log
    assert airflow.xcom("stock_operator__stock", task["dag_run_id"], "call") == 250


@pytest.mark.parametrize("kind", ["stock_operator_deferred", "stock_sensor", "stock_sensor_deferred"])
def test_stock_code_that_bypasses_the_hook_fails_before_anything_is_sent(
    airflow: Airflow, sandbox: SandboxProcess, kind: str
) -> None:
    run_id = airflow.trigger(f"{kind}__stock")
    wait_until(
        lambda: airflow.task_states(f"{kind}__stock", run_id).get("call") in ("failed", "up_for_retry"),
        "it did not fail",
    )
    # The sandbox counts requests without a valid token under "?".
    assert sandbox.control("counts").get("?", {}).get("api_calls", 0) == 0
    airflow.unpause(f"{kind}__stock", paused=True)


def test_a_watcher_starts_one_run_per_event_and_continues_polling(airflow: Airflow, sandbox: SandboxProcess) -> None:
    airflow.wait_until_parsed(["watcher"])
    airflow.unpause("watcher")
    wait_until(lambda: airflow.runs("watcher"), "the watcher started no run")
    (first,) = airflow.runs("watcher")
    assert airflow.wait("watcher", first["dag_run_id"]) == "success"
    assert airflow.xcom("watcher", first["dag_run_id"], "count_events") == 1
    calls = sandbox.control("counts")["watcher"]["api_calls"]
    wait_until(lambda: sandbox.control("counts")["watcher"]["api_calls"] > calls + 2, "the watcher stopped polling")
    assert len(airflow.runs("watcher")) == 1
    assert sandbox.control("counts")["watcher"]["token_requests"] == 1


@pytest.mark.parametrize(
    ("secret", "works", "text"),
    [
        (SECRET, True, "Requested scope: read; granted: as requested."),
        (WRONG, False, "Check Client ID, Client secret and Client authentication (client_secret_basic)."),
    ],
)
def test_the_test_button_reports_the_result_and_stores_nothing(
    airflow: Airflow, sandbox: SandboxProcess, secret: str, works: bool, text: str
) -> None:
    fields = connection_fields(sandbox.url, "valid", secret)
    before = airflow.api("GET", "variables")["total_entries"]
    body = {**fields, "connection_id": "tested", "extra": json.dumps(fields["extra"])}
    result = airflow.api("POST", "connections/test", json=body)
    assert result["status"] is works
    assert text in result["message"]
    assert secret not in result["message"]
    assert airflow.api("GET", "variables")["total_entries"] == before


def test_the_command_line_tests_a_connection(airflow: Airflow) -> None:
    assert "Connection success!" in airflow.cli("connections", "test", "valid")
    with pytest.raises(AirflowError, match="(?s)Connection failed!.*invalid_client"):
        airflow.cli("connections", "test", "wrong_secret")
