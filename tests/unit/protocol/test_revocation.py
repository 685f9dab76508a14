"""Requests to the revocation endpoint and the meaning of its responses (RFC 7009)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    InvalidClient,
    InvalidRequest,
    OAuthError,
    TokenRequestError,
    TokenResponseError,
)
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from tests.connections import oauth_config
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from requests_mock import Mocker


URL = "https://auth.test/revoke"
TOKEN = "fake-refresh/1"


def endpoint(**values: Any) -> TokenEndpoint:
    values = {"client_id": "fake-id", "client_secret": "fake-secret", "revoke_url": URL, **values}
    config = oauth_config(conn_id="api", base_url="https://api.test", token_url="https://auth.test/token", **values)
    return TokenEndpoint(config, FakeClock())


def revoke(**values: Any) -> bool:
    return endpoint(**values).revoke(TOKEN, "refresh_token")


def refused(**values: Any) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        revoke(**values)
    text = str(caught.value)
    assert text.startswith("Connection 'api': ")
    assert "the revocation endpoint" in text
    assert "(URL: https://auth.test/revoke)" in text
    assert "token endpoint" not in text
    assert "Token URL" not in text
    assert "fake-refresh" not in text + repr(vars(caught.value))
    assert "fake-secret" not in text + repr(vars(caught.value))
    return caught.value


@pytest.mark.parametrize(
    "response",
    [
        {"text": ""},
        {"text": "<h1>done</h1>"},
        {"status_code": 204},
        {"status_code": 400, "json": {"error": "invalid_token"}},  # the token was not valid anymore
    ],
)
def test_a_success_counts_whatever_the_response_contains(requests_mock: Mocker, response: dict[str, Any]) -> None:
    requests_mock.post(URL, **response)
    assert revoke()
    (request,) = requests_mock.request_history
    assert request.body == b"token=fake-refresh%2F1&token_type_hint=refresh_token"
    assert request.headers["Authorization"] == "Basic ZmFrZS1pZDpmYWtlLXNlY3JldA=="
    assert request.headers["User-Agent"].startswith("airflow-provider-oauth/")
    assert request.timeout == (5.0, 20.0)


def test_a_server_that_cannot_revoke_tokens_of_this_type_is_no_error(requests_mock: Mocker) -> None:
    requests_mock.post(URL, status_code=400, json={"error": "unsupported_token_type"})
    assert not revoke()


@pytest.mark.parametrize(
    ("status", "response"), [(401, {"error": "invalid_client"}), (400, {"error": "invalid_client"}), (401, {})]
)
def test_a_refused_client_raises_invalid_client(requests_mock: Mocker, status: int, response: dict[str, Any]) -> None:
    requests_mock.post(URL, status_code=status, json=response)
    error = refused(grant_type="password", username="ann", user_password="fake-pass")
    assert isinstance(error, InvalidClient)
    assert "the revocation endpoint did not revoke the token: it responded with status" in str(error)
    assert "Check Client ID" in str(error)


def test_a_bad_request_names_the_fields_to_check(requests_mock: Mocker) -> None:
    requests_mock.post(URL, status_code=400, json={"error": "invalid_request"})
    error = refused()
    assert isinstance(error, InvalidRequest)
    assert f"Check Revocation URL and Client authentication. (URL: {URL})" in str(error)


@pytest.mark.parametrize("status", [404, 405])
def test_a_wrong_url_names_the_field_to_check(requests_mock: Mocker, status: int) -> None:
    requests_mock.post(URL, status_code=status)
    error = refused()
    assert (error.status_code, error.retryable) == (status, False)
    assert str(error).endswith(f"Check Revocation URL. (URL: {URL})")


def test_a_request_to_a_busy_server_is_sent_once_and_can_be_retried(requests_mock: Mocker) -> None:
    requests_mock.post(URL, status_code=503, headers={"Retry-After": "7"})
    error = refused()
    assert type(error) is TokenRequestError
    assert (error.status_code, error.retryable, error.retry_after) == (503, True, 7)
    assert requests_mock.call_count == 1


def test_a_request_to_an_unreachable_server_can_be_retried(requests_mock: Mocker) -> None:
    requests_mock.post(URL, exc=requests.ConnectionError(OSError(f"lost while sending {TOKEN}")))
    error = refused()
    assert error.retryable
    assert "lost while sending" not in str(error)
    assert "Check Revocation URL, and that this machine can reach the server." in str(error)
    assert requests_mock.call_count == 1


def test_a_redirect_is_not_followed(requests_mock: Mocker) -> None:
    requests_mock.post(URL, status_code=307, headers={"Location": "https://evil.test/revoke"})
    elsewhere = requests_mock.post("https://evil.test/revoke")
    error = refused()
    assert isinstance(error, TokenResponseError)
    assert (
        "redirected to https://evil.test/revoke. If that is the revocation endpoint, set Revocation URL to it."
        in str(error)
    )
    assert not elsewhere.called


def test_the_token_is_not_quoted(requests_mock: Mocker) -> None:
    description = f"no such token: {TOKEN} or fake-refresh%2F1"
    requests_mock.post(URL, status_code=400, json={"error": "odd", "error_description": description})
    assert "no such token: *** or ***" in str(refused())


def test_without_a_revocation_url_no_request_is_sent(requests_mock: Mocker) -> None:
    with pytest.raises(ConfigurationError, match=r"'api': Revocation URL \(revoke_url\) is missing"):
        revoke(revoke_url=None)
    assert not requests_mock.called


@pytest.mark.parametrize("url", ["https://a..b/revoke", f"https://{'x' * 64}.test/revoke"])
def test_an_invalid_host_is_reported_like_an_unreachable_one(url: str) -> None:
    with pytest.raises(TokenRequestError, match="no response from the revocation endpoint"):
        revoke(revoke_url=url)


def test_an_error_with_a_success_status_is_an_error(requests_mock: Mocker) -> None:
    requests_mock.post(URL, json={"error": "invalid_client"})
    with pytest.raises(InvalidClient):
        revoke()
