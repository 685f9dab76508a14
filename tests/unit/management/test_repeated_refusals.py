"""What many tasks do after a refusal of the server: how many requests they send, and which errors they raise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from airflow_provider_oauth.exceptions import (
    ConsentRequired,
    OAuthError,
    TokenRequestError,
    UnrecognizedRefusal,
    WrongPassword,
)
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.runtime import token_sources
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests_mock import Mocker

    from airflow_provider_oauth.protocol.config import OAuthConfig

API = "https://api.example.com/v1"
TOKEN_URL = "https://login.example.com/token"
PASSWORD = {"grant_type": "password", "username": "fake-user", "user_password": "fake-password"}
REFRESH = {"grant_type": "refresh_token", "refresh_token": "fake-refresh"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    clock.install(monkeypatch)
    return clock


@pytest.fixture
def connect(
    define_connection: Callable[..., None], variables: dict[str, str], clock: FakeClock
) -> Callable[..., OAuthConfig]:
    def define(**extra: Any) -> OAuthConfig:
        define_connection("my_api", host=API, **extra)
        return OAuthHook("my_api").config

    return define


def task() -> OAuthError | None:
    """Get a token in a new process; return the error, if any."""
    token_sources._sources.clear()
    try:
        OAuthHook("my_api").get_token()
    except OAuthError as error:
        return error
    return None


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}])
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [(400, b'{"error": "invalid_grant"}', WrongPassword), (403, b"", UnrecognizedRefusal)],
)
def test_tasks_send_a_refused_password_once_whatever_retry_after_says(
    connect: Callable[..., OAuthConfig],
    requests_mock: Mocker,
    clock: FakeClock,
    status: int,
    body: bytes,
    kind: type[OAuthError],
    headers: dict[str, Any],
) -> None:
    connect(**PASSWORD)
    server = requests_mock.post(TOKEN_URL, status_code=status, content=body, headers=headers)
    assert {type(task()) for _ in range(5)} == {kind}
    assert server.call_count == 1
    clock.seconds += 60
    assert type(task()) is kind
    assert server.call_count == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"status": "BAD_REFRESH_TOKEN"}),
        (400, {"errors": [{"errorType": "invalid_grant"}]}),
        (400, {"message": "Bad Request", "errors": [{"resource": "RefreshToken", "code": "invalid"}]}),
        (200, {"ok": False, "error": "invalid_refresh_token"}),
    ],
)
def test_a_refusal_in_known_words_of_a_vendor_requires_consent_and_other_tasks_send_nothing(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, status: int, body: dict[str, Any]
) -> None:
    config = connect(**REFRESH)
    server = requests_mock.post(TOKEN_URL, status_code=status, json=body)
    assert {type(task()) for _ in range(5)} == {ConsentRequired}
    assert server.call_count == 1
    assert grants.status(config).needs_consent


@pytest.mark.parametrize(("status", "body"), [(400, b""), (403, b""), (400, b"{}"), (200, b'{"error": "odd"}')])
def test_the_second_refusal_in_unknown_words_requires_consent_and_the_refresh_token_stays_stored(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, clock: FakeClock, status: int, body: bytes
) -> None:
    config = connect(**REFRESH)
    refused = requests_mock.post(TOKEN_URL, status_code=status, content=body)
    assert {type(task()) for _ in range(5)} == {UnrecognizedRefusal}
    assert (refused.call_count, grants.status(config).needs_consent) == (1, False)
    clock.seconds += 60
    assert {type(task()) for _ in range(5)} == {ConsentRequired}
    assert (refused.call_count, grants.status(config).needs_consent) == (2, True)
    clock.seconds += 60
    accepted = requests_mock.post(TOKEN_URL, json={"access_token": "fake-access", "expires_in": 3600})
    assert task() is None
    assert parse_qs(accepted.last_request.text)["refresh_token"] == ["fake-refresh"]
    assert not grants.status(config).needs_consent


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (403, {"Content-Type": "text/html"}, b"<html>Blocked by the firewall</html>"),
        (404, {}, b""),
        (503, {"Retry-After": "3600"}, b""),
    ],
)
def test_a_response_that_is_not_a_refusal_starts_no_cool_down(
    connect: Callable[..., OAuthConfig],
    requests_mock: Mocker,
    clock: FakeClock,
    status: int,
    headers: dict[str, Any],
    body: bytes,
) -> None:
    config = connect(**REFRESH)
    server = requests_mock.post(TOKEN_URL, status_code=status, headers=headers, content=body)
    for _ in range(2):
        assert type(task()) is TokenRequestError
        clock.seconds += 60
    assert server.call_count == 2
    assert not grants.status(config).needs_consent


def test_a_user_can_renew_after_a_host_with_a_wrong_clock_has_recorded_a_refusal(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, variables: dict[str, str], clock: FakeClock
) -> None:
    config = connect(**REFRESH)
    clock.seconds = 365 * 86400.0
    requests_mock.post(TOKEN_URL, status_code=401, json={"error": "invalid_client"})
    task()
    clock.seconds = 0.0
    assert json.loads(variables["oauth_token__my_api"])["refused"]["until"].startswith("2027-01-01T00:0")
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access", "expires_in": 3600})
    token_sources._sources.clear()
    assert grants.renew(config).access_token == "fake-access"
