"""Pushed authorization requests and the meaning of their responses (RFC 9126)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    InvalidClient,
    InvalidScope,
    OAuthError,
    TokenRequestError,
    TokenResponseError,
)
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest, pushed_authorization_url
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from tests.connections import oauth_config
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from requests_mock import Mocker

    from airflow_provider_oauth.protocol.config import OAuthConfig

URL = "https://auth.test/par"
BACK = "https://airflow.example.com/oauth/callback"
REQUEST = AuthorizationRequest(conn_id="api", redirect_uri=BACK, state="fake-state", code_verifier="fake-verifier")
REQUEST_URI = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c"
CREATED = {"status_code": 201, "json": {"request_uri": REQUEST_URI, "expires_in": 60}}


def config(**changes: Any) -> OAuthConfig:
    values = {
        "conn_id": "api",
        "grant_type": "authorization_code",
        "token_url": "https://auth.test/token",
        "authorize_url": "https://auth.test/authorize",
        "par_url": URL,
        "client_id": "fake-id",
        "client_secret": "fake-secret",
        "skip_pkce": True,
    }
    return oauth_config(**(values | changes))


def push(**changes: Any) -> str:
    return TokenEndpoint(config(**changes), FakeClock()).push_authorization(REQUEST)


def refused(**changes: Any) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        push(**changes)
    text = str(caught.value)
    assert text.startswith("Connection 'api': ")
    assert "fake-s" not in text + repr(vars(caught.value))
    return caught.value


# --- the request


def test_all_parameters_are_sent_in_the_body_with_the_credentials_of_the_client(requests_mock: Mocker) -> None:
    requests_mock.post(URL, **CREATED)
    assert push(scope="read write", authorize_params={"prompt": "consent"}) == REQUEST_URI
    request = requests_mock.last_request
    basic = base64.b64encode(b"fake-id:fake-secret").decode()
    assert request.headers["Authorization"] == f"Basic {basic}"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["Accept"] == "application/json"
    assert request.body == (
        b"prompt=consent&response_type=code&client_id=fake-id"
        b"&redirect_uri=https%3A%2F%2Fairflow.example.com%2Foauth%2Fcallback&scope=read+write&state=fake-state"
    )


@pytest.mark.parametrize(
    ("client_auth", "added"),
    [("client_secret_post", b"&client_secret=fake-secret"), ("none", b"")],
)
def test_the_client_id_is_sent_once(requests_mock: Mocker, client_auth: str, added: bytes) -> None:
    requests_mock.post(URL, **CREATED)
    push(client_auth=client_auth)
    assert "Authorization" not in requests_mock.last_request.headers
    assert requests_mock.last_request.body == (
        b"response_type=code&client_id=fake-id"
        b"&redirect_uri=https%3A%2F%2Fairflow.example.com%2Foauth%2Fcallback&state=fake-state" + added
    )


def test_the_challenge_and_the_nonce_are_sent_but_not_the_code_verifier(requests_mock: Mocker) -> None:
    requests_mock.post(URL, **CREATED)
    push(scope="openid", skip_pkce=False, audience="https://api", resource="urn:x")
    sent = dict(parse_qsl(requests_mock.last_request.text))
    assert sent["nonce"] == REQUEST.nonce
    assert sent["code_challenge_method"] == "S256"
    assert (sent["audience"], sent["resource"]) == ("https://api", "urn:x")
    assert "fake-verifier" not in requests_mock.last_request.text


def test_the_body_is_a_form_whatever_the_format_of_token_requests(requests_mock: Mocker) -> None:
    requests_mock.post(URL, **CREATED)
    push(body_format="json", grant_params={"a": "b"}, grant_headers={"X-Key": "c"})
    request = requests_mock.last_request
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["X-Key"] == "c"
    assert "a=b" not in request.text


def test_the_browser_gets_only_the_client_id_and_the_reference() -> None:
    settings = config(
        authorize_url="https://auth.test/authorize?tenant=1&prompt=login&client_id=x",
        authorize_params={"prompt": "consent"},
        scope="openid",
    )
    assert pushed_authorization_url(settings, REQUEST, REQUEST_URI) == (
        "https://auth.test/authorize?tenant=1&client_id=fake-id"
        "&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A6esc_11ACC5bwc014ltc14eY22c"
    )


def test_a_connection_without_a_client_id_sends_none() -> None:
    settings = config(client_id=None, client_secret=None, client_auth="none")
    assert pushed_authorization_url(settings, REQUEST, "urn:x") == "https://auth.test/authorize?request_uri=urn%3Ax"


def test_parameters_have_the_names_of_the_request_map(requests_mock: Mocker) -> None:
    requests_mock.post(URL, **CREATED)
    names = {"client_id": "client_key", "request_uri": "reference"}
    push(request_map=names, client_auth="client_secret_post", authorize_params={"client_id": "x"})
    assert requests_mock.last_request.body == (
        b"client_id=x&response_type=code&client_key=fake-id"
        b"&redirect_uri=https%3A%2F%2Fairflow.example.com%2Foauth%2Fcallback&state=fake-state&client_secret=fake-secret"
    )
    assert pushed_authorization_url(config(request_map=names), REQUEST, "urn:x") == (
        "https://auth.test/authorize?client_key=fake-id&reference=urn%3Ax"
    )


def test_a_missing_url_is_an_error(requests_mock: Mocker) -> None:
    error = refused(par_url=None)
    assert isinstance(error, ConfigurationError)
    assert "Pushed authorization request URL (par_url) is missing" in str(error)


# --- the response


def test_status_200_is_accepted(requests_mock: Mocker) -> None:
    requests_mock.post(URL, json={"request_uri": REQUEST_URI})
    assert push() == REQUEST_URI


@pytest.mark.parametrize(
    "body",
    [{}, {"request_uri": ""}, {"request_uri": 7}, {"request_uri": "urn:\n"}, {"request_uri": "urn:é"}, ["x"], None,
     {"request_uri": "x" * 70_000}],
)  # fmt: skip
def test_a_response_without_a_valid_reference_is_an_error(requests_mock: Mocker, body: Any) -> None:
    requests_mock.post(URL, status_code=201, json=body)
    error = refused()
    assert isinstance(error, TokenResponseError)
    assert str(error) == (
        "Connection 'api': the pushed authorization request endpoint responded with status 201 but without a valid "
        "request_uri. Check Pushed authorization request URL. (URL: https://auth.test/par)"
    )


def test_a_redirect_is_not_followed(requests_mock: Mocker) -> None:
    requests_mock.post(URL, status_code=307, headers={"Location": "https://other.test/par"})
    error = refused()
    assert isinstance(error, TokenResponseError)
    assert "set Pushed authorization request URL to it" in str(error)
    assert requests_mock.call_count == 1


@pytest.mark.parametrize(
    ("status", "code", "kind", "advice"),
    [
        (401, "invalid_client", InvalidClient, "Check Client ID, Client secret and Client authentication (client_secr"),
        (400, "invalid_request", TokenRequestError, "Check Client ID, Scope and the redirect URI."),
        (400, "invalid_redirect_uri", TokenRequestError, "Check Client ID, Scope and the redirect URI."),
        (400, "invalid_scope", InvalidScope, "Check Scope."),
        (400, "invalid_target", TokenRequestError, "Check Resource and Audience."),
        (403, "unauthorized_client", TokenRequestError, "Ask the server's operator to allow this client to use the au"),
        (404, "", TokenRequestError, "Check Pushed authorization request URL."),
        (415, "", TokenRequestError, "This URL does not accept form-encoded requests, which the RFCs require. Check "),
        (503, "", TokenRequestError, "The server is busy. Try again later."),
    ],
)
def test_a_refused_request_has_advice(
    requests_mock: Mocker, status: int, code: str, kind: type[OAuthError], advice: str
) -> None:
    requests_mock.post(URL, status_code=status, json={"error": code} if code else {})
    error = refused()
    assert isinstance(error, kind)
    shown = f" and error {code!r}" if code else ""
    assert str(error).startswith(
        f"Connection 'api': the pushed authorization request endpoint refused the authorization request with status "
        f"{status}{shown}. {advice}"
    )
    assert requests_mock.call_count == 1  # a user repeats it with a click


@pytest.mark.parametrize("skip_pkce", [True, False])
def test_advice_for_errors_about_pkce_names_its_field(requests_mock: Mocker, skip_pkce: bool) -> None:
    error = {"error": "invalid_request", "error_description": "code_challenge is required"}
    requests_mock.post(URL, status_code=400, json=error)
    assert ("Turn off" if skip_pkce else "turn on") + " Skip PKCE (skip_pkce)" in str(refused(skip_pkce=skip_pkce))


def test_errors_quote_only_known_members_and_no_state_or_nonce(requests_mock: Mocker) -> None:
    text = f"state fake-state and nonce {REQUEST.nonce} are wrong"
    body = {"error": "invalid_request", "error_description": text, "internal": "fake-s-trace"}
    requests_mock.post(URL, status_code=400, json=body)
    assert "The server's message: 'state *** and nonce *** are wrong'" in str(refused(scope="openid"))
