"""*Test* sends the vendor's harmless request: with a token that it just got, or with the stored one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_oauth.extract.error_rules import ErrorRule
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import api_check, grants
from airflow_provider_oauth.presets.vendor import Vendor, VendorTest
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.lookup import Lookup
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.runtime import token_sources
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from airflow_provider_oauth.tokens.record import Record
from tests.connections import TOKEN_URL, use_vendor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from requests_mock import Mocker

    from airflow_provider_oauth.management.grant_check import GrantCheck

API = "https://api.example.com/v1"
ME = f"{API}/me"
NOW = datetime.now(UTC)
VENDOR = Vendor(
    label="HubSpot",
    test=VendorTest(endpoint="me", params={"a": "b c"}),
    error_rules=(
        ErrorRule("fail", when="ok == `false`"),
        ErrorRule("renew", when="error == 'invalid_auth'"),
        ErrorRule("wait", status=420),
    ),
    advice={404: "Check the region."},
)
GRANT_WORKS = (
    "The client_credentials grant works: the token endpoint of HubSpot (login.example.com) issued a token that is "
    "valid for 60 s. Requested scope: the server's default; granted: as requested."
)
CLIENT_WORKS = (
    "The token endpoint of HubSpot (login.example.com) accepted the client. As expected, it refused only the made-up "
    "refresh token (invalid_grant). Token URL, Client ID, Client secret and Client authentication are correct."
)
NOT_TESTED = "The refresh token was not tested, because the server may accept it only once."


@pytest.fixture(autouse=True)
def _server(variables: dict[str, str], requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds: None)
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access", "expires_in": 60})
    yield
    token_sources._sources.clear()


@pytest.fixture
def connect(define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Callable[..., OAuthHook]:
    """Define a connection of a vendor with a test request, and return its hook."""

    def define(vendor: Vendor = VENDOR, values: Mapping[str, Any] | None = None, **fields: Any) -> OAuthHook:
        monkeypatch.setattr(api_check, "vendor_of", lambda name, preset: vendor)
        use_vendor(monkeypatch, **{"vendor_label": "HubSpot", "endpoint_prefix": "", "lookup": None, **(values or {})})
        define_connection("my_api", host=API, **fields)
        return OAuthHook("my_api")

    return define


def authorized(hook: OAuthHook, requests_mock: Mocker, **changes: Any) -> OAuthHook:
    """Store a grant of a user; the server refuses made-up refresh tokens."""
    requests_mock.post(TOKEN_URL, status_code=400, json={"error": "invalid_grant"})
    token = Token(access_token="fake-stored", issued_at=NOW, expires_at=NOW + timedelta(days=1))
    record = Record(generation=1, nonce="n", tokens={"": token}, refresh_token="fake-refresh")
    VariableTokenStore(hook.config).write(replace(record, **changes))
    return hook


def run(hook: OAuthHook) -> GrantCheck:
    result = grants.test(hook.config)
    assert "fake-" not in result.text
    return result


def test_the_token_that_the_test_got_is_sent_to_the_api(
    connect: Callable[..., OAuthHook], requests_mock: Mocker, variables: dict[str, str]
) -> None:
    hook = connect(api_headers={"X-Version": "2"})
    requests_mock.get(ME, json={})

    for result in (run(hook)[:2], hook.test_connection()):
        assert result == (True, f"{GRANT_WORKS} The API of HubSpot accepted the token (GET {ME}, status 200).")
    sent = requests_mock.last_request
    assert sent.url == f"{ME}?a=b+c"
    assert (sent.headers["Authorization"], sent.headers["X-Version"]) == ("Bearer fake-access", "2")
    assert requests_mock.call_count == 4
    assert variables == {}


def test_the_result_of_a_test_does_not_contain_the_random_id_of_the_form(
    connect: Callable[..., OAuthHook], requests_mock: Mocker
) -> None:
    hook = connect()
    requests_mock.get(ME, status_code=404, json={"message": "No fake-access"})
    works, text = hook.test_connection()

    assert not works
    assert text == (
        f"{GRANT_WORKS} The API of HubSpot refused the test request: 404:Not Found (GET {ME}). Message from HubSpot: "
        "'No ***'. Check the region."
    )


@pytest.mark.parametrize(
    ("response", "works", "text"),
    [
        (
            {"status_code": 401},
            False,
            f"refused the test request: 401:Unauthorized (GET {ME}). The API does not accept the token. Check API base "
            "URL, Scope, Audience and Resource.",
        ),
        (
            {"status_code": 403, "headers": {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}},
            None,
            f"did not permit the test request: 403:Forbidden (GET {ME}). The token lacks a scope that the API "
            "requires. Check Scope. Tasks that need only other permissions can still work.",
        ),
        (
            {"json": {"ok": False, "error": "missing_scope", "token": "fake-access"}},
            False,
            f"refused the test request: 200:OK (GET {ME}). Message from HubSpot: 'missing_scope'.",
        ),
        (
            {"status_code": 400, "json": {"error": "invalid_auth"}},
            False,
            f"refused the test request: 400:Bad Request (GET {ME}). Message from HubSpot: 'invalid_auth'. Check API "
            "base URL, API headers and API parameters.",
        ),
        (
            {"status_code": 420, "text": "<html>"},
            None,
            f"could not answer the test request now: 420:Nonstandard Status (GET {ME})",
        ),
        ({"status_code": 500}, None, f"could not answer the test request now: 500:Internal Server Error (GET {ME})"),
        (
            {"status_code": 302, "headers": {"Location": "/fake-access"}},
            False,
            "refused the test request: the API of HubSpot redirected the request to https://api.example.com/***. The "
            f"token was not sent there. Check API base URL. (URL: {ME})",
        ),
    ],
)
def test_an_error_of_the_api_is_reported(
    connect: Callable[..., OAuthHook], requests_mock: Mocker, response: Any, works: bool | None, text: str
) -> None:
    hook = connect()
    requests_mock.get(ME, **response)

    assert run(hook) == (works, f"{GRANT_WORKS} The API of HubSpot {text}", False)
    assert requests_mock.call_count == 2


def test_an_api_that_does_not_respond_leaves_the_result_open(
    connect: Callable[..., OAuthHook], requests_mock: Mocker
) -> None:
    hook = connect()
    requests_mock.get(ME, exc=requests.ReadTimeout("fake-access"))

    assert run(hook) == (
        None,
        f"{GRANT_WORKS} The API of HubSpot was not tested: no response from the API of HubSpot: ReadTimeout (the "
        f"response was not complete in time). Check API base URL, and that this machine can reach the server. (URL: "
        f"{ME})",
        False,
    )


def test_a_test_request_for_other_grants_is_not_sent(connect: Callable[..., OAuthHook], requests_mock: Mocker) -> None:
    vendor = replace(VENDOR, test=VendorTest(endpoint="me", grants=("authorization_code",)))

    assert run(connect(vendor)) == (True, GRANT_WORKS, False)
    assert run(connect(replace(VENDOR, test=None))) == (True, GRANT_WORKS, False)
    assert requests_mock.call_count == 2


def test_a_request_that_needs_a_value_reports_that_there_is_none(
    connect: Callable[..., OAuthHook], requests_mock: Mocker
) -> None:
    values = {
        "endpoint_prefix": "ex/{cloud_id}",
        "lookup": Lookup(endpoint="sites", values={"cloud_id": "id"}),
    }

    assert run(connect(values=values)) == (
        False,
        f"{GRANT_WORKS} Requests to HubSpot need a value of cloud_id, and there is none. Enter it in Vendor values "
        "(vendor_values).",
        False,
    )
    hook = authorized(connect(values=values, grant_type="authorization_code"), requests_mock)
    works, text, _ = run(hook)
    assert not works
    assert (
        "Requests to HubSpot need a value of cloud_id, and there is none. Authorize the connection again, or enter it "
        "in Vendor values (vendor_values)."
    ) in text


@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token"])
def test_the_stored_token_is_sent_to_the_api(
    connect: Callable[..., OAuthHook], requests_mock: Mocker, variables: dict[str, str], grant_type: str
) -> None:
    vendor = replace(VENDOR, test=VendorTest(endpoint="{cloud_id}", grants=("authorization_code",)))
    values = {"lookup": Lookup(endpoint="sites", values={"cloud_id": "id"})}
    hook = authorized(connect(vendor, values, grant_type=grant_type), requests_mock, callback={"cloud_id": "7"})
    stored = dict(variables)
    requests_mock.get(f"{API}/7", json={})

    assert run(hook) == (
        True,
        f"{CLIENT_WORKS} The API of HubSpot accepted the token (GET {API}/7, status 200). {NOT_TESTED}",
        False,
    )
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-stored"
    assert variables == stored


def test_a_stored_token_that_the_api_refuses_is_renewed_by_the_next_task(
    connect: Callable[..., OAuthHook], requests_mock: Mocker
) -> None:
    hook = authorized(connect(grant_type="authorization_code"), requests_mock)
    requests_mock.get(ME, status_code=401)

    works, text, _ = run(hook)
    assert works is None
    assert text == (
        f"{CLIENT_WORKS} The API of HubSpot refused the test request: 401:Unauthorized (GET {ME}). The API does not "
        "accept the token. Check API base URL, Scope, Audience and Resource. The next task renews the token. To test a "
        f"new one, click Renew now or run airflow oauth renew. {NOT_TESTED}"
    )
    assert [sent.method for sent in requests_mock.request_history] == ["POST", "GET"]


def test_a_stored_token_that_cannot_be_renewed_must_be_accepted(
    connect: Callable[..., OAuthHook], requests_mock: Mocker
) -> None:
    never_expires = Token(access_token="fake-stored", issued_at=NOW, expires_at=None)
    hook = connect(grant_type="authorization_code")
    authorized(hook, requests_mock, tokens={"": never_expires}, refresh_token=None)
    requests_mock.get(ME, status_code=401)

    assert run(hook).works is False


def test_an_expired_token_is_not_sent(connect: Callable[..., OAuthHook], requests_mock: Mocker) -> None:
    expired = Token(access_token="fake-stored", issued_at=NOW - timedelta(days=1), expires_at=NOW)
    hook = authorized(connect(grant_type="authorization_code"), requests_mock, tokens={"": expired})

    assert run(hook) == (True, f"{CLIENT_WORKS} {NOT_TESTED}", False)
    assert hook.test_connection()[0]
    assert [sent.method for sent in requests_mock.request_history] == ["POST", "POST"]


def test_a_client_that_the_server_refuses_is_not_tested_at_the_api(
    connect: Callable[..., OAuthHook], requests_mock: Mocker
) -> None:
    hook = authorized(connect(grant_type="authorization_code"), requests_mock)
    requests_mock.post(TOKEN_URL, status_code=401, json={"error": "invalid_client"})
    works, text = hook.test_connection()

    assert not works
    assert text.startswith("the token endpoint of HubSpot refused the refresh_token grant with status 401 and error")
