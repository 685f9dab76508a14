"""Error responses: their exception class, advice and ``Retry-After``."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_oauth.exceptions import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    TokenRequestError,
    UnauthorizedClient,
    UnrecognizedRefusal,
    UnsupportedGrantType,
    WrongPassword,
)
from tests.unit.protocol.responses import (
    refused,
)


@pytest.mark.parametrize(
    ("code", "kind", "advice"),
    [
        ("invalid_request", InvalidRequest, "Token request body"),
        ("invalid_client", InvalidClient, "Client secret"),
        ("invalid_grant", InvalidGrant, "refresh token"),
        ("unauthorized_client", UnauthorizedClient, "allow this client to use the refresh_token grant"),
        ("unsupported_grant_type", UnsupportedGrantType, "Grant type"),
        ("invalid_scope", InvalidScope, "Scope"),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_with_an_error_code_of_rfc_6749_has_its_own_class_and_advice(
    status: int, code: str, kind: type[TokenRequestError], advice: str
) -> None:
    error = refused(
        {"error": code, "error_description": "Because.", "error_uri": "https://docs.example.com/e"},
        status,
        refresh=True,
    )

    assert type(error) is kind
    assert (error.error, error.error_description, error.status_code) == (code, "Because.", status)
    assert error.error_uri == "https://docs.example.com/e"
    assert error.retryable is False
    assert error.retry_after is None
    assert str(error).startswith(
        f"Connection 'shop': the token endpoint refused the refresh_token grant with status {status} and error "
        f"'{code}'. "
    )
    assert str(error).endswith(" The server's message: 'Because.' (URL: https://login.example.com/token)")
    assert advice in str(error)
    assert "in-the-query" not in str(error)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_basic_raw", "client_secret_post"])
def test_a_refusal_of_the_client_names_the_client_authentication(method: str) -> None:
    assert f"Check Client ID, Client secret and Client authentication ({method})." in str(
        refused({"error": "invalid_client"}, 401, client_auth=method)
    )


def test_a_refusal_of_the_client_is_not_retried() -> None:
    assert isinstance(refused({"error": "invalid_client"}, 401), AirflowFailException)


def test_a_refusal_with_a_code_without_a_class_is_a_token_request_error() -> None:
    error = refused({"error": "slow_down"}, 400)

    assert type(error) is TokenRequestError
    assert (error.error, error.retryable) == ("slow_down", False)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_of_a_password_is_not_retried(status: int) -> None:
    error = refused({"error": "invalid_grant"}, status, grant_type="password")

    assert type(error) is WrongPassword
    assert isinstance(error, InvalidGrant)
    assert isinstance(error, AirflowFailException)
    assert "User password" in str(error)


def test_a_refusal_of_the_refresh_token_of_a_password_grant_is_not_a_wrong_password() -> None:
    error = refused({"error": "invalid_grant"}, 400, grant_type="password", refresh=True)

    assert type(error) is InvalidGrant
    assert not isinstance(error, AirflowFailException)


@pytest.mark.parametrize("code", ["invalid_credentials", "Unauthorized", "unauthorized", "access_denied", "unknown"])
@pytest.mark.parametrize("grant", ["password", "client_credentials"])
def test_a_refusal_with_401_is_not_retried_whatever_the_code(grant: str, code: str) -> None:
    # For a wrong password, league/oauth2-server up to 7 sends invalid_credentials, and Spring sends Unauthorized.
    # RFC 6749 section 5.2 has 401 for credentials only. Retrying them may lock the account.
    error = refused({"error": code, "message": "The user credentials were incorrect."}, 401, grant_type=grant)

    assert isinstance(error, AirflowFailException)
    assert error.error == code


def test_a_refusal_of_the_password_with_the_older_code_of_league_is_a_wrong_password() -> None:
    content = {"error": "invalid_credentials", "message": "The user credentials were incorrect."}

    assert type(refused(content, 401, grant_type="password")) is WrongPassword


@pytest.mark.parametrize(
    "hint",
    [
        "Cannot decrypt the refresh token",
        "Token has been revoked",
        "Token has expired",
        "Token is not linked to client",
        None,
    ],
)
def test_a_refusal_of_a_refresh_token_in_the_format_of_league_is_an_invalid_grant(hint: str | None) -> None:
    # league/oauth2-server 5 to 8, OAuthServerException::invalidRefreshToken.
    content = {"error": "invalid_request", "message": "The refresh token is invalid."} | (
        {"hint": hint} if hint else {}
    )

    error = refused(content, 401, refresh=True)

    assert type(error) is InvalidGrant
    assert error.error_description is not None
    assert error.error_description.startswith("The refresh token is invalid.")
    assert (hint or "") in error.error_description


def test_a_refusal_of_a_missing_parameter_in_the_format_of_league_is_an_invalid_request() -> None:
    content = {
        "error": "invalid_request",
        "message": "The request is missing a required parameter, includes an invalid parameter value, includes a "
        "parameter more than once, or is otherwise malformed.",
        "hint": "Check the `refresh_token` parameter",
    }

    assert type(refused(content, 400, refresh=True)) is InvalidRequest


def test_a_refusal_quotes_message_and_hint_once_each() -> None:
    error = refused({"error": "x", "message": "Same.", "error_description": "Same.", "hint": "Look here."}, 400)

    assert error.error_description == "Same. Look here."


def test_a_refusal_with_only_a_message_is_an_unrecognized_refusal() -> None:
    error = refused({"message": "Unknown tenant"}, 400)

    assert type(error) is UnrecognizedRefusal
    assert (error.error, error.error_description, error.retryable) == (None, "Unknown tenant", False)
    assert "'Unknown tenant'" in str(error)


def test_a_refusal_with_only_a_message_and_401_is_an_invalid_client() -> None:
    error = refused({"message": "Invalid credentials"}, 401)

    assert type(error) is InvalidClient
    assert "'Invalid credentials'" in str(error)


@pytest.mark.parametrize(
    ("nested", "code"),
    [
        ({"type": "OAuthException", "code": 190, "message": "Expired."}, "OAuthException"),
        ({"code": 401, "message": "Expired.", "status": "UNAUTHENTICATED"}, "401"),
        ({"status": "DENIED", "message": "Expired."}, "DENIED"),
        ({"message": "Expired."}, "error"),
    ],
)
def test_a_refusal_with_an_error_object_has_its_code_and_message(nested: dict[str, Any], code: str) -> None:
    error = refused({"error": nested}, 400)

    assert (error.error, error.error_description) == (code, "Expired.")


def test_a_refusal_with_an_error_object_with_an_rfc_code_has_its_class() -> None:
    assert type(refused({"error": {"code": "invalid_client"}}, 400)) is InvalidClient


@pytest.mark.parametrize("value", [["a"], 5, True, {"type": ["x"]}, {"type": {"a": "b"}}])
def test_a_refusal_with_an_error_of_another_json_type_has_a_string_as_code(value: Any) -> None:
    assert isinstance(refused({"error": value}, 400).error, str)


@pytest.mark.parametrize("body", [b"", b"  \r\n", b"<p></p>"])
def test_a_refusal_without_error_code_and_message_has_the_status(body: bytes) -> None:
    error = refused(body=body, status=404)

    assert error.error_description is None
    assert str(error).startswith(
        "Connection 'shop': the token endpoint refused the client_credentials grant with status 404. "
    )


def test_a_refusal_in_a_form_has_its_class_and_description() -> None:
    error = refused(
        body=b"error=invalid_client&error_description=Nobody+here",
        status=400,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert type(error) is InvalidClient
    assert error.error_description == "Nobody here"


@pytest.mark.parametrize("status", [408, 418, 499])
def test_a_refusal_with_another_4xx_status_is_not_retryable(status: int) -> None:
    assert refused(body=b"", status=status).retryable is False


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 599])
@pytest.mark.parametrize("grant", ["password", "client_credentials"])
@pytest.mark.parametrize("code", ["invalid_client", "invalid_grant", None])
def test_a_refusal_by_a_busy_server_is_retryable(code: str | None, grant: str, status: int) -> None:
    error = refused({"error": code}, status, grant_type=grant)

    assert type(error) is TokenRequestError
    assert error.retryable is True
    assert not isinstance(error, AirflowFailException)


@pytest.mark.parametrize("body", [b'{"error":' * 50_000, b"\x00\x01\x02\xff" * 100, b"[" * 100_000, b"9" * 100_000])
def test_a_refusal_with_a_garbage_body_is_a_short_printable_error(body: bytes) -> None:
    error = refused(body=body, status=400)

    assert len(str(error)) < 1000
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30),
        ("Sun, 01 Mar 2026 13:00:30 +0100", 30),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30),
        ("Sun Mar  1 12:00:30 2026", 30),
        ("Sun, 01 Mar 2026 12:00:00 GMT", 0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_can_be_seconds_or_a_date(status: int, value: str, seconds: float) -> None:
    assert refused({}, status, {"retry-after": value}).retry_after == seconds


@pytest.mark.parametrize(
    "value",
    ["", "soon", "-5", "1.5s", "1e3", "²", "Sun, 99 Foo 2026 12:00:30 GMT", "Sun, 01 Mar 99999 12:00:00 GMT", "0x10"]
    + ["Sun, 01 Mar 2026 99:99:99 GMT", "Sun, 01 Mar 2026 12:00:30 +9999", ",", ":", "1 2 3", "9" * 5000],
)
def test_retry_after_that_is_invalid_is_none(value: str) -> None:
    error = refused({}, 503, {"Retry-After": value})

    assert error.retry_after is None
    assert error.retryable is True


def test_retry_after_that_is_missing_is_none() -> None:
    assert refused({}, 429).retry_after is None
