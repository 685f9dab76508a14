"""The link from a task to the page of its connection, in the UI and in the log of a failure."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException, BaseOperator, TaskDeferred
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.get_provider_info import get_provider_info
from airflow_provider_oauth.hooks.task import OAuthConnectionLink
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.operators.joor import JoorBulkOperator, JoorListOperator
from airflow_provider_oauth.operators.justimmo import JustimmoCurrentUserOperator
from airflow_provider_oauth.operators.justlogin import JustLoginListUsersOperator
from airflow_provider_oauth.operators.oauth import OAuthHttpOperator
from airflow_provider_oauth.sensors.oauth import OAuthHttpSensor
from tests.connections import TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests_mock import Mocker

# The HTTP provider causes this warning when an operator processes a response.
pytestmark = pytest.mark.filterwarnings("ignore:The `airflow.utils.operator_helpers.determine_kwargs` attribute")

API = "https://api.example.com/v1"
PAGE = "https://airflow.example.com/oauth/?conn_id=my_api"
LINE = f"The task failed while it used connection 'my_api'. To see the state of the connection, open {PAGE}"
REFUSED = {"status": "error", "error": exceptions.to_event(exceptions.InvalidClient("no"))}


@pytest.fixture(autouse=True)
def connection(
    define_connection: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    requests_mock: Mocker,
) -> None:
    define_connection("my_api", host=API)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/")
    requests_mock.post(TOKEN_URL, status_code=401, json={"error": "invalid_client"})


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The messages that tasks log as errors."""
    monkeypatch.setattr(BaseOperator, "log", logging.getLogger("airflow.task.operators"))
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


COMMON: dict[str, Any] = {"task_id": "call", "oauth_conn_id": "my_api"}
TASKS: dict[str, Callable[[], Any]] = {
    "operator": lambda: OAuthHttpOperator(**COMMON, endpoint="items"),
    "deferrable operator": lambda: OAuthHttpOperator(**COMMON, endpoint="items", deferrable=True),
    "sensor": lambda: OAuthHttpSensor(**COMMON, endpoint="items"),
    "deferrable sensor": lambda: OAuthHttpSensor(**COMMON, endpoint="items", deferrable=True),
    "extract": lambda: OAuthExtractOperator(**COMMON, endpoint="items", xcom_fields="id"),
    "justlogin": lambda: JustLoginListUsersOperator(**COMMON),
    "justimmo": lambda: JustimmoCurrentUserOperator(**COMMON),
    "joor": lambda: JoorListOperator(**COMMON, resource="seasons", account=1),
    "joor bulk": lambda: JoorBulkOperator(**COMMON, resource="skus", items=[{}], action="create", account=1),
}
every_task = pytest.mark.parametrize("kind", TASKS)


@every_task
def test_a_failed_task_logs_one_error_with_the_url_of_the_page(kind: str, errors: Callable[[], list[str]]) -> None:
    with pytest.raises(exceptions.InvalidClient):
        TASKS[kind]().execute({})
    assert errors() == [LINE]


@pytest.mark.parametrize("kind", ["deferrable operator", "deferrable sensor"])
def test_a_task_that_fails_after_its_deferral_logs_the_url(kind: str, errors: Callable[[], list[str]]) -> None:
    with pytest.raises(exceptions.InvalidClient):
        TASKS[kind]().resume_execution("execute_complete", {"event": REFUSED}, {})
    assert errors() == [LINE]


def test_without_a_base_url_the_error_contains_the_command(
    errors: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW__API__BASE_URL")
    with pytest.raises(exceptions.InvalidClient):
        TASKS["operator"]().execute({})
    text = "The task failed while it used connection 'my_api'. To see the state of the connection, run: "
    assert errors() == [text + "airflow oauth show my_api"]


def test_an_error_of_other_code_does_not_log_the_url(errors: Callable[[], list[str]], requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token"})
    requests_mock.post(f"{API}/items")
    task = OAuthHttpOperator(**COMMON, endpoint="items", response_check=lambda response: False)
    with pytest.raises(AirflowException, match="returned False"):
        task.execute({})
    assert errors() == []


def test_a_task_that_defers_logs_no_error(errors: Callable[[], list[str]], requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token"})
    with pytest.raises(TaskDeferred):
        TASKS["deferrable operator"]().execute({})
    assert errors() == []


def test_a_sensor_that_skips_logs_no_error(errors: Callable[[], list[str]]) -> None:
    with pytest.raises(AirflowSkipException):
        OAuthHttpSensor(**COMMON, endpoint="items", soft_fail=True).execute({})
    with pytest.raises(AirflowSkipException):
        OAuthHttpSensor(**COMMON, endpoint="items", soft_fail=True).resume_execution(
            "execute_complete", {"event": REFUSED}, {}
        )
    assert errors() == []


@every_task
def test_every_task_has_a_link_to_the_page_of_its_connection(kind: str) -> None:
    task = TASKS[kind]()
    (link,) = task.operator_extra_links
    assert (link.name, link.get_link(task, ti_key=None)) == ("OAuth connection", PAGE)


def test_the_link_contains_the_rendered_connection_id() -> None:
    task = OAuthHttpOperator(task_id="call", oauth_conn_id="{{ name }}")
    task.render_template_fields({"name": "my_api"})
    assert task.operator_extra_links[0].get_link(task, ti_key=None) == PAGE


def test_airflow_serializes_the_link() -> None:
    assert get_provider_info()["extra-links"] == [f"{OAuthConnectionLink.__module__}.{OAuthConnectionLink.__name__}"]
    with DAG("links"):
        task = OAuthHttpOperator(task_id="call")
    serialized = DagSerialization.to_dict(task.dag)
    (encoded,) = serialized["dag"]["tasks"]
    assert encoded["__var"]["_operator_extra_links"] == {"OAuth connection": "_link_OAuthConnectionLink"}
