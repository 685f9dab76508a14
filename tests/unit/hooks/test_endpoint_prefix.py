"""The vendor's prefix of endpoints, and values that a lookup found, in requests to the API."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.http.operators.http import HttpOperator
from requests_mock import ANY

from airflow_provider_oauth.api.aiohttp_auth import current_endpoint
from airflow_provider_oauth.api.endpoints import joined_url
from airflow_provider_oauth.exceptions import ConfigurationError, ConsentRequired, OAuthError
from airflow_provider_oauth.extract.paginators import JsonLinkPaginator
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.operators.oauth import OAuthHttpOperator
from airflow_provider_oauth.protocol.lookup import Lookup
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.runtime import token_sources
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from airflow_provider_oauth.sensors.oauth import OAuthHttpSensor
from airflow_provider_oauth.tokens.record import Record
from tests.connections import use_vendor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from requests_mock import Mocker

# The HTTP provider causes this warning when an operator processes a response.
pytestmark = pytest.mark.filterwarnings("ignore:The `airflow.utils.operator_helpers.determine_kwargs` attribute")

API = "https://api.example.com/v1"
PREFIX = f"{API}/ex/jira/c%2F1"
LOOKUP = Lookup(endpoint="sites", values={"cloud_id": "id"})
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def api(variables: dict[str, str], requests_mock: Mocker) -> Iterator[None]:
    requests_mock.register_uri(ANY, ANY, json=[{"id": 1}])
    yield
    token_sources._sources.clear()


@pytest.fixture
def connect(define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Define a connection of a vendor with a lookup, and store a grant with its values."""

    def define(
        values: Mapping[str, str] | None = None,
        grant_type: str = "authorization_code",
        vendor: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        given = {
            "vendor_label": "Jira",
            "endpoint_prefix": "ex/jira/{cloud_id}",
            "lookup": LOOKUP,
            **(vendor or {}),
        }
        use_vendor(monkeypatch, **given)
        define_connection("my_api", host=API, grant_type=grant_type, **fields)
        token = Token(access_token="fake-access", issued_at=NOW, expires_at=NOW + timedelta(days=1))
        record = Record(
            generation=1,
            nonce="n",
            tokens={"": token},
            refresh_token="fake-refresh",
            callback={"cloud_id": "c/1"} if values is None else values,
        )
        VariableTokenStore(OAuthHook("my_api").config).write(record)

    return define


def sent(requests_mock: Mocker) -> list[str]:
    return [request.url for request in requests_mock.request_history]


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("rest/search?a=1", f"{PREFIX}/rest/search?a=1"),
        ("/rest/search", f"{PREFIX}/rest/search"),
        ("", PREFIX),
        ("/", f"{PREFIX}/"),
        ("?a=1", f"{PREFIX}?a=1"),
        ("ex/jira/{cloud_id}/rest", f"{PREFIX}/rest"),
        ("/ex/jira/c%2F1/rest", f"{PREFIX}/rest"),
        ("ex/jira/c%2F1", PREFIX),
        ("ex/jira/c%2F12/rest", f"{PREFIX}/ex/jira/c%2F12/rest"),
        ("ex/jira/other/rest", f"{PREFIX}/ex/jira/other/rest"),
        (f"{API}/ex/confluence/{{cloud_id}}/wiki", f"{API}/ex/confluence/c%2F1/wiki"),
        (f"{API}/me", f"{API}/me"),
    ],
)
def test_relative_endpoints_get_the_prefix_once_and_absolute_urls_do_not(
    connect: Callable[..., None], requests_mock: Mocker, endpoint: str, url: str
) -> None:
    connect()
    OAuthHook("my_api").run(endpoint)
    HttpOperator(task_id="a", http_conn_id="my_api", method="GET", endpoint=endpoint).execute({})
    OAuthHttpOperator(task_id="b", oauth_conn_id="my_api", method="GET", endpoint=endpoint).execute({})
    OAuthHttpSensor(task_id="c", oauth_conn_id="my_api", endpoint=endpoint).poke({})
    list(OAuthHook("my_api").paginate(endpoint))

    assert sent(requests_mock) == [url] * 5
    found = asyncio.run(current_endpoint(OAuthHook("my_api").access, endpoint))
    assert joined_url(API, found) == url or found == url


def test_a_session_adds_the_prefix_to_relative_urls_only(connect: Callable[..., None], requests_mock: Mocker) -> None:
    connect()
    session = OAuthHook("my_api").get_conn()
    session.get("rest/{cloud_id}")
    session.get(f"{API}/me")

    assert sent(requests_mock) == [f"{PREFIX}/rest/c%2F1", f"{API}/me"]


@pytest.mark.parametrize(
    ("link", "url"),
    [
        (f"{PREFIX}/rest?page=2", f"{PREFIX}/rest?page=2"),
        (f"{API}/other?page=2", f"{API}/other?page=2"),
        ("/v1/other?page=2", f"{API}/other?page=2"),
        ("?page=2", f"{PREFIX}/rest?page=2"),
    ],
)
def test_links_to_next_pages_are_used_as_the_api_sent_them(
    connect: Callable[..., None], requests_mock: Mocker, link: str, url: str
) -> None:
    connect()
    requests_mock.get(ANY, [{"json": {"rows": [1], "next": link}}, {"json": {"rows": [2], "next": None}}])
    pages = OAuthHook("my_api").paginate("rest", JsonLinkPaginator("next"), records_path="rows")

    assert [page.rows for page in pages] == [[1], [2]]
    assert sent(requests_mock) == [f"{PREFIX}/rest", url]


def test_a_prefix_without_a_value_needs_no_stored_value(connect: Callable[..., None], requests_mock: Mocker) -> None:
    connect({}, vendor={"endpoint_prefix": "api.xro/2.0", "lookup": None})
    OAuthHook("my_api").run("Contacts")

    assert sent(requests_mock) == [f"{API}/api.xro/2.0/Contacts"]


def test_values_of_a_lookup_are_used_in_parameters_and_headers(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect(api_params={"site": "{cloud_id}"}, api_headers={"X-Site": "{cloud_id}"}, vendor={"endpoint_prefix": ""})
    hook = OAuthHook("my_api")
    hook.run("items")

    assert sent(requests_mock) == [f"{API}/items?site=c%2F1"]
    assert requests_mock.last_request.headers["X-Site"] == "c/1"
    assert hook.callback_values() == {"cloud_id": "c/1"}


def test_a_value_in_the_connection_is_used_instead_of_a_stored_one_with_every_grant(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    for grant_type in ("authorization_code", "client_credentials"):
        connect({"cloud_id": "old"}, grant_type, {"lookup": None, "vendor_values": {"cloud_id": "mine"}})
        hook = OAuthHook("my_api")
        hook.run("{cloud_id}")
        assert hook.callback_values() == {"cloud_id": "mine"}

    assert sent(requests_mock) == [f"{API}/ex/jira/mine/mine"] * 2


def test_without_a_value_the_error_says_that_a_user_must_authorize(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect({})

    with pytest.raises(ConsentRequired) as error:
        OAuthHook("my_api").run("items")

    assert str(error.value) == (
        "Connection 'my_api': no value of cloud_id is stored. Airflow requests it from Jira when a user authorizes the "
        "connection. You can also enter it in Vendor values (vendor_values). A user must authorize the connection: "
        "run airflow oauth "
        "authorize my_api."
    )
    assert sent(requests_mock) == []


def test_without_a_value_a_grant_without_consent_needs_it_in_the_connection(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect({}, "client_credentials")

    with pytest.raises(ConfigurationError) as error:
        OAuthHook("my_api").run("items")

    assert str(error.value) == (
        "Connection 'my_api': Vendor values (vendor_values) has no cloud_id, which requests to Jira need. Enter it, "
        "for example "
        '{"cloud_id": "…"}.'
    )
    assert sent(requests_mock) == []


def test_a_name_in_the_prefix_without_a_value_is_an_error(connect: Callable[..., None], requests_mock: Mocker) -> None:
    connect({}, "client_credentials", {"lookup": None, "vendor_label": "QuickBooks", "endpoint_prefix": "v3/{realm}"})

    with pytest.raises(ConfigurationError, match="has no realm, which requests to QuickBooks need"):
        OAuthHook("my_api").run("items")
    with pytest.raises(ConfigurationError, match="has no realm, which requests to QuickBooks need"):
        asyncio.run(current_endpoint(OAuthHook("my_api").access, "items"))
    assert sent(requests_mock) == []


def test_a_list_ends_with_an_error_if_another_site_is_authorized_meanwhile(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect()
    hook = OAuthHook("my_api")

    def authorize_another(request: Any, context: Any) -> dict[str, Any]:
        token_sources._sources.clear()
        connect({"cloud_id": "other"})
        hook._list_access.source = OAuthHook("my_api").access.source
        return {"rows": [1], "next": f"{PREFIX}/next"}

    requests_mock.get(ANY, [{"json": authorize_another}, {"json": {"rows": [2], "next": None}}])
    with pytest.raises(OAuthError, match="with another cloud_id while a list was read"):
        list(hook.paginate("rows", JsonLinkPaginator("next"), records_path="rows"))
    assert sent(requests_mock) == [f"{PREFIX}/rows"]
