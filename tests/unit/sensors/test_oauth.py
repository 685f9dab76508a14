"""``OAuthHttpSensor``: it behaves like ``HttpSensor``."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException, TaskDeferred
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import PokeReturnValue
from airflow.sdk.serde import deserialize, serialize

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.sensors.oauth import OAuthHttpSensor
from airflow_provider_oauth.triggers.oauth import OAuthHttpSensorTrigger
from tests.connections import TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests_mock import Mocker
    from requests_mock.adapter import _Matcher

API = "https://api.example.com/v1"
READY = f"{API}/ready"


@pytest.fixture(autouse=True)
def connection(define_connection: Callable[..., None], variables: dict[str, str], requests_mock: Mocker) -> _Matcher:
    define_connection("my_api", host=API)
    return requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})


@pytest.fixture
def refused(requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, status_code=401, json={"error": "invalid_client"})


def sensor(**changes: Any) -> OAuthHttpSensor:
    parameters: dict[str, Any] = {"task_id": "wait", "oauth_conn_id": "my_api", "endpoint": "ready", "poke_interval": 0}
    return OAuthHttpSensor(**(parameters | changes))


# --- not deferred


def test_it_is_an_http_sensor_that_succeeds_without_an_error_status(requests_mock: Mocker) -> None:
    requests_mock.get(READY)
    assert issubclass(OAuthHttpSensor, HttpSensor)
    assert sensor(request_params={"day": "1"}, headers={"X": "1"}).poke({}) is True
    assert requests_mock.last_request.url == f"{READY}?day=1"
    assert requests_mock.last_request.headers["X"] == "1"
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token"


def test_creating_the_sensor_reads_no_connection_and_sends_no_request(requests_mock: Mocker) -> None:
    assert OAuthHttpSensor(task_id="wait", endpoint="x").oauth_conn_id == "oauth_default"
    assert requests_mock.call_count == 0


def test_a_404_means_not_ready_unless_the_allowlist_is_empty(requests_mock: Mocker) -> None:
    requests_mock.get(READY, status_code=404)
    assert sensor().poke({}) is False
    with pytest.raises(exceptions.ApiError, match="^404"):
        sensor(response_error_codes_allowlist=[]).poke({})


@pytest.mark.parametrize("status", [400, 403, 409, 500, 503])
def test_another_error_status_is_an_error_unless_the_allowlist_contains_it(requests_mock: Mocker, status: int) -> None:
    requests_mock.get(READY, status_code=status)
    with pytest.raises(exceptions.ApiError, match=f"^{status}"):
        sensor().poke({})
    assert sensor(response_error_codes_allowlist=[str(status)]).poke({}) is False


def test_the_allowlist_contains_statuses_and_not_prefixes_of_error_texts(requests_mock: Mocker) -> None:
    requests_mock.get(READY, status_code=404, reason="4")
    with pytest.raises(exceptions.ApiError):
        sensor(response_error_codes_allowlist=["4", "40", "404:"]).poke({})


def test_the_response_check_decides_and_can_return_a_value(requests_mock: Mocker) -> None:
    requests_mock.get(READY, json={"ready": False})
    assert sensor(response_check=lambda response: response.json()["ready"]).poke({}) is False
    result = PokeReturnValue(is_done=True, xcom_value=7)
    assert sensor(response_check=lambda response, ds: result).poke({"ds": "x"}) is result


def test_all_pokes_use_one_token(requests_mock: Mocker, connection: _Matcher) -> None:
    requests_mock.get(READY, [{"status_code": 404}, {"status_code": 404}, {"text": "ready"}])
    sensor().execute({})
    assert connection.call_count == 1


def test_a_connection_of_type_http_is_refused_before_its_password_is_sent(
    define_connection: Callable[..., None], requests_mock: Mocker
) -> None:
    define_connection("my_api", conn_type="http", host=API)
    with pytest.raises(exceptions.ConfigurationError, match="'http'"):
        sensor().poke({})
    assert requests_mock.call_count == 0


def test_the_template_fields_are_rendered_and_contain_no_secret(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/ready-7")
    task = sensor(
        oauth_conn_id="{{ conn }}", scope="{{ scope }}", endpoint="ready-{{ n }}", request_params={"q": "{{ n }}"}
    )
    task.render_template_fields({"conn": "my_api", "scope": "read", "n": 7})
    assert task.poke({})
    rendered = {name: getattr(task, name) for name in type(task).template_fields}
    assert rendered == {
        "endpoint": "ready-7",
        "request_params": {"q": "7"},
        "headers": {},
        "oauth_conn_id": "my_api",
        "scope": "read",
        "until": None,
    }


# --- until


def test_it_waits_until_the_condition_is_true(requests_mock: Mocker) -> None:
    requests_mock.get(READY, [{"json": {"status": "busy"}}, {"json": {}}, {"json": {"status": "done"}}])
    sensor(until="status == 'done'").execute({})
    assert [sent.path for sent in requests_mock.request_history].count("/v1/ready") == 3


def test_the_condition_is_templated_and_the_response_is_not_returned(requests_mock: Mocker) -> None:
    requests_mock.get(READY, json={"jobs": [{"id": "7", "state": "done"}]})
    task = sensor(until="jobs[?id=='{{ n }}'].state | [0] == 'done'")
    task.render_template_fields({"n": 7})
    assert task.until == "jobs[?id=='7'].state | [0] == 'done'"
    assert task.poke({}) is True
    assert task.execute({}) is None


def test_a_condition_that_is_not_a_jmespath_is_an_error_when_the_sensor_is_created() -> None:
    with pytest.raises(exceptions.ConfigurationError, match="OAuthHttpSensor: until 'status = 1' is not a valid JMES"):
        sensor(until="status = 1")
    sensor(until="{{ params.condition }}")  # it is checked after the template was rendered


def test_a_condition_and_a_response_check_exclude_each_other() -> None:
    with pytest.raises(exceptions.ConfigurationError, match="until and response_check are both set"):
        sensor(until="done", response_check=lambda response: True)


def test_a_response_that_is_not_json_fails_the_task_whatever_the_allowlist_contains(requests_mock: Mocker) -> None:
    requests_mock.get(READY, text="<html>")
    with pytest.raises(exceptions.ApiError, match="is not JSON"):
        sensor(until="done", response_error_codes_allowlist=["200"]).poke({})


# --- errors


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.usefixtures("refused")
def test_refused_credentials_fail_the_task_without_another_poke(requests_mock: Mocker, deferrable: bool) -> None:
    with pytest.raises(exceptions.InvalidClient):
        sensor(deferrable=deferrable).execute({})
    assert requests_mock.call_count == 1


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.usefixtures("refused")
def test_with_soft_fail_refused_credentials_skip_the_task(deferrable: bool) -> None:
    with pytest.raises(AirflowSkipException):
        sensor(soft_fail=True, deferrable=deferrable).execute({})


@pytest.mark.usefixtures("refused")
def test_with_silent_fail_refused_credentials_fail_without_another_poke(requests_mock: Mocker) -> None:
    with pytest.raises(exceptions.InvalidClient):
        sensor(silent_fail=True).execute({})
    assert requests_mock.call_count == 1


# --- deferred


@pytest.mark.parametrize("deferrable", [False, True])
def test_if_the_first_poke_succeeds_the_sensor_does_not_wait(requests_mock: Mocker, deferrable: bool) -> None:
    requests_mock.get(READY)
    assert sensor(deferrable=deferrable).execute({}) is None


def test_it_defers_after_the_first_poke(requests_mock: Mocker) -> None:
    requests_mock.get(READY, status_code=404)
    task = sensor(
        deferrable=True,
        poke_interval=7,
        timeout=99,
        scope="read",
        request_params={"day": "1"},
        headers={"X": "1"},
        extra_options={"timeout": 5},
    )
    with pytest.raises(TaskDeferred) as caught:
        task.execute({})
    path, arguments = caught.value.trigger.serialize()
    assert path == "airflow_provider_oauth.triggers.oauth.OAuthHttpSensorTrigger"
    stored = deserialize(json.loads(json.dumps(serialize(arguments))))
    assert stored == {
        "oauth_conn_id": "my_api",
        "method": "GET",
        "endpoint": "ready",
        "headers": {"X": "1"},
        "data": {"day": "1"},
        "extra_options": {"timeout": 5},
        "poke_interval": 7,
        "json": None,
        "scope": "read",
        "until": None,
    }
    assert OAuthHttpSensorTrigger(**stored).serialize() == (path, arguments)
    assert caught.value.timeout == timedelta(seconds=99)
    assert caught.value.method_name == "execute_complete"
    assert "fake-" not in json.dumps(arguments)


def test_with_a_response_check_it_does_not_defer_and_logs_a_warning(
    requests_mock: Mocker, capsys: pytest.CaptureFixture[str]
) -> None:
    requests_mock.get(READY, [{"json": False}, {"json": True}])
    sensor(deferrable=True, response_check=lambda response: response.json()).execute({})
    assert [sent.path for sent in requests_mock.request_history].count("/v1/ready") == 2
    assert "deferrable=True has no effect with response_check" in capsys.readouterr().out


def test_the_deferred_condition_is_evaluated_by_the_trigger(requests_mock: Mocker) -> None:
    requests_mock.get(READY, json={"status": "busy"})
    with pytest.raises(TaskDeferred) as caught:
        sensor(deferrable=True, until="status == 'done'").execute({})
    stored = deserialize(json.loads(json.dumps(serialize(caught.value.trigger.serialize()[1]))))
    assert OAuthHttpSensorTrigger(**stored).until == "status == 'done'"
    requests_mock.get(READY, json={"status": "done"})
    assert sensor(deferrable=True, until="status == 'done'").execute({}) is None


def test_a_success_event_ends_the_sensor() -> None:
    assert sensor(deferrable=True).execute_complete({}, {"status": "success"}) is None


FAILURE = {"status": "error", "error": exceptions.to_event(exceptions.ConsentRequired("ask Ann"))}


def test_an_error_event_raises_that_error() -> None:
    with pytest.raises(exceptions.ConsentRequired, match="ask Ann"):
        sensor(deferrable=True).execute_complete({}, FAILURE)


def test_with_soft_fail_an_error_event_skips_the_task() -> None:
    task = sensor(deferrable=True, soft_fail=True)
    with pytest.raises(AirflowSkipException):
        task.resume_execution("execute_complete", {"event": FAILURE}, {})


@pytest.mark.parametrize("deferrable", [False, True])
def test_with_never_fail_any_error_skips_the_task(requests_mock: Mocker, deferrable: bool) -> None:
    requests_mock.get(READY, status_code=500)
    with pytest.raises(AirflowSkipException):
        sensor(never_fail=True, deferrable=deferrable).execute({})


@pytest.mark.parametrize("deferrable", [False, True])
def test_an_error_status_that_is_not_in_the_allowlist_fails_the_first_poke(
    requests_mock: Mocker, deferrable: bool
) -> None:
    requests_mock.get(READY, status_code=500)
    with pytest.raises(AirflowException, match="^500"):
        sensor(deferrable=deferrable).execute({})
