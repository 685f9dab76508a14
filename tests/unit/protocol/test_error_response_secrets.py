"""Error texts quote no secret, even if the server sends it back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import (
    OAuthError,
    TokenResponseError,
)
from airflow_provider_oauth.protocol.token_requests import grant_request
from tests.unit.protocol.responses import (
    PARAM_SECRET,
    REFRESH_TOKEN,
    SECRET,
    SENT_AT,
    SPELLINGS,
    USER_PASSWORD,
    assert_no_secret,
    config,
    parse,
    refused,
    spellings,
)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("key", ["error", "error_description", "error_uri", "message", "detail", "hint", "title"])
def test_secrets_are_not_quoted_from_json(key: str, spelling: str) -> None:
    secrets = (SECRET, USER_PASSWORD, PARAM_SECRET)
    echo = " and ".join(spellings(secret)[spelling] for secret in secrets)

    error = refused({key: f"You sent {echo}!"}, 400, grant_type="password", secret_grant_params={"key": PARAM_SECRET})

    assert_no_secret(error, *secrets)


@pytest.mark.parametrize("status", [200, 401, 429, 500])
@pytest.mark.parametrize("key", ["error", "error_description", "message"])
def test_secrets_are_not_quoted_whatever_the_status(key: str, status: int) -> None:
    with pytest.raises(OAuthError) as raised:
        parse({key: f"You sent {SECRET}!"}, status)

    assert_no_secret(raised.value, SECRET)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_secrets_are_not_quoted_for_a_refresh(spelling: str) -> None:
    echo = spellings(REFRESH_TOKEN)[spelling]

    error = refused({"error": "invalid_grant", "error_description": f"<{echo}> is already used"}, 400, refresh=True)

    assert_no_secret(error, REFRESH_TOKEN)
    assert "is already used" in str(error)


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("spelling", SPELLINGS[1:])
def test_secrets_are_not_quoted_from_an_html_page(spelling: str, status: int) -> None:
    with pytest.raises(OAuthError) as raised:
        parse(
            body=f"<p>{spellings(SECRET)[spelling]}</p>".encode(),
            status=status,
            headers={"Content-Type": "text/html"},
        )

    assert_no_secret(raised.value, SECRET)


def test_secrets_are_not_quoted_from_an_html_page_that_escapes_them() -> None:
    escaped = "fake/secret+é &quot;&amp;&lt;%"

    error = refused(body=f"<p>Your secret {escaped} is wrong</p>".encode(), status=400)

    assert escaped not in str(error)
    assert "fake/secret" not in str(error.__dict__)


@pytest.mark.parametrize("escape", [lambda text: text, lambda text: text.replace("/", "\\/")], ids=["json", "php"])
def test_secrets_are_not_quoted_from_json_in_an_unknown_format(escape: Any) -> None:
    body = escape(json.dumps({"errors": [{"text": f"secret {SECRET} is wrong"}]})).encode()

    error = refused(body=body, status=400)

    assert "secret+" not in str(error.__dict__)
    assert "secret+" not in str(error)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_basic_raw"])
def test_the_authorization_header_is_not_quoted(method: str) -> None:
    header = grant_request(config(client_auth=method), now=SENT_AT).headers["Authorization"]

    error = refused({"error": "bad", "message": f"Cannot read {header}"}, 400, client_auth=method)

    assert header.removeprefix("Basic ").rstrip("=") not in str(error)
    assert header.removeprefix("Basic ").rstrip("=") not in repr(error.__dict__)


@pytest.mark.parametrize("value", [["fake-listed-1", "fake-listed-2"], {"inner": "fake-listed-1"}])
def test_a_secret_in_a_nested_parameter_is_not_quoted(value: Any) -> None:
    error = refused({"message": "fake-listed-1 is wrong"}, 400, secret_grant_params={"keys": value})

    assert_no_secret(error, "fake-listed-1")


def test_the_start_of_a_secret_at_the_end_of_a_quote_is_not_quoted() -> None:
    error = refused({"message": "x" * 295 + PARAM_SECRET}, 400, secret_grant_params={"key": PARAM_SECRET})

    assert "fake" not in repr(error.__dict__)


def test_the_token_of_an_unusable_response_is_not_quoted() -> None:
    for content in (
        {"access_token": "fake-access", "token_type": "mac"},
        {"access_token": "fake access"},
        {"access_token": "fake-access", "error": "invalid_scope"},
        {"access_token": ["fake-access"], "message": "hello"},
    ):
        with pytest.raises(OAuthError) as raised:
            parse(content)
        assert "fake" not in str(raised.value)
        assert "fake" not in repr(raised.value.__dict__)


@pytest.mark.parametrize("content_type", ["text/plain", "text/html; charset=UTF-8", "application/json", ""])
@pytest.mark.parametrize(
    "body",
    [
        b"access_token=fake-access&token_type=bearer",
        b'{"access_token": "fake-access", "expires_in": 36',
        b"{'access_token': 'fake-access'}",
        b"fake-access",
    ],
    ids=["form", "cut-off json", "python", "bare"],
)
def test_the_token_of_an_unreadable_response_is_not_quoted(body: bytes, content_type: str) -> None:
    text = ""
    try:
        parse(body=body, headers={"Content-Type": content_type})
    except TokenResponseError as error:
        text = str(error)

    assert "fake-access" not in text


@pytest.mark.parametrize("key", ["error", "error_description", "message", "error_uri"])
def test_a_quote_has_no_control_characters(key: str) -> None:
    error = refused({key: "one\r\ntwo\x1b[31m\x00 \u202ethree\u2028four"}, 400)

    quoted = " ".join(value for value in vars(error).values() if isinstance(value, str))
    assert str(error).isprintable()
    assert quoted.isprintable()


@pytest.mark.parametrize("key", ["error", "error_description", "message", "error_uri"])
def test_a_quote_has_a_maximum_length(key: str) -> None:
    error = refused({key: "word " * 10_000}, 400)

    assert len(str(error)) < 1000
    assert all(len(value) <= 300 for value in vars(error).values() if isinstance(value, str))


@pytest.mark.parametrize("error_uri", [None, 5, ["https://x"], ""])
def test_a_quote_has_no_error_uri_if_it_is_invalid(error_uri: Any) -> None:
    assert not refused({"error": "x", "error_uri": error_uri}, 400).error_uri
