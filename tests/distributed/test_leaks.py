"""No secret and no issued token is in anything that Airflow writes at log level DEBUG, while the example DAGs run."""

from __future__ import annotations

import base64
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from sandbox.airflow import Airflow
from sandbox.examples import (
    EXAMPLES,
    EXAMPLES_FOLDER,
    ExampleClients,
    as_environment,
    authorize_examples,
    create_runs,
    start_watched_example,
)
from sandbox.server import SandboxProcess
from tests.distributed.leak_search import forms, report, search

if TYPE_CHECKING:
    from pathlib import Path

#: A task that leaks its token in every way that this test must detect.
PLANTED = """
import base64

from airflow.sdk import dag, task

from airflow_provider_oauth.hooks.oauth import OAuthHook


@dag(schedule=None)
def planted_leak():
    @task
    def leak():
        token = OAuthHook(oauth_conn_id="planted").get_token().access_token
        print("base64:", base64.b64encode(f"Bearer {token}".encode()).decode())
        return f"https://api.example.com/?access_token={token}"

    leak()


planted_leak()
"""
#: Tasks that fail with a traceback: the secret is refused, the API forbids the request, the API is unreachable.
FAILING = """
from airflow.sdk import dag

from airflow_provider_oauth.operators.oauth import OAuthHttpOperator


@dag(schedule=None)
def failing():
    OAuthHttpOperator(task_id="refused", oauth_conn_id="refused", method="GET", endpoint="items")
    OAuthHttpOperator(
        task_id="refused_deferred", oauth_conn_id="refused", method="GET", endpoint="items", deferrable=True
    )
    OAuthHttpOperator(task_id="forbidden", oauth_conn_id="example_operator", method="GET", endpoint="admin")
    OAuthHttpOperator(task_id="unreachable", oauth_conn_id="unreachable", method="GET", endpoint="items")


failing()
"""
FAILING_SECRETS = {
    "secret that is refused": "fake-refused/+secret%3D",
    "secret parameter": "fake-parameter/+secret%3D",
    "secret header": "fake-header/+secret%3D",
}
PLANTED_SECRET = "not-a-real-secret-of-the-planted-client"  # noqa: S105


@dataclass(frozen=True)
class Written:
    """The files of an Airflow that ran all examples and then a DAG that leaks its token.

    :param home: its AIRFLOW_HOME
    :param states: the final states of the examples and of the DAG ``failing``
    :param failures: the final state of each task of the DAG ``failing``
    :param tokens: the tokens issued to the examples
    :param secrets: the configured secrets of the examples, also as HTTP Basic sends them
    :param planted: the tokens issued to the DAG that leaks
    """

    home: Path
    states: dict[str, str]
    failures: dict[str, str]
    tokens: dict[str, str]
    secrets: dict[str, str]
    planted: dict[str, str]


@pytest.fixture(scope="module", params=["environment", "database"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Run all DAGs at log level DEBUG, with the connections in the environment or in the database."""
    folder = tmp_path_factory.mktemp("leaks")
    dags = folder / "dags"
    shutil.copytree(EXAMPLES_FOLDER, dags, ignore=shutil.ignore_patterns("__pycache__"))
    (dags / "planted_leak.py").write_text(PLANTED)
    (dags / "failing.py").write_text(FAILING)
    with SandboxProcess(folder / "sandbox") as sandbox:
        clients = ExampleClients(folder / "clients.json")
        clients.register(sandbox)
        sandbox.control("clients", {"server": "standard", "client_id": "planted", "client_secret": PLANTED_SECRET})
        connections = clients.connections(sandbox)
        connections["planted"] = {**connections["example_stock"], "login": "planted", "password": PLANTED_SECRET}
        connections |= failing_connections(connections["example_operator"])
        env = as_environment(connections) if request.param == "environment" else {}
        env |= clients.environment()
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(dags), os.environ.get("PYTHONPATH")]))
        with Airflow(folder / "airflow", dags, env, log_level="DEBUG") as airflow:
            if request.param == "database":
                airflow.store_connections(connections)
            airflow.wait_until_parsed([*EXAMPLES, "planted_leak", "failing"])
            authorize_examples(airflow)
            started = create_runs(airflow)
            started |= {dag_id: start_watched_example(airflow, dag_id) for dag_id in EXAMPLES.keys() - started.keys()}
            states = {dag_id: airflow.wait(dag_id, run_id, 240) for dag_id, run_id in started.items()}
            states["failing"] = airflow.wait("failing", run_id := airflow.trigger("failing"), 240)
            failures = airflow.task_states("failing", run_id)
            issued = sandbox.control("issued")
            assert airflow.wait("planted_leak", airflow.trigger("planted_leak")) == "success"
            planted = sandbox.control("issued")[len(issued) :]
    return Written(
        home=folder / "airflow",
        states=states,
        failures=failures,
        tokens={f"token {number}": token for number, token in enumerate(issued)},
        secrets=clients.secrets() | clients.basic_pairs() | FAILING_SECRETS,
        planted={f"planted token {number}": token for number, token in enumerate(planted)},
    )


def failing_connections(working: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the connections of the tasks that fail, based on a connection that works."""
    secrets = {
        "secret_params": {"key": FAILING_SECRETS["secret parameter"]},
        "secret_headers": {"X-Key": FAILING_SECRETS["secret header"]},
    }
    return {
        "refused": {**working, "password": FAILING_SECRETS["secret that is refused"]},
        "unreachable": {**working, "host": "http://127.0.0.1:9", "extra": working["extra"] | secrets},
    }


def test_every_example_dag_succeeds_at_debug(written: Written) -> None:
    assert written.states == {**dict.fromkeys(EXAMPLES, "success"), "failing": "failed"}


def test_every_task_of_the_failing_dag_fails(written: Written) -> None:
    tasks = ("refused", "refused_deferred", "forbidden", "unreachable")
    assert written.failures == dict.fromkeys(tasks, "failed")


def test_no_token_issued_to_an_example_dag_is_written_anywhere(written: Written) -> None:
    assert len(written.tokens) >= len(EXAMPLES)
    leaks = search(written.home, written.tokens)
    assert not leaks, report(leaks)


def test_no_configured_secret_is_written_anywhere(written: Written) -> None:
    assert len(written.secrets) >= 2 * len(EXAMPLES)
    leaks = search(written.home, written.secrets)
    assert not leaks, report(leaks)


def test_a_deliberate_leak_is_found_in_the_log_the_console_and_the_database(written: Written) -> None:
    assert len(written.planted) == 1
    leaks = search(written.home, written.planted)
    places = {(leak.place.partition("/")[0], leak.form.partition(",")[0]) for leak in leaks}
    assert ("logs", "base64") in places, report(leaks)
    assert ("console", "base64") in places, report(leaks)
    assert ("airflow.db, xcom.value", "plain") in places, report(leaks)


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("secret", ["k/8+x=?>~", "a token of 21 letters", "ünïcödé/%3d"])
def test_a_secret_is_found_in_base64_at_any_offset(secret: str, before: int, after: int) -> None:
    haystack = b"<" * before + secret.encode() + b">" * after
    assert any(form in base64.b64encode(haystack) for form in forms(secret).values())
    assert any(form in base64.urlsafe_b64encode(haystack) for form in forms(secret).values())


def test_a_secret_is_found_in_urls() -> None:
    secret = "a/b+c d%="  # noqa: S105
    for haystack in (f"?t={quote(secret)}&", f"?t={quote(secret, safe='')}&", "?t=a%2Fb%2Bc+d%25%3D&"):
        assert any(form in haystack.encode() for form in forms(secret).values())
