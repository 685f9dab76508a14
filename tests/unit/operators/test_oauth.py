"""``OAuthHttpOperator``: it behaves like ``HttpOperator``, and no secret is stored when it defers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.triggers.http import HttpResponseSerializer
from airflow.sdk.serde import deserialize, serialize

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.operators.oauth import OAuthHttpOperator
from airflow_provider_oauth.triggers.oauth import OAuthHttpTrigger
from tests.connections import TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests_mock import Mocker
    from requests_mock.adapter import _Matcher

# The HTTP provider causes this warning when an operator processes a response.
pytestmark = pytest.mark.filterwarnings("ignore:The `airflow.utils.operator_helpers.determine_kwargs` attribute")

API = "https://api.example.com/v1"
SECRETS = ("fake-secret", "fake-token")


@pytest.fixture(autouse=True)
def connection(define_connection: Callable[..., None], variables: dict[str, str], requests_mock: Mocker) -> _Matcher:
    define_connection("my_api", host=API)
    return requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})


def operator(**changes: Any) -> OAuthHttpOperator:
    parameters = {"task_id": "call", "oauth_conn_id": "my_api", "method": "GET", "endpoint": "items"}
    return OAuthHttpOperator(**(parameters | changes))


def through_airflow(values: Any) -> Any:
    """Serialize and deserialize values as Airflow does when a task defers."""
    return deserialize(json.loads(json.dumps(serialize(values))))


def deferred_by(action: Callable[[], object]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        action()
    return caught.value


def event_of(text: str, status: int = 200) -> dict[str, Any]:
    response = requests.Response()
    response.status_code, response._content, response.url = status, text.encode(), f"{API}/items"
    event: dict[str, Any] = through_airflow(
        {"status": "success", "response": HttpResponseSerializer.serialize(response)}
    )
    return event


def follow(page: requests.Response) -> dict[str, Any] | None:
    """Return the parameters of the next page; None after page 3."""
    return {"data": {"page": int(page.text) + 1}} if page.text != "3" else None


# --- not deferred


def test_it_is_an_http_operator_that_returns_the_text(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items", text="content")
    assert issubclass(OAuthHttpOperator, HttpOperator)
    assert operator(data={"page": 1}, headers={"X-Mine": "1"}).execute({}) == "content"
    assert requests_mock.last_request.url == f"{API}/items?page=1"
    assert requests_mock.last_request.headers["X-Mine"] == "1"
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token"


def test_the_default_method_is_post(requests_mock: Mocker) -> None:
    posted = requests_mock.post(f"{API}/items")
    OAuthHttpOperator(
        task_id="call", oauth_conn_id="my_api", endpoint="items", request_kwargs={"json": {"a": 1}}
    ).execute({})
    assert posted.last_request.json() == {"a": 1}


def test_the_default_connection_is_oauth_default() -> None:
    assert OAuthHttpOperator(task_id="call").oauth_conn_id == "oauth_default"


def test_creating_the_operator_reads_no_connection_and_sends_no_request(requests_mock: Mocker) -> None:
    operator(oauth_conn_id="no_such_connection")
    assert requests_mock.call_count == 0


def test_the_scope_of_the_task_is_requested(requests_mock: Mocker, connection: _Matcher) -> None:
    requests_mock.get(f"{API}/items")
    operator(scope="write").execute({})
    assert "scope=write" in connection.last_request.text


def test_check_and_filter_work_as_in_http_operator(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items", json={"data": [1, 2]})
    assert operator(response_filter=lambda response: response.json()["data"]).execute({}) == [1, 2]
    with pytest.raises(AirflowException, match="check returned False"):
        operator(response_check=lambda response: False).execute({})


def test_all_pages_use_one_token(requests_mock: Mocker, connection: _Matcher) -> None:
    requests_mock.get(f"{API}/items", text=lambda request, context: request.qs["page"][0])
    assert operator(data={"page": "1"}, pagination_function=follow).execute({}) == ["1", "2", "3"]
    assert connection.call_count == 1


def test_a_connection_of_type_http_is_refused_before_its_password_is_sent(
    define_connection: Callable[..., None], requests_mock: Mocker
) -> None:
    define_connection("my_api", conn_type="http", host=API)
    with pytest.raises(exceptions.ConfigurationError, match="'http'"):
        operator().execute({})
    assert requests_mock.call_count == 0


# --- templates


def test_the_template_fields_are_rendered_and_contain_no_secret(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items-7", text="ok")
    task = operator(
        oauth_conn_id="{{ conn }}",
        scope="{{ scope }}",
        endpoint="items-{{ n }}",
        data={"q": "{{ n }}"},
        headers={"X": "{{ n }}"},
    )
    task.render_template_fields({"conn": "my_api", "scope": "read", "n": 7})
    assert task.execute({}) == "ok"
    assert requests_mock.last_request.headers["X"] == "7"
    rendered = {name: getattr(task, name) for name in type(task).template_fields}
    assert rendered == {
        "endpoint": "items-7",
        "data": {"q": "7"},
        "headers": {"X": "7"},
        "oauth_conn_id": "my_api",
        "scope": "read",
    }
    assert not any(secret in repr(rendered) for secret in SECRETS)


# --- deferred


def test_before_deferring_only_a_token_is_requested(requests_mock: Mocker) -> None:
    task = operator(deferrable=True, scope="read", data={"page": 1}, headers={"X": "1"}, extra_options={"timeout": 5})
    deferral = deferred_by(lambda: task.execute({}))
    assert {request.hostname for request in requests_mock.request_history} == {"login.example.com"}
    assert deferral.method_name == "execute_complete"
    path, arguments = deferral.trigger.serialize()
    assert path == "airflow_provider_oauth.triggers.oauth.OAuthHttpTrigger"
    assert through_airflow(arguments) == {
        "oauth_conn_id": "my_api",
        "method": "GET",
        "endpoint": "items",
        "headers": {"X": "1"},
        "data": {"page": 1},
        "extra_options": {"timeout": 5},
        "scope": "read",
        "json": None,
    }
    assert OAuthHttpTrigger(**through_airflow(arguments)).serialize() == (path, arguments)
    assert not any(secret in json.dumps(arguments) for secret in SECRETS)


def test_json_of_request_kwargs_is_passed_to_the_trigger() -> None:
    task = operator(method="POST", deferrable=True, request_kwargs={"json": {"a": 1}})
    deferral = deferred_by(lambda: task.execute({}))
    assert deferral.trigger.serialize()[1]["json"] == {"a": 1}


def test_other_request_kwargs_are_refused_before_deferring() -> None:
    task = operator(method="POST", deferrable=True, request_kwargs={"files": {}})
    with pytest.raises(exceptions.ConfigurationError, match="only json in request_kwargs, not files"):
        task.execute({})


def test_after_a_success_event_the_text_or_the_filtered_response_is_returned() -> None:
    assert operator().execute_complete({}, event_of("content")) == "content"
    assert operator(response_filter=lambda response: response.json()).execute_complete({}, event_of("[1]")) == [1]
    with pytest.raises(AirflowException, match="check returned False"):
        operator(response_check=lambda response: False).execute_complete({}, event_of("content"))


ERRORS = [
    exceptions.ConfigurationError("c"),
    exceptions.InvalidClient("c", error="invalid_client", status_code=401),
    exceptions.WrongPassword("w", error="invalid_grant", status_code=400),
    exceptions.ConsentRequired("g"),
    exceptions.InvalidGrant("g", error="invalid_grant", error_description="expired", error_uri="https://e.example/"),
    exceptions.InvalidScope("s", error="invalid_scope", status_code=400),
    exceptions.TokenRequestError("t", status_code=503, retryable=True, retry_after=7.0),
    exceptions.TokenResponseError("t"),
    exceptions.TokenStoreError("t"),
    exceptions.RenewalTimeout("r"),
    exceptions.ApiError("500:broken", status_code=500),
    exceptions.ApiError("no status"),
    exceptions.OAuthError("o"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_after_an_error_event_the_same_error_is_raised(error: exceptions.OAuthError) -> None:
    event = through_airflow({"status": "error", "error": exceptions.to_event(error)})
    with pytest.raises(type(error)) as caught:
        operator().execute_complete({}, event)
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)
    assert isinstance(caught.value, AirflowFailException) is isinstance(error, AirflowFailException)
    assert vars(caught.value) == vars(error)


def test_an_unknown_error_in_an_event_is_an_oauth_error() -> None:
    with pytest.raises(exceptions.OAuthError, match="later"):
        operator().execute_complete({}, {"status": "error", "error": {"type": "NoSuchError", "message": "later"}})


def test_deferred_pages_are_serialized_and_returned_in_order() -> None:
    task = operator(deferrable=True, data={"page": 1, "limit": 2}, pagination_function=follow, headers={"X": "1"})
    deferral = deferred_by(lambda: task.execute({}))
    for page in ("1", "2"):
        stored = through_airflow(deferral.kwargs or {})
        deferral = deferred_by(
            lambda page=page, stored=stored: task.execute_complete({}, event=event_of(page), **stored)
        )
        arguments = through_airflow(deferral.trigger.serialize()[1])
        assert arguments["data"] == {"page": int(page) + 1, "limit": 2}
        assert arguments["headers"] == {"X": "1"}
        assert (arguments["endpoint"], arguments["method"], arguments["oauth_conn_id"]) == ("items", "GET", "my_api")
    assert task.execute_complete({}, event=event_of("3"), **through_airflow(deferral.kwargs)) == ["1", "2", "3"]


def test_a_single_deferred_page_is_returned_as_a_list() -> None:
    assert operator(pagination_function=follow).execute_complete({}, event_of("3")) == ["3"]


def test_an_error_on_a_later_page_is_raised() -> None:
    failure = {"status": "error", "error": exceptions.to_event(exceptions.InvalidClient("no"))}
    with pytest.raises(exceptions.InvalidClient):
        operator(pagination_function=follow).execute_complete(
            {}, failure, paginated_responses=[event_of("1")["response"]]
        )


def test_request_kwargs_are_passed_on_to_later_pages() -> None:
    task = operator(method="POST", deferrable=True, pagination_function=follow, request_kwargs={"json": {"a": 1}})
    deferral = deferred_by(lambda: task.execute_complete({}, event_of("1")))
    assert isinstance(deferral.trigger, OAuthHttpTrigger)
