"""The device authorization grant (RFC 8628): its requests, their responses, and the time between them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    ConsentDenied,
    InvalidClient,
    InvalidGrant,
    InvalidScope,
    OAuthError,
    TokenRequestError,
    TokenResponseError,
    UnrecognizedRefusal,
)
from airflow_provider_oauth.protocol.device_authorization import DeviceAuthorization
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from airflow_provider_oauth.protocol.metrics import TOKEN_REQUESTS
from tests.connections import oauth_config
from tests.fake_clock import START, FakeClock

if TYPE_CHECKING:
    from datetime import datetime

    from requests_mock import Mocker

    from airflow_provider_oauth.protocol.config import OAuthConfig

DEVICE_URL = "https://auth.test/device"
TOKEN_URL = "https://auth.test/token"
CODES = {
    "device_code": "fake-device-code",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://auth.test/enter",
    "verification_uri_complete": "https://auth.test/enter?user_code=WDJB-MJHT",
    "expires_in": 1800,
    "interval": 7,
}
DEVICE = DeviceAuthorization(
    device_code="fake-device-code", user_code="WDJB-MJHT", verification_uri="https://auth.test/enter", expires_in=60
)
TOKEN = {"access_token": "fake-access", "refresh_token": "fake-refresh", "expires_in": 3600}
PENDING = {"status_code": 400, "json": {"error": "authorization_pending"}}
SLOW_DOWN = {"status_code": 400, "json": {"error": "slow_down"}}


def config(**changes: Any) -> OAuthConfig:
    values = {
        "conn_id": "api",
        "grant_type": "authorization_code",
        "token_url": TOKEN_URL,
        "device_url": DEVICE_URL,
        "client_id": "fake-id",
        "client_secret": "fake-secret",
    }
    return oauth_config(**(values | changes))


def authorize(**changes: Any) -> DeviceAuthorization:
    return TokenEndpoint(config(**changes), FakeClock()).authorize_device()


def refused(**changes: Any) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        authorize(**changes)
    text = str(caught.value)
    assert text.startswith("Connection 'api': ")
    assert "fake-s" not in text + repr(vars(caught.value))
    return caught.value


# --- the device authorization request


def test_the_request_has_scope_audience_and_resource_and_the_credentials_of_the_client(requests_mock: Mocker) -> None:
    requests_mock.post(DEVICE_URL, json=CODES)
    authorize(scope="read write", audience="https://api", resource="urn:x", grant_params={"a": "b"})
    request = requests_mock.last_request
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"fake-id:fake-secret").decode()
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["Accept"] == "application/json"
    assert request.body == b"client_id=fake-id&scope=read+write&audience=https%3A%2F%2Fapi&resource=urn%3Ax"


@pytest.mark.parametrize(
    ("client_auth", "body"),
    [
        ("none", b"client_id=fake-id&scope=read"),
        ("client_secret_post", b"client_id=fake-id&scope=read&client_secret=fake-secret"),
    ],
)
def test_the_body_is_a_form_and_has_the_client_id_once(requests_mock: Mocker, client_auth: str, body: bytes) -> None:
    requests_mock.post(DEVICE_URL, json=CODES)
    authorize(scope="read", client_auth=client_auth, body_format="json")
    assert requests_mock.last_request.body == body


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"grant_type": "client_credentials"}, "set Grant type to authorization_code"),
        ({"device_url": None}, "Device authorization URL (device_url) is missing and was not read from the issuer's"),
        ({"callback_map": {"realm_id": "realmId"}}, "Callback values (callback_map) needs a callback"),
    ],
)
def test_a_connection_that_cannot_be_authorized_with_a_code_is_refused(
    requests_mock: Mocker, changes: dict[str, Any], text: str
) -> None:
    error = refused(**changes)
    assert isinstance(error, ConfigurationError)
    assert text in str(error)
    assert not requests_mock.called


# --- its response


def test_the_codes_are_read_from_the_response(requests_mock: Mocker) -> None:
    requests_mock.post(DEVICE_URL, json=CODES)
    assert authorize() == DeviceAuthorization(
        device_code="fake-device-code",
        user_code="WDJB-MJHT",
        verification_uri="https://auth.test/enter",
        verification_uri_complete="https://auth.test/enter?user_code=WDJB-MJHT",
        expires_in=1800,
        interval=7,
    )
    assert "fake-device-code" not in repr(authorize())


@pytest.mark.parametrize("interval", [1e-9, 0.5, "0.1"])
def test_the_interval_is_at_least_a_second(requests_mock: Mocker, interval: Any) -> None:
    requests_mock.post(DEVICE_URL, json=CODES | {"interval": interval})
    assert authorize().interval == 1


@pytest.mark.parametrize("interval", [None, 0, -1, "x", True, []])
def test_the_interval_is_5_seconds_by_default(requests_mock: Mocker, interval: Any) -> None:
    requests_mock.post(DEVICE_URL, json=CODES | {"interval": interval, "verification_uri_complete": None})
    device = authorize()
    assert (device.interval, device.verification_uri_complete) == (5, None)


def test_durations_can_be_strings(requests_mock: Mocker) -> None:
    requests_mock.post(DEVICE_URL, json=CODES | {"interval": "3", "expires_in": "600"})
    device = authorize()
    assert (device.interval, device.expires_in) == (3, 600)


def test_the_response_of_google_has_verification_url(requests_mock: Mocker) -> None:
    response = {
        "device_code": "4/4-GMMhmHCXhWEzkobqIHGG_EnNYYsAkukHspeYUk9E8",
        "user_code": "GQVQ-JKEC",
        "verification_url": "https://www.google.com/device",
        "expires_in": 1800,
        "interval": 5,
    }
    requests_mock.post(DEVICE_URL, json=response)
    assert authorize().verification_uri == "https://www.google.com/device"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, None) for name in ("device_code", "user_code", "verification_uri", "expires_in")],
        *[(name, "") for name in ("device_code", "user_code", "verification_uri")],
        ("user_code", "  "),
        *[(name, "x\x1b[2J") for name in ("device_code", "user_code", "verification_uri", "verification_uri_complete")],
        *[(name, "x" * 70_000) for name in ("device_code", "user_code")],
        *[("verification_uri", url) for url in ("javascript:alert(1)", "/device", "http://[", "https://x y", 7)],
        *[
            ("verification_uri", url)
            for url in ("https://auth.test@x.test/", "https://x:0x/", "https://x.test\\@auth.test")
        ],
        *[("verification_uri_complete", url) for url in ("ftp://x", ["https://x"], "https://auth.test:a@x.test/")],
        *[("expires_in", value) for value in (0, -1, "soon", True)],
        ("interval", 1800),
    ],
)
def test_a_response_with_an_invalid_value_is_an_error(requests_mock: Mocker, name: str, value: Any) -> None:
    requests_mock.post(DEVICE_URL, json=CODES | {name: value})
    error = refused()
    assert isinstance(error, TokenResponseError)
    assert str(error) == (
        f"Connection 'api': the device authorization endpoint responded with status 200 but without a valid {name}. "
        "Check Device authorization URL. (URL: https://auth.test/device)"
    )


def test_the_device_code_is_masked_while_it_is_valid(requests_mock: Mocker) -> None:
    requests_mock.post(DEVICE_URL, json=CODES)
    masked: list[tuple[str, datetime | None]] = []
    TokenEndpoint(config(), FakeClock(), mask=lambda *secret: masked.append(secret)).authorize_device()
    ((secret, until),) = masked
    assert secret == "fake-device-code"
    assert until is not None
    assert (until - START).total_seconds() == 1800


@pytest.mark.parametrize(
    ("status", "code", "kind", "advice"),
    [
        (401, "invalid_client", InvalidClient, "Check Client ID, Client secret and Client authentication"),
        (400, "invalid_request", TokenRequestError, "Check Client ID, Scope and Client authentication."),
        (400, "invalid_scope", InvalidScope, "Check Scope."),
        (400, "unauthorized_client", TokenRequestError, "The server, or this client, does not support the device auth"),
        (200, "device_flow_disabled", TokenRequestError, "Enable the device flow in the settings of the app."),
        (404, "", TokenRequestError, "Check Device authorization URL."),
        (503, "", TokenRequestError, "The server is busy. Try again later."),
    ],
)
def test_a_refused_request_has_advice(
    requests_mock: Mocker, status: int, code: str, kind: type[OAuthError], advice: str
) -> None:
    requests_mock.post(DEVICE_URL, status_code=status, json={"error": code} if code else {})
    error = refused()
    assert isinstance(error, kind)
    shown = f" and error {code!r}" if code else ""
    assert str(error).startswith(
        f"Connection 'api': the device authorization endpoint refused the device authorization request with status "
        f"{status}{shown}. {advice}"
    )


# --- waiting for the user


def wait(requests_mock: Mocker, *responses: dict[str, Any], **changes: Any) -> list[float]:
    """Wait with these responses of the token endpoint, and return the seconds between the requests."""
    requests_mock.post(TOKEN_URL, list(responses))
    clock = FakeClock()
    TokenEndpoint(config(**changes), clock).wait_for_device(DEVICE)
    assert requests_mock.call_count == len(responses)
    return clock.slept


def failed_wait(requests_mock: Mocker, *responses: dict[str, Any]) -> tuple[OAuthError, list[float]]:
    requests_mock.post(TOKEN_URL, list(responses))
    clock = FakeClock()
    with pytest.raises(OAuthError) as caught:
        TokenEndpoint(config(), clock).wait_for_device(DEVICE)
    text = str(caught.value)
    assert text.startswith("Connection 'api': ")
    assert "fake-device-code" not in text + repr(vars(caught.value))
    return caught.value, clock.slept


def test_the_token_request_has_the_device_code(requests_mock: Mocker) -> None:
    assert wait(requests_mock, {"json": TOKEN}, client_auth="none", resource="urn:x", grant_params={"a": "b"}) == [5]
    assert requests_mock.last_request.body == (
        b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=fake-device-code"
        b"&resource=urn%3Ax&client_id=fake-id&a=b"
    )


def test_the_token_is_requested_again_while_the_user_has_not_decided(requests_mock: Mocker) -> None:
    assert wait(requests_mock, PENDING, PENDING, {"json": TOKEN}) == [5, 5, 5]


def test_each_slow_down_adds_5_seconds_to_all_further_intervals(requests_mock: Mocker) -> None:
    assert wait(requests_mock, SLOW_DOWN, PENDING, SLOW_DOWN, {"json": TOKEN}) == [5, 10, 10, 15]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, "authorization_pending"),  # GitHub
        (428, "authorization_pending"),  # Google
        (403, "authorization_pending"),  # Auth0
        (403, "slow_down"),  # Google
        (429, "slow_down"),  # Auth0
    ],
)
def test_the_error_code_counts_whatever_the_status_is(requests_mock: Mocker, status: int, code: str) -> None:
    waits = wait(requests_mock, {"status_code": status, "json": {"error": code}}, {"json": TOKEN})
    assert waits == ([5, 10] if code == "slow_down" else [5, 5])


def test_the_interval_is_doubled_if_the_server_does_not_respond(requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, [{"exc": requests.ConnectTimeout}, {"status_code": 503}, {"json": TOKEN}])
    clock = FakeClock()
    TokenEndpoint(config(), clock).wait_for_device(DEVICE)
    assert clock.slept == [5, 10, 20]


def test_retry_after_is_respected_once(requests_mock: Mocker) -> None:
    busy = {"status_code": 503, "headers": {"Retry-After": "30"}}
    assert wait(requests_mock, busy, PENDING, {"json": TOKEN}) == [5, 30, 10]


def test_the_interval_is_doubled_to_60_seconds_at_most(requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, [*[{"exc": requests.ConnectTimeout}] * 6, {"json": TOKEN}])
    clock = FakeClock()
    long = DeviceAuthorization(
        device_code="d", user_code="u", verification_uri="https://auth.test/enter", expires_in=1800
    )
    TokenEndpoint(config(), clock).wait_for_device(long)
    assert clock.slept == [5, 10, 20, 40, 60, 60, 60]


def test_after_the_codes_have_expired_no_request_is_sent(requests_mock: Mocker) -> None:
    error, waits = failed_wait(requests_mock, PENDING)
    assert isinstance(error, ConsentDenied)
    assert waits == [5] * 11
    assert str(error) == (
        "Connection 'api': nobody entered the code and consented in time. No token was stored. Run the command again."
    )


def test_a_server_that_never_responds_is_reported(requests_mock: Mocker) -> None:
    error, waits = failed_wait(requests_mock, {"exc": requests.ConnectTimeout})
    assert "no response from the token endpoint" in str(error)
    assert waits == [5, 10, 20]


@pytest.mark.parametrize("code", ["expired_token", "token_expired"])
def test_expired_token_ends_the_wait(requests_mock: Mocker, code: str) -> None:
    error, waits = failed_wait(requests_mock, PENDING, {"status_code": 400, "json": {"error": code}})
    assert "nobody entered the code and consented in time" in str(error)
    assert waits == [5, 5]


@pytest.mark.parametrize("code", ["access_denied", "authorization_declined"])
@pytest.mark.parametrize("status", [200, 400, 403])
def test_a_declined_consent_ends_the_wait(requests_mock: Mocker, code: str, status: int) -> None:
    error, waits = failed_wait(requests_mock, {"status_code": status, "json": {"error": code}})
    assert isinstance(error, ConsentDenied)
    assert error.error == code
    assert f"the user declined, or is not allowed to consent ({code}). No token was stored." in str(error)
    assert waits == [5]


@pytest.mark.parametrize(
    ("status", "code", "kind", "advice"),
    [
        (401, "invalid_client", InvalidClient, "Check Client ID, Client secret and Client authentication"),
        (400, "invalid_grant", InvalidGrant, "The device code is invalid, expired or already used. Run the command ag"),
        (400, "unsupported_grant_type", TokenRequestError, "The server, or this client, does not support the device"),
        (400, "bad_verification_code", UnrecognizedRefusal, "The response does not show whether the client or the dev"),
        (200, "incorrect_device_code", UnrecognizedRefusal, "The response does not show whether the client or the dev"),
        (200, "device_flow_disabled", UnrecognizedRefusal, "Enable the device flow in the settings of the app."),
        (200, "incorrect_client_credentials", InvalidClient, "Check Client ID, Client secret and Client auth"),
    ],
)
def test_other_errors_end_the_wait(
    requests_mock: Mocker, status: int, code: str, kind: type[OAuthError], advice: str
) -> None:
    error, waits = failed_wait(requests_mock, {"status_code": status, "json": {"error": code}})
    assert isinstance(error, kind)
    assert str(error).startswith(
        f"Connection 'api': the token endpoint refused the device_code grant with status {status} and error "
        f"{code!r}. {advice}"
    )
    assert waits == [5]


def test_a_response_without_a_token_ends_the_wait(requests_mock: Mocker) -> None:
    error, _ = failed_wait(requests_mock, {"json": {}})
    assert isinstance(error, TokenResponseError)


def test_the_device_code_is_not_quoted(requests_mock: Mocker) -> None:
    body = {"error": "invalid_grant", "error_description": "fake-device-code is unknown"}
    error, _ = failed_wait(requests_mock, {"status_code": 400, "json": body})
    assert "'*** is unknown'" in str(error)


def test_a_token_without_expires_in_and_refresh_token_never_expires(requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access"})
    assert TokenEndpoint(config(), FakeClock()).wait_for_device(DEVICE).never_expires


def test_the_outcome_of_the_wait_is_reported_once(requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, [PENDING, SLOW_DOWN, {"json": TOKEN}])
    reported: list[tuple[Any, str]] = []
    endpoint = TokenEndpoint(config(), FakeClock(), report=lambda metric, outcome: reported.append((metric, outcome)))
    endpoint.wait_for_device(DEVICE)
    assert reported == [(TOKEN_REQUESTS, "success")]
    requests_mock.post(TOKEN_URL, status_code=401, json={"error": "invalid_client"})
    with pytest.raises(InvalidClient):
        endpoint.wait_for_device(DEVICE)
    assert reported[1:] == [(TOKEN_REQUESTS, "refused")]
