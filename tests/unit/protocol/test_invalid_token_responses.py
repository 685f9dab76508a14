"""Token responses without a usable token."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_oauth.exceptions import (
    InvalidClient,
    InvalidScope,
)
from tests.unit.protocol.responses import (
    PARAM_SECRET,
    SECRET,
    assert_no_secret,
    config,
    invalid_response,
    parse,
    refused,
)


@pytest.mark.parametrize(
    "access_token",
    [None, "", 5, 1.5, True, ["fake"], {"value": "fake"}],
)
def test_an_access_token_that_is_not_a_string_is_an_error(access_token: Any) -> None:
    error = invalid_response({"access_token": access_token, "token_type": "Bearer"})

    assert str(error) == (
        "Connection 'shop': the token endpoint responded with status 200 but without an access token. Check Token "
        "URL; if the response has the token under another name, set Token response map. "
        "(Content type: application/json, URL: https://login.example.com/token)"
    )


@pytest.mark.parametrize(
    "access_token",
    ["a\nb", "fake\r\nX-Evil: 1", "a b", " a", "a ", "a\tb", "a\x00b", "a\x7fb", "tökén", "a\u2028b"],
)
def test_an_access_token_that_cannot_be_sent_in_a_header_is_rejected(access_token: str) -> None:
    error = invalid_response({"access_token": access_token})

    assert "cannot be sent in a header" in str(error)
    assert access_token.strip() == "a" or access_token not in str(error)


@pytest.mark.parametrize("access_token", ["!", "~", "aZ09-._~+/="])
def test_every_character_that_is_allowed_in_a_header_is_accepted(access_token: str) -> None:
    assert parse({"access_token": access_token}).access_token == access_token


@pytest.mark.parametrize("body", [b"", b"   ", b"null", b"{}", b"[]", b'"text"', b"5", b"true", b"\xff\xfe\x00", b"{"])
def test_a_successful_response_with_any_other_body_is_an_error(body: bytes) -> None:
    assert "responded with status 200 but without an access token" in str(invalid_response(body=body))


def test_a_successful_response_with_an_error_is_a_refusal() -> None:
    error = refused({"error": "invalid_scope", "error_description": "no such scope"})

    assert type(error) is InvalidScope
    assert error.status_code == 200


def test_a_successful_response_with_an_error_and_a_token_is_a_refusal() -> None:
    assert type(refused({"error": "invalid_client", "access_token": "fake-access"})) is InvalidClient


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("error", [None, "invalid_grant"])
def test_a_redirect_is_not_followed_but_reported(status: int, error: str | None) -> None:
    location = "https://new.example.com/oauth/token"

    text = str(invalid_response({"access_token": "fake-access", "error": error}, status, {"Location": location}))

    assert text.endswith(
        f"redirected to {location}. If that is the token endpoint, set Token URL to it. "
        f"(URL: https://login.example.com/token)"
    )


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/oauth/token", "https://login.example.com/oauth/token"),
        ("v2", "https://login.example.com/v2"),
        ("../a/token/", "https://login.example.com/a/token/"),
        ("//new.example.com/token", "https://new.example.com/token"),
        ("https://u:p@new.example.com:8443/token#part", "https://new.example.com:8443/token"),
    ],
)
def test_the_advice_after_a_redirect_works_when_followed_literally(location: str, url: str) -> None:
    text = str(invalid_response({}, 307, {"Location": location}))
    advised = text.partition("redirected to ")[2].partition(". If that is the token endpoint, set Token URL to it")[0]

    assert advised == url
    assert config(token_url=advised).token_url == url


@pytest.mark.parametrize(
    "location",
    [
        "https://new.example.com/token?code=in-the-query",  # it may not work without its query
        "http://new.example.com/token",  # a plain http URL is refused
        "https://login.example.com/token?key=in-the-query",
        f"https://new.example.com/{'a' * 400}",  # it is shown shortened
        "javascript:alert(1)",
    ],
)
def test_a_redirect_to_a_url_that_the_field_does_not_accept_is_not_recommended(location: str) -> None:
    text = str(invalid_response({}, 307, {"Location": location}))

    assert "set Token URL" not in text
    assert text.endswith(" Check Token URL. (URL: https://login.example.com/token)")
    assert "in-the-query" not in text


def test_a_redirect_of_a_refresh_names_refresh_url() -> None:
    error = invalid_response(
        {}, 307, {"Location": "/new"}, refresh=True, refresh_url="https://login.example.com/refresh"
    )

    assert "redirected to https://login.example.com/new. " in str(error)
    assert str(error).endswith("set Refresh URL to it. (URL: https://login.example.com/refresh)")


@pytest.mark.parametrize(
    "location",
    [
        "http://[::1",
        "https://new.example.com:port/",
        "",
        "/relative/token",
        "//[",
        "https://new.example.com/\x00\x1b[31m",
    ],
)
def test_a_redirect_to_a_malformed_url_is_an_error(location: str) -> None:
    error = invalid_response({}, 302, {"Location": location})

    assert "'shop'" in str(error)
    assert str(error).isprintable()


def test_a_redirect_without_a_location_is_an_error() -> None:
    assert "'shop'" in str(invalid_response({}, 302))


@pytest.mark.parametrize("secret", [SECRET, PARAM_SECRET])
def test_a_redirect_does_not_show_the_secret_in_its_location(secret: str) -> None:
    location = f"https://user:{quote(secret, safe='')}@new.example.com/{quote(secret, safe='')}"

    error = invalid_response({}, 302, {"Location": location}, secret_grant_params={"key": PARAM_SECRET})

    assert_no_secret(error, secret)


def test_a_response_that_is_nested_too_deeply_is_an_error() -> None:
    assert "'shop'" in str(invalid_response(body=b'{"a":' * 100_000 + b"1" + b"}" * 100_000))


def test_a_response_with_an_enormous_number_is_an_error() -> None:
    assert "'shop'" in str(invalid_response(body=b'{"expires_in":' + b"9" * 100_000 + b"}"))
