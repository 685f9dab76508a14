"""The lookup after a consent: what it sends, what it stores, and the errors after which nothing is stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import requests

from airflow_provider_oauth.exceptions import ConsentDenied
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.device_authorization import DeviceAuthorization
from airflow_provider_oauth.protocol.lookup import Lookup
from airflow_provider_oauth.runtime import token_sources
from tests.connections import TOKEN_URL, use_vendor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests_mock import Mocker

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

API = "https://api.example.com/v1"
SITES = f"{API}/sites"
REQUEST = AuthorizationRequest(
    conn_id="my_api", redirect_uri="https://airflow.example.com/oauth/callback", state="fake-state"
)
TOKEN = {"access_token": "fake-access", "refresh_token": "fake-refresh", "expires_in": 3600}
LOOKUP = Lookup(endpoint="sites", records_path="values", values={"cloud_id": "id"}, describe="name")
NOTHING_STORED = "Connection 'my_api': no tokens were stored, because "


@pytest.fixture(autouse=True)
def _server(variables: dict[str, str], requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds: None)
    requests_mock.post(TOKEN_URL, json=TOKEN)
    yield
    token_sources._sources.clear()


@pytest.fixture
def connect(define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Callable[..., OAuthConfig]:
    """Define a connection of a vendor with a lookup, and return its settings."""

    def define(lookup: Lookup | None = LOOKUP, vendor_values: dict[str, str] | None = None, **fields: Any) -> Any:
        use_vendor(
            monkeypatch,
            vendor_label="Jira",
            endpoint_prefix="ex/jira/{cloud_id}",
            lookup=lookup,
            vendor_values=vendor_values or {},
        )
        values = {
            "host": API,
            "grant_type": "authorization_code",
            "authorize_url": "https://login.example.com/authorize",
        }
        define_connection("my_api", **(values | fields))
        return OAuthHook("my_api").config

    return define


def finish(config: OAuthConfig, **callback: str) -> Token:
    query = urlencode({"state": "fake-state", "code": "fake-code", **callback})
    return grants.finish_authorization(config, REQUEST, f"?{query}")


def refusal(config: OAuthConfig) -> str:
    with pytest.raises(ConsentDenied) as error:
        finish(config)
    text = str(error.value)
    assert "fake-" not in text
    return text.removeprefix(NOTHING_STORED)


def rows(*values: Any) -> dict[str, Any]:
    return {"values": list(values)}


def test_the_value_is_requested_with_the_new_token_and_stored_with_the_grant(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, variables: dict[str, str]
) -> None:
    config = connect()
    requests_mock.get(SITES, json=rows({"id": "c/1", "name": "Acme"}))

    assert finish(config).callback == {"cloud_id": "c/1"}
    assert [(sent.method, sent.url) for sent in requests_mock.request_history] == [("POST", TOKEN_URL), ("GET", SITES)]
    sent = requests_mock.last_request
    assert (sent.headers["Authorization"], sent.headers["Accept"]) == ("Bearer fake-access", "application/json")
    assert sent.body is None
    assert grants.status(config).callback == {"cloud_id": "c/1"}
    assert "c/1" not in json.dumps(variables)
    requests_mock.post(TOKEN_URL, json=TOKEN | {"access_token": "fake-renewed"})
    assert grants.renew(config).callback == {"cloud_id": "c/1"}
    token_sources._sources.clear()
    requests_mock.get(f"{API}/ex/jira/c%2F1/search", json=[])
    OAuthHook("my_api").run("search")
    assert requests_mock.last_request.url == f"{API}/ex/jira/c%2F1/search"


def test_the_request_has_the_headers_and_parameters_of_the_connection_without_those_that_need_the_value(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    config = connect(
        callback_map="realm=realmId",
        lookup=Lookup(endpoint="sites/{realm}?all=1", records_path="values", values={"cloud_id": "id"}),
        api_headers={"accept": "text/json", "X-Site": "{cloud_id}", "X-Realm": "{realm}"},
        secret_headers={"X-Key": "fake-key", "X-Both": "fake {cloud_id}"},
        api_params={"v": 2, "site": ["{cloud_id}"]},
        secret_params={"key": "fake-key"},
        timeout=5,
        verify=False,
        proxies={"https": "http://proxy.example.com:3128"},
    )
    requests_mock.get(f"{SITES}/7", json=rows({"id": "1"}))

    assert finish(config, realmId="7").callback == {"realmId": "7", "cloud_id": "1"}
    sent = requests_mock.last_request
    assert sent.url == f"{SITES}/7?all=1&v=2&key=fake-key"
    assert (sent.headers["Accept"], sent.headers["X-Realm"], sent.headers["X-Key"]) == ("text/json", "7", "fake-key")
    assert "X-Site" not in sent.headers
    assert "X-Both" not in sent.headers
    assert sent.verify is False
    assert sent.proxies["https"] == "http://proxy.example.com:3128"


def test_the_base_url_of_the_token_response_is_used(connect: Callable[..., OAuthConfig], requests_mock: Mocker) -> None:
    config = connect(response_map="base_url=url")
    requests_mock.post(TOKEN_URL, json=TOKEN | {"url": "https://eu.example.com/v2"})
    requests_mock.get("https://eu.example.com/v2/sites", json=rows({"id": "1"}))

    assert finish(config).callback == {"cloud_id": "1"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("@", [{"id": 5}]),
        ("@", {"id": 5}),
        ("a.b", {"a": {"b": [{"id": "5"}, {"id": 5, "name": "again"}]}}),
        ("groups[].sites[]", {"groups": [{"sites": []}, {"sites": [{"id": 5}]}]}),
    ],
)
def test_rows_with_the_same_values_count_once_and_integers_become_text(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, path: str, body: Any
) -> None:
    config = connect(Lookup(endpoint="sites", records_path=path, values={"cloud_id": "id"}))
    requests_mock.get(SITES, json=body)

    assert finish(config).callback == {"cloud_id": "5"}


def test_a_value_in_the_connection_needs_no_request(connect: Callable[..., OAuthConfig], requests_mock: Mocker) -> None:
    config = connect(lookup=None, vendor_values={"cloud_id": "mine"})

    assert finish(config).callback == {}
    assert requests_mock.call_count == 1


def test_a_consent_with_a_code_for_a_device_has_the_lookup_too(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    config = connect()
    requests_mock.get(SITES, json=rows({"id": "1"}))
    device = DeviceAuthorization(
        device_code="fake-device", user_code="u", verification_uri="https://login.example.com", expires_in=600
    )

    assert grants.finish_device_authorization(config, device).callback == {"cloud_id": "1"}


def test_a_user_without_an_account_gets_an_error(connect: Callable[..., OAuthConfig], requests_mock: Mocker) -> None:
    config = connect()
    requests_mock.get(SITES, json=rows())

    assert refusal(config) == (
        "Jira returned no cloud_id for this user. Check Scope, and the user's permissions at the server. You can also "
        "enter cloud_id in Vendor values (vendor_values). Then authorize again."
    )


def test_a_user_with_several_accounts_must_enter_one_of_them(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    config = connect()
    requests_mock.get(SITES, json=rows({"id": "1", "name": "Acme\nfake-access"}, {"id": "2"}, {"id": 3, "name": 7}))

    assert refusal(config) == (
        "the user has access to 3 accounts of Jira: Acme *** (1), 2, 7 (3). Enter one in Vendor values "
        "(vendor_values), for example "
        '{"cloud_id": "1"}, and authorize again.'
    )


def test_at_most_20_accounts_are_listed(connect: Callable[..., OAuthConfig], requests_mock: Mocker) -> None:
    config = connect(Lookup(endpoint="sites", values={"a": "x.id", "b": "y"}))
    requests_mock.get(SITES, json=[{"x": {"id": number}, "y": "z"} for number in range(25)])
    text = refusal(config)

    assert text.startswith("the user has access to 25 accounts of Jira: 0, z, 1, z, ")
    assert '19, z and 5 more. Enter one in Vendor values (vendor_values), for example {"a": "0", "b": "z"}, and' in text


@pytest.mark.parametrize(
    "row", [{}, {"id": None}, {"id": True}, {"id": 1.5}, {"id": ["1"]}, {"id": ".."}, {"id": "a\n"}, 5]
)
def test_a_row_without_a_valid_value_is_an_error(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, row: Any
) -> None:
    config = connect()
    requests_mock.get(SITES, json=rows(row))

    assert refusal(config) == (
        "a row in the response of Jira has no valid cloud_id. Enter it in Vendor values (vendor_values), and "
        "authorize again. "
        f"(URL: {SITES})."
    )


@pytest.mark.parametrize(
    "response",
    [
        {"text": "<html>fake-secret</html>", "headers": {"Content-Type": "text/html"}},
        {"content": b""},
        {"content": b"\xff\xfe"},
        {"json": {"value": []}},
        {"json": {"values": None}},
        {"text": '{"values": [NaN]}'},
        {"text": '{"values": ' + "[" * 100_000},
        {"content": b"\x1f\x8b" + b"x" * 100},
        {"status_code": 204},
    ],
)
def test_a_response_without_rows_is_an_error(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, response: dict[str, Any]
) -> None:
    config = connect()
    requests_mock.get(SITES, **response)

    assert refusal(config) == (
        f"Jira responded with status {response.get('status_code', 200)} but without rows at 'values'. Check API base "
        f"URL, and authorize again. (URL: {SITES})."
    )


def test_an_error_response_is_quoted_without_secrets(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    config = connect()
    body = {"message": "no scope for fake-access", "debug": "fake-debug"}
    requests_mock.get(SITES, status_code=403, json=body)

    assert refusal(config) == (
        f"cloud_id could not be read from Jira: 403:Forbidden (connection 'my_api', GET {SITES}). Message from "
        "Jira: 'no scope for ***'. Check Scope, and the permissions of the client or of the user who authorized the "
        "connection. If this API also responds with 403 to invalid tokens, add 403 to Renew token on. Then authorize "
        "again."
    )


@pytest.mark.parametrize("status", [400, 404, 422])
def test_an_error_names_the_fields_that_decide_what_is_sent(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, status: int
) -> None:
    config = connect()
    requests_mock.get(SITES, status_code=status)

    assert "Check API base URL, API headers and API parameters. Then authorize again." in refusal(config)


def test_a_redirect_is_not_followed(connect: Callable[..., OAuthConfig], requests_mock: Mocker) -> None:
    config = connect()
    requests_mock.get(SITES, status_code=302, headers={"Location": "https://evil.example.com/x?fake-access"})

    assert refusal(config) == (
        "cloud_id could not be read from Jira: the API of Jira redirected the request to https://evil.example.com/x?…. "
        f"The token was not sent there. Check API base URL. (URL: {SITES}) Then authorize again."
    )
    assert requests_mock.call_count == 2


def test_a_timeout_is_an_error(connect: Callable[..., OAuthConfig], requests_mock: Mocker) -> None:
    config = connect()
    requests_mock.get(SITES, exc=requests.ReadTimeout("fake-access"))

    assert refusal(config) == (
        "cloud_id could not be read from Jira: no response from the API of Jira: ReadTimeout (the response was not "
        f"complete in time). Check API base URL, and that this machine can reach the server. (URL: {SITES}) Then "
        "authorize again."
    )


def test_a_url_that_cannot_be_sent_is_an_error(connect: Callable[..., OAuthConfig]) -> None:
    assert refusal(connect(host="https://.example.com")) == (
        "cloud_id could not be read from Jira: API base URL (host) is not a valid URL (InvalidURL). Check it. Then "
        "authorize again."
    )


def test_a_host_that_is_not_allowed_gets_no_request(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH__ALLOWED_HOSTS", "login.example.com")

    assert "its host 'api.example.com' does not match [oauth] allowed_hosts" in refusal(connect())
    assert requests_mock.call_count == 1


def test_after_an_error_the_earlier_grant_stays(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, variables: dict[str, str]
) -> None:
    config = connect()
    requests_mock.get(SITES, json=rows({"id": "1"}))
    finish(config)
    stored = dict(variables)
    requests_mock.get(SITES, status_code=500)

    assert refusal(config).startswith("cloud_id could not be read from Jira: 500:Internal Server Error")
    assert variables == stored


def test_another_value_than_before_is_refused_until_the_tokens_are_forgotten(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    config = connect()
    requests_mock.get(SITES, json=rows({"id": "1"}))
    finish(config)
    requests_mock.get(SITES, json=rows({"id": "2"}))

    with pytest.raises(ConsentDenied) as error:
        finish(config)

    assert str(error.value) == (
        "Connection 'my_api': Jira returned another cloud_id than before: '2' instead of '1'. The stored tokens belong "
        "to the previous account and were kept. To keep this account, authorize again and choose it at the server. To "
        "switch to the new account, forget the stored tokens, and authorize again."
    )
    assert grants.status(config).callback == {"cloud_id": "1"}
    grants.forget(config)
    assert finish(config).callback == {"cloud_id": "2"}
