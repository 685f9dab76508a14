"""Values of the callback in requests to the API: endpoints, parameters and headers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.http.operators.http import HttpOperator
from requests_mock import ANY

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError, ConsentRequired, OAuthError
from airflow_provider_oauth.extract.paginators import JsonLinkPaginator
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.operators.oauth import OAuthHttpOperator
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.runtime import airflow_variables, token_sources
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from airflow_provider_oauth.sensors.oauth import OAuthHttpSensor
from airflow_provider_oauth.tokens.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from requests_mock import Mocker

# The HTTP provider causes this warning when an operator processes a response.
pytestmark = pytest.mark.filterwarnings("ignore:The `airflow.utils.operator_helpers.determine_kwargs` attribute")

API = "https://api.example.com/v1"
NOW = datetime.now(UTC)
RECORD = Record(
    generation=1,
    nonce="n",
    tokens={"": Token(access_token="fake-access", issued_at=NOW, expires_at=NOW + timedelta(days=1))},
    refresh_token="fake-refresh",
)


@pytest.fixture(autouse=True)
def api(variables: dict[str, str], requests_mock: Mocker) -> Iterator[None]:
    requests_mock.register_uri(ANY, ANY, json=[{"id": 1}])
    yield
    token_sources._sources.clear()


@pytest.fixture
def connect(define_connection: Callable[..., None]) -> Callable[..., None]:
    """Define a connection that a user has authorized with callback values; None if nobody has."""

    def define(callback: Mapping[str, str] | None = None, **fields: Any) -> None:
        values = {"host": API, "grant_type": "authorization_code", "callback_map": "realm_id=realmId, shop=shop"}
        define_connection("my_api", **(values | fields))
        store({"realmId": "123", "shop": "a/b c?é"} if callback is None else callback)

    return define


def store(callback: Mapping[str, str], access_token: str = "fake-access") -> None:
    token = replace(RECORD.tokens[""], access_token=access_token)
    record = replace(RECORD, callback=callback, tokens={"": token})
    VariableTokenStore(OAuthHook("my_api").config).write(record)


def sent(requests_mock: Mocker) -> list[str]:
    return [request.url for request in requests_mock.request_history]


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("company/{realm_id}/query", f"{API}/company/123/query"),
        ("/{shop}?shop={shop}", f"{API}/a%2Fb%20c%3F%C3%A9?shop=a%2Fb%20c%3F%C3%A9"),
        (f"{API}/{{realm_id}}", f"{API}/123"),
        ("{realm}/{{realm_id}}/{}", f"{API}/%7Brealm%7D/%7B123%7D/%7B%7D"),
        ("{code}", f"{API}/%7Bcode%7D"),
        ("", API),
    ],
)
def test_endpoints_of_run_and_of_operators_have_the_values(
    connect: Callable[..., None], requests_mock: Mocker, endpoint: str, url: str
) -> None:
    connect()
    OAuthHook("my_api").run(endpoint)
    HttpOperator(task_id="a", http_conn_id="my_api", method="GET", endpoint=endpoint).execute({})
    OAuthHttpOperator(task_id="b", oauth_conn_id="my_api", method="GET", endpoint=endpoint).execute({})
    OAuthHttpSensor(task_id="c", oauth_conn_id="my_api", endpoint=endpoint).poke({})

    assert sent(requests_mock) == [url] * 4


def test_relative_urls_of_a_session_have_the_values_and_absolute_ones_are_sent_as_they_are(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect()
    session = OAuthHook("my_api").get_conn()
    session.get("x/{realm_id}")
    session.get(f"{API}/{{realm_id}}")

    assert sent(requests_mock) == [f"{API}/x/123", f"{API}/%7Brealm_id%7D"]


def test_a_value_is_never_part_of_the_host(connect: Callable[..., None], requests_mock: Mocker) -> None:
    connect({"realmId": "api", "shop": "x"})

    with pytest.raises(ApiError, match="is not part of the API"):
        OAuthHook("my_api").run("https://{realm_id}.example.com/v1")
    assert sent(requests_mock) == []


def test_parameters_and_headers_of_the_connection_have_the_values_without_encoding(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect(
        api_params={"realm": "{realm_id}", "list": ["{shop}", 1], "filter": {"x": "{realm_id}"}, "other": "{x}"},
        secret_params={"key": "fake-{realm_id}"},
        api_headers={"X-Realm": "r {realm_id}", "X-Other": "{x}"},
        secret_headers={"X-Key": "{realm_id}"},
    )
    OAuthHook("my_api").run("items")

    request = requests_mock.last_request
    assert request.url == (
        f"{API}/items?realm=123&list=a%2Fb+c%3F%C3%A9&list=1&filter=%7B%22x%22%3A+%22123%22%7D&other=%7Bx%7D"
        "&key=fake-123"
    )
    assert [request.headers[name] for name in ("X-Realm", "X-Other", "X-Key")] == ["r 123", "{x}", "123"]


@pytest.mark.parametrize("value", ["€", "é", " leading"])
def test_a_value_that_cannot_be_sent_in_a_header_is_an_error(
    connect: Callable[..., None], requests_mock: Mocker, value: str
) -> None:
    connect({"realmId": value}, api_headers={"X-Realm": "{realm_id}"})

    with pytest.raises(ConfigurationError) as error:
        OAuthHook("my_api").run("items")

    assert str(error.value) == (
        "Connection 'my_api': Callback values (callback_map) is used in the header 'X-Realm', but the value that is "
        "stored cannot be sent in a header. Use it only in endpoints and API parameters."
    )
    assert sent(requests_mock) == []


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        ("{realm_id}", {}),
        ("items", {"api_params": {"x": "{realm_id}"}}),
        ("items", {"secret_headers": {"x": "{realm_id}"}}),
    ],
)
def test_without_a_stored_value_the_error_says_that_a_user_must_authorize(
    connect: Callable[..., None], requests_mock: Mocker, endpoint: str, fields: dict[str, Any]
) -> None:
    connect({"shop": "x"}, **fields)

    with pytest.raises(ConsentRequired) as error:
        OAuthHook("my_api").run(endpoint)

    assert str(error.value) == (
        "Connection 'my_api': no value of realm_id (realmId) in the callback is stored, because no user has "
        "authorized the connection since it was added to Callback values (callback_map). A user must authorize the "
        "connection: run airflow oauth authorize my_api."
    )
    assert sent(requests_mock) == []


def test_without_a_stored_value_requests_that_do_not_need_it_are_sent(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect({})
    OAuthHook("my_api").run("items/{other}")

    assert sent(requests_mock) == [f"{API}/items/%7Bother%7D"]


def test_the_value_of_a_new_consent_is_used_although_this_process_has_a_valid_token(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect({})
    hook = OAuthHook("my_api")
    hook.run("items")
    with pytest.raises(ConsentRequired):
        hook.run("{realm_id}")
    store({"realmId": "456"}, "new-access")
    hook.run("{realm_id}")

    assert sent(requests_mock)[1:] == [f"{API}/456"]
    assert requests_mock.last_request.headers["Authorization"] == "Bearer new-access"


def test_the_values_need_no_variable_for_each_request(
    connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(api_headers={"X-Realm": "{realm_id}"})
    hook = OAuthHook("my_api")
    hook.run("{realm_id}")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    monkeypatch.setattr(airflow_variables, "get_variable", refuse)
    hook.run("{realm_id}")
    OAuthHook("my_api").run("{realm_id}")


def pages(requests_mock: Mocker, hook: OAuthHook, endpoint: str, *responses: Any) -> list[Any]:
    requests_mock.get(ANY, list(responses))
    paginator = JsonLinkPaginator("next")
    return [page.content for page in hook.paginate(endpoint, paginator, records_path="rows")]


def test_a_list_has_the_values_and_links_to_next_pages_stay_as_the_api_sent_them(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect(api_params={"r": "{realm_id}"})
    link = {"json": {"rows": [1], "next": f"{API}/next/{{realm_id}}"}}
    pages(requests_mock, OAuthHook("my_api"), "{realm_id}/rows", link, {"json": {"rows": [2], "next": None}})

    assert sent(requests_mock) == [f"{API}/123/rows?r=123", f"{API}/next/%7Brealm_id%7D?r=123"]


def test_a_list_ends_with_an_error_if_another_account_is_authorized_meanwhile(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect({"realmId": "123"}, api_params={"r": "{realm_id}"})
    hook = OAuthHook("my_api")

    def authorize_another(request: Any, context: Any) -> dict[str, Any]:
        token_sources._sources.clear()
        store({"realmId": "456"}, "new-access")
        source = hook.access.source
        hook._list_access.source = source
        return {"rows": [1], "next": f"{API}/next"}

    with pytest.raises(OAuthError) as error:
        pages(requests_mock, hook, "rows", {"json": authorize_another}, {"json": {"rows": [2], "next": None}})

    assert str(error.value) == (
        "Connection 'my_api': a user authorized the connection with another realm_id while a list was read, so its "
        "rows would belong to two accounts. Run the task again."
    )
    assert sent(requests_mock) == [f"{API}/rows?r=123"]


def test_an_error_does_not_quote_a_secret_that_was_sent_with_a_value(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect(secret_params={"key": "fake-secret-{realm_id}"})
    requests_mock.get(ANY, status_code=400, json={"message": "the key fake-secret-123 is invalid"})

    with pytest.raises(ApiError) as error:
        OAuthHook("my_api").run("items")
    assert "is invalid" in str(error.value)
    assert "fake-secret" not in str(error.value)
