"""Bodies of responses whose content type does not fit, and bodies in XML."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_oauth.exceptions import (
    InvalidClient,
    InvalidGrant,
    OAuthError,
    TokenRequestError,
    TokenResponseError,
    WrongPassword,
)
from airflow_provider_oauth.protocol.token_requests import revocation_request
from airflow_provider_oauth.protocol.token_responses import HttpResponse, parse_revocation_response
from tests.connections import oauth_config
from tests.unit.protocol.responses import SECRET, SENT_AT, assert_no_secret, invalid_response, parse, refused

CONTENT_TYPES = [
    "text/plain",
    "text/plain; charset=utf-8",
    "text/html",
    "application/json",
    "application/octet-stream",
    "application/xml",
    "invalid",
    "",
]
XML = b"""<?xml version="1.0"?><OAuth><access_token>fake-in-xml</access_token><error>invalid_client</error></OAuth>"""
ADVICE = (
    "Find out in the vendor's documentation how the server responds with JSON: at another URL, with a header (Token "
    "request headers) or with a parameter (Token request parameters)."
)


def typed(content_type: str) -> dict[str, str]:
    return {"Content-Type": content_type}


# --- form-encoded bodies


@pytest.mark.parametrize("content_type", [*CONTENT_TYPES, "application/x-www-form-urlencoded"])
def test_a_form_with_any_content_type_is_a_token_response(content_type: str) -> None:
    body = b"access_token=fake%2Faccess%3D%3D&expires_in=120&refresh_token=fake-new&scope=a+b&token_type=bearer"

    token = parse(body=body, headers=typed(content_type))

    assert (token.access_token, token.refresh_token, token.scope) == ("fake/access==", "fake-new", "a b")
    assert token.lifetime.total_seconds() == 120


@pytest.mark.parametrize("content_type", [*CONTENT_TYPES, "application/x-www-form-urlencoded"])
def test_a_form_with_any_content_type_is_an_error_response(content_type: str) -> None:
    body = b"error=invalid_client&error_description=Unknown+client%21"

    error = refused(body=body, status=400, headers=typed(content_type))

    assert type(error) is InvalidClient
    assert (error.error, error.error_description) == ("invalid_client", "Unknown client!")


def test_a_form_with_an_error_and_a_success_status_is_a_refusal_that_is_not_quoted() -> None:
    error = refused(body=b"error=invalid_grant&error_description=fake-text", headers=typed("text/plain"))

    assert type(error) is InvalidGrant
    assert "fake-text" not in str(error)


def test_the_values_of_a_form_are_redacted() -> None:
    body = urlencode({"error": "invalid_client", "error_description": f"You sent {SECRET}"}).encode()

    assert_no_secret(refused(body=body, status=400, headers=typed("text/plain")), SECRET)


@pytest.mark.parametrize("content_type", ["text/plain", "text/html", "application/json", ""])
@pytest.mark.parametrize(
    "body",
    [
        b"access_token",
        b"access_token=",
        b"token=fake-a",
        b"expires_in=120&scope=a",
        b"access_token=fake-a&expires_in",
        b"access_token=fake-a&&expires_in=1",
        b"access_token=fake-a&",
        b"access_token=fake-a\nexpires_in=1",
        b"access_token=fake-a expires_in=1",
        b"Your access_token=fake-a",
        b"<html>access_token=fake-a</html>",
        b"<a href='?access_token=fake-a'>",
        b'{"access_token=fake-a',
        b"access_token=fake-a&access_token=fake-b",
        b"access_token=fake-\xff",
        b"error",
        b"&",
        b"=",
        b"",
    ],
)
def test_a_text_that_is_not_entirely_a_form_is_not_understood_or_quoted(content_type: str, body: bytes) -> None:
    error = invalid_response(body=body, headers=typed(content_type))

    assert "responded with status 200 but without an access token" in str(error)
    assert "fake-" not in str(error)
    for status in (400, 403):
        refusal = refused(body=body, status=status, headers=typed(content_type))
        assert refusal.error is None
        assert "fake-" not in str(refusal)


def test_a_form_with_surrounding_line_breaks_is_understood() -> None:
    assert parse(body=b"\r\naccess_token=fake-a\n", headers=typed("text/plain")).access_token == "fake-a"


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/html", "application/xml", ""])
def test_json_with_any_content_type_is_understood(content_type: str) -> None:
    content = {"access_token": "fake-a", "expires_in": 120}

    assert parse(content, headers=typed(content_type)).access_token == "fake-a"
    assert type(refused({"error": "invalid_client"}, 400, typed(content_type))) is InvalidClient


# --- XML


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/xml", XML),
        ("application/xml; charset=utf-8", b"<OAuth/>"),
        ("text/xml", b"<error>invalid_client</error>"),
        ("application/problem+xml", b"<problem/>"),
        ("text/plain", XML),
        ("application/json", b"\xef\xbb\xbf\r\n " + XML),
        ("application/octet-stream", XML.upper()),
        ("", XML),
    ],
)
def test_a_successful_response_in_xml_is_an_error_with_advice(content_type: str, body: bytes) -> None:
    error = str(invalid_response(body=body, headers=typed(content_type)))

    shown = content_type.partition(";")[0] or "missing or invalid"
    assert error == (
        "Connection 'shop': the token endpoint responded with status 200 and XML, which this package does not read. "
        f"{ADVICE} (Content type: {shown}, URL: https://login.example.com/token)"
    )


@pytest.mark.parametrize(
    ("status", "changes", "cls", "advice"),
    [
        (400, {}, TokenRequestError, f"The response is XML, which this package does not read. {ADVICE}"),
        (403, {}, TokenRequestError, f"The response is XML, which this package does not read. {ADVICE}"),
        (
            401,
            {},
            InvalidClient,
            "Check Client ID, Client secret and Client authentication (client_secret_basic). If they are correct, "
            "check Token URL, because the response has no OAuth error code. The response is XML, which this package "
            f"does not read. {ADVICE}",
        ),
        (
            404,
            {},
            TokenRequestError,
            f"Check Token URL. The response is XML, which this package does not read. {ADVICE}",
        ),
        (
            503,
            {},
            TokenRequestError,
            "The server is busy. Try again later. The response is XML, which this package does not read.",
        ),
    ],
)
def test_an_error_response_in_xml_is_an_error_with_advice(
    status: int, changes: dict[str, Any], cls: type[OAuthError], advice: str
) -> None:
    error = refused(body=XML, status=status, headers=typed("application/xml"), **changes)

    assert type(error) is cls
    assert str(error) == (
        f"Connection 'shop': the token endpoint refused the client_credentials grant with status {status}. {advice} "
        "(URL: https://login.example.com/token)"
    )
    assert (error.error, error.retryable) == (None, status == 503)


def test_a_password_that_is_refused_in_xml_is_not_sent_again() -> None:
    assert type(refused(body=XML, status=401, grant_type="password")) is WrongPassword


def test_a_revocation_that_is_refused_in_xml_is_an_error() -> None:
    config = oauth_config(revoke_url="https://login.example.com/revoke")
    request = revocation_request(config, "fake-token", "access_token", now=SENT_AT)
    response = HttpResponse(status_code=400, headers=typed("text/xml"), body=XML, sent_at=SENT_AT)

    with pytest.raises(TokenRequestError, match="did not revoke the token: it responded with status 400.* is XML"):
        parse_revocation_response(config, request, response)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", b"<html>"),
        ("text/html", XML),
        ("application/xhtml+xml", b"<?xml version='1.0'?><html>"),
        ("", b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC>"),
        ("text/plain", b"<h1>Bad gateway</h1>"),
    ],
)
def test_a_page_is_not_called_xml(content_type: str, body: bytes) -> None:
    assert "XML" not in str(invalid_response(body=body, headers=typed(content_type)))
    assert "may be from a proxy or a firewall" in str(refused(body=body, status=403, headers=typed(content_type)))


# --- any bytes

BODIES = st.one_of(
    st.binary(max_size=200),
    st.text(alphabet='access_token=error&fake-%2<>{}":+ \n;', max_size=80).map(str.encode),
    st.lists(st.sampled_from([b"access_token=fake-t0ken", b"error=x", b"&", b"=", b"<?xml", b"{", b" ", b"\xff"])).map(
        b"".join
    ),
)


@given(body=BODIES, content_type=st.sampled_from(CONTENT_TYPES), status=st.sampled_from([200, 201, 400, 401, 403, 500]))
def test_every_body_is_a_token_or_an_error_of_this_package(body: bytes, content_type: str, status: int) -> None:
    try:
        shown = parse(body=body, status=status, headers=typed(content_type)).access_token
    except (TokenRequestError, TokenResponseError) as error:
        shown = str(error)
        assert_is_safe(shown, status)
    else:
        assert status < 400
        assert shown.encode() in body or b"%" in body or b"+" in body


def assert_is_safe(text: str, status: int) -> None:
    assert text.startswith("Connection 'shop': ")
    assert text.isprintable()
    if status < 400:
        assert "fake-t0ken" not in text
