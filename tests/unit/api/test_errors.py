"""Classes and texts of the errors of API requests: what they quote, and which fields they name."""

from __future__ import annotations

import json
import socket
import ssl
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import requests
import urllib3
from multidict import CIMultiDict, CIMultiDictProxy
from requests.structures import CaseInsensitiveDict
from yarl import URL

from airflow_provider_oauth.api.errors import (
    MAX_ERROR_BODY,
    phrase,
    read_error_body,
    status_error,
    transport_error,
)
from airflow_provider_oauth.api.policy import ApiAccess
from airflow_provider_oauth.api.request import endpoint_url
from airflow_provider_oauth.api.requests_auth import OAuthSession
from airflow_provider_oauth.exceptions import (
    ApiConnectionError,
    ApiConnectTimeout,
    ApiError,
    ApiTimeout,
    ConfigurationError,
    OAuthError,
)
from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.protocol.token import Token
from tests.connections import oauth_config

if TYPE_CHECKING:
    from pathlib import Path

    from requests_mock import Mocker

API = "https://api.example.com/v1/items"

config = partial(oauth_config, conn_id="my_api", base_url="https://api.example.com/v1")


def text_of(
    status: int = 409,
    body: object = b"",
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
    advice: dict[int, str] | None = None,
    **changes: Any,
) -> str:
    error = status_error(
        config(**changes),
        advice or {},
        method="GET",
        url=f"{API}?key=fake-query",
        status=status,
        headers=CaseInsensitiveDict({"Content-Type": content_type, **(headers or {})}),
        sent=CaseInsensitiveDict({"Authorization": "Bearer fake-token"}),
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )
    assert error.status_code == status
    return str(error)


HEAD = "409:Conflict (connection 'my_api', GET https://api.example.com/v1/items)"
QUOTED = f"{HEAD}. Message from the API: "


# --- statuses


def test_an_error_contains_status_standard_phrase_connection_and_url_without_query() -> None:
    assert text_of() == HEAD
    assert text_of(520).startswith("520:Nonstandard Status (connection 'my_api'")


def test_no_error_contains_user_query_or_fragment_of_the_url() -> None:
    url = "https://user:fake-1@api.example.com/v1/items?key=fake-2#fake-3"
    failed = transport_error(config(), requests.ConnectionError(), method="GET", url=url)
    assert str(failed).startswith("Connection 'my_api': GET https://api.example.com/v1/items failed")
    refused = status_error(config(), {}, method="GET", url=url, status=409, headers={}, sent={}, body=b"")
    assert str(refused) == HEAD
    with pytest.raises(ApiError, match="https://other.example.com/x is not part of the API") as caught:
        endpoint_url("my_api", "https://api.example.com", "https://user:fake-1@other.example.com/x?fake-2")
    assert "fake" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        ({"error": "invalid_request", "error_description": "No such day."}, "invalid_request; No such day."),
        ({"message": "m", "detail": "d", "title": "t", "hint": "h"}, "m; d; t; h"),
        ({"error": {"message": "inner", "title": "t", "code": "fake-other"}}, "inner; t"),
        ({"error": {"error": "code"}, "message": "outer"}, "outer; code"),
        ({"message": "same", "detail": " same "}, "same"),
    ],
)
def test_known_members_of_a_json_body_are_quoted(body: dict[str, Any], quoted: str) -> None:
    assert text_of(body=body) == f"{QUOTED}{quoted!r}."


def test_known_members_of_a_form_body_are_quoted() -> None:
    body, form = b"error=invalid_request&error_description=No+day&other=fake", "application/x-www-form-urlencoded"
    assert text_of(body=body, content_type=f"{form}; charset=utf-8") == f"{QUOTED}'invalid_request; No day'."
    assert text_of(body=body, content_type="text/plain") == HEAD


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"fake-secret body",
        b"<html>fake</html>",
        b"\xff\xfe",
        b"[" * 100_000,
        [],
        "fake",
        {"other": "fake", "errors": [{"message": "fake"}]},
        {"message": None, "error": 7, "detail": {"message": "fake"}, "title": ["fake"], "hint": "  "},
        {"message": "fake" * MAX_ERROR_BODY},
    ],
)
def test_other_bodies_are_not_quoted(body: bytes | str | dict[str, Any] | list[Any]) -> None:
    assert text_of(body=body) == HEAD


def test_the_text_at_error_path_is_quoted_too() -> None:
    body = {"errors": [{"message": "First", "id": "fake"}, {"message": "Second"}], "title": "t"}
    assert text_of(body=body, error_path="errors[].message") == f"{QUOTED}'First Second; t'."
    assert text_of(body={"a": {"b": "deep"}}, error_path="a.b") == f"{QUOTED}'deep'."
    assert text_of(body={"a": 1}, error_path="length(a)") == HEAD


def test_secrets_the_token_and_control_characters_are_removed_from_quotes() -> None:
    body = {"message": "bad fake-secret, fake-token, fake-key%2F1\n\x1b[31mred"}
    assert text_of(body=body, secret_params={"key": "fake-key/1"}) == f"{QUOTED}'bad ***, ***, *** [31mred'."


def test_advice_of_the_vendor_follows_the_quote_and_replaces_the_general_advice() -> None:
    assert text_of(403, {"message": "No."}, advice={403: "Ask Ann."}).endswith(
        "items). Message from the API: 'No.'. Ask Ann."
    )
    assert text_of(403, advice={404: "Ask Ann."}).endswith("add 403 to Renew token on.")
    assert text_of(401).endswith("Check API base URL, Scope, Audience and Resource.")
    challenge = {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
    assert text_of(403, headers=challenge).endswith("The token lacks a scope that the API requires. Check Scope.")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "Check the request's parameters and body, and the page size of the paginator."),
        (404, "Check API base URL and endpoint."),
        (405, "Check method: OAuthHttpOperator and HttpOperator send POST by default."),
        (422, "Check the request's parameters and body, and the page size of the paginator."),
    ],
)
def test_advice_for_a_status_names_the_parameters_to_check(status: int, expected: str) -> None:
    target = f"{status}:{phrase(status)} (connection 'my_api', GET {API})"
    assert text_of(status) == f"{target}. {expected}"
    assert text_of(status, {"message": "No."}) == f"{target}. Message from the API: 'No.'. {expected}"
    assert text_of(status, advice={status: "Ask Ann."}) == f"{target}. Ask Ann."


def test_an_error_code_in_the_challenge_determines_the_advice_whatever_the_status() -> None:
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    assert text_of(400, headers=challenge).endswith("Check API base URL, Scope, Audience and Resource.")


@pytest.mark.parametrize(
    ("challenge", "is_required"),
    [
        ('DPoP error="use_dpop_nonce"', True),
        ('DPoP algs="ES256", error="invalid_token"', True),
        ('Basic realm="a", dpop algs="ES256"', True),
        ('Bearer error="invalid_token", DPoP algs="ES256"', False),
        ('Bearer realm="DPoP"', False),
        ('Basic realm="my DPoP"', False),
        ("", False),
    ],
)
def test_an_api_that_accepts_only_dpop_is_refused_by_name(challenge: str, is_required: bool) -> None:
    assert text_of(401, headers={"WWW-Authenticate": challenge}).endswith(
        "The API requires DPoP (RFC 9449), which this package does not support. Ask the API's operator to accept "
        "bearer tokens."
        if is_required
        else "The API does not accept the token. Check API base URL, Scope, Audience and Resource."
    )


def test_only_the_beginning_of_a_streamed_error_response_is_read(requests_mock: Mocker) -> None:
    class Endless:
        count, closed = 0, False

        def read(self, size: int = -1) -> bytes:
            self.count += size
            return b"x" * size

        def close(self) -> None:
            self.closed = True

    body = Endless()
    requests_mock.get(API, body=body, status_code=400)
    response = requests.get(API, stream=True, timeout=1)
    assert len(read_error_body(response)) > MAX_ERROR_BODY
    assert body.count < 2 * MAX_ERROR_BODY
    assert body.closed


# --- no response

KEY = aiohttp.client_reqrep.ConnectionKey("api.example.com", 443, True, True, None, None, None)
INFO = aiohttp.RequestInfo(URL(API), "GET", CIMultiDictProxy(CIMultiDict(Authorization="Bearer fake-token")), URL(API))


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


CERTIFICATE = ssl.SSLCertVerificationError(1, "[SSL] fake")
CERTIFICATE.verify_message = "self-signed certificate"
REFUSED = ConnectionRefusedError(111, "Connection refused")


@pytest.mark.parametrize(
    ("error", "cls", "words"),
    [
        (requests.exceptions.SSLError("fake"), ApiConnectionError, ["SSLError.", "verify", "cert"]),
        (
            caused_by(requests.exceptions.SSLError("fake"), CERTIFICATE),
            ApiConnectionError,
            ["(the certificate was not accepted: self-signed certificate)", "verify"],
        ),
        (aiohttp.ClientConnectorCertificateError(KEY, CERTIFICATE), ApiConnectionError, ["self-signed", "verify"]),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "handshake")), ApiConnectionError, ["handshake", "cert"]),
        (requests.exceptions.ProxyError("fake"), ApiConnectionError, ["proxies"]),
        (requests.exceptions.InvalidProxyURL("fake"), ApiConnectionError, ["proxies"]),
        (aiohttp.ClientProxyConnectionError(KEY, REFUSED), ApiConnectionError, ["Connection refused", "proxies"]),
        (
            aiohttp.ClientHttpProxyError(INFO, (), status=407, message="fake"),
            ApiConnectionError,
            ["ClientHttpProxyError.", "proxies"],
        ),
        (requests.TooManyRedirects("fake"), ApiConnectionError, ["max_redirects"]),
        (aiohttp.TooManyRedirects(INFO, ()), ApiConnectionError, ["max_redirects"]),
        (aiohttp.client_exceptions.NonHttpUrlRedirectClientError("fake"), ApiConnectionError, ["max_redirects"]),
        (requests.ConnectTimeout("fake"), ApiConnectTimeout, ["Timeout", "API base URL"]),
        (aiohttp.ConnectionTimeoutError("fake"), ApiConnectTimeout, ["Timeout", "API base URL"]),
        (requests.ReadTimeout("fake"), ApiTimeout, ["Timeout"]),
        (
            requests.ConnectionError(urllib3.exceptions.ReadTimeoutError(None, "/", "fake")),
            ApiTimeout,
            ["ReadTimeoutError", "Timeout"],
        ),
        (TimeoutError("fake"), ApiTimeout, ["Timeout"]),
        (aiohttp.SocketTimeoutError("fake"), ApiTimeout, ["Timeout"]),
        (
            caused_by(requests.ConnectionError("fake"), REFUSED),
            ApiConnectionError,
            ["(Connection refused)", "API base URL"],
        ),
        (aiohttp.ClientConnectorError(KEY, REFUSED), ApiConnectionError, ["(Connection refused)", "API base URL"]),
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "Name or service not known")),
            ApiConnectionError,
            ["(the host name cannot be resolved: Name or service not known)", "API base URL"],
        ),
        (requests.exceptions.ChunkedEncodingError("fake"), ApiConnectionError, ["API base URL"]),
        (requests.exceptions.ContentDecodingError("fake"), ApiConnectionError, ["API base URL"]),
        (urllib3.exceptions.ProtocolError("fake"), ApiConnectionError, ["API base URL"]),
        (aiohttp.ServerDisconnectedError("fake"), ApiConnectionError, ["API base URL"]),
        (aiohttp.ClientPayloadError("fake"), ApiConnectionError, ["API base URL"]),
        (aiohttp.ClientResponseError(INFO, (), status=400, message="fake"), ApiConnectionError, ["API base URL"]),
        (OSError(5, "Input/output error"), ApiConnectionError, ["(Input/output error)"]),
        (requests.exceptions.InvalidURL("fake"), ConfigurationError, ["endpoint"]),
        (requests.exceptions.InvalidHeader("fake"), ConfigurationError, ["headers"]),
        (requests.exceptions.InvalidJSONError("fake"), ConfigurationError, ["body"]),
        (requests.exceptions.UnrewindableBodyError("fake"), ConfigurationError, ["body"]),
        (aiohttp.InvalidURL("fake"), ConfigurationError, ["endpoint"]),
        (UnicodeEncodeError("utf-8", "fake", 0, 1, "fake"), ConfigurationError, ["UnicodeEncodeError", "headers"]),
        (ValueError("fake"), ConfigurationError, ["headers"]),
        (RecursionError("fake"), ConfigurationError, ["body"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_exception_of_the_http_client_becomes_an_error_that_names_the_fields_to_check(
    error: Exception, cls: type[OAuthError], words: list[str]
) -> None:
    raised = transport_error(config(), error, method="GET", url=f"{API}?key=fake")
    assert type(raised) is cls
    assert str(raised).startswith("Connection 'my_api': GET https://api.example.com/v1/items failed: ")
    assert [word for word in words if word not in str(raised)] == []
    assert "fake" not in str(raised)


def test_errors_can_be_caught_as_those_of_requests() -> None:
    assert issubclass(ApiConnectionError, requests.ConnectionError)
    assert issubclass(ApiTimeout, requests.Timeout)
    assert issubclass(ApiConnectTimeout, (requests.ConnectionError, requests.Timeout))


# --- the session


class Source:
    def __init__(self, token: str | Exception = "fake-token", **changes: Any) -> None:
        self.config = config(**changes)
        self._token = token

    def token(self, scope: str | None = None) -> Token:
        if isinstance(self._token, Exception):
            raise self._token
        return Token(access_token=self._token, issued_at=datetime.now(UTC), expires_at=None)


def session(*args: str | Exception, **changes: Any) -> OAuthSession:
    return OAuthSession(ApiAccess(Source(*args, **changes)))


@pytest.mark.parametrize("name", ["verify", "cert"])
def test_a_missing_file_fails_a_request_before_anything_is_sent(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'my_api': {name} .*that this process can use. Check the path"):
        session(transport=TransportOptions(**{name: "/no/such/file"})).get(API, **{name: "/no/such/file"})


def test_a_missing_ca_bundle_from_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")
    with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE in the environment"):
        session().get(API)


def test_over_plain_http_a_folder_without_ca_certificates_is_not_the_reason(tmp_path: Path) -> None:
    failure = requests.ConnectionError("fake")
    over_http = transport_error(config(), failure, method="GET", url="http://localhost:1/v1", verify=str(tmp_path))
    over_tls = transport_error(config(), failure, method="GET", url="https://localhost:1/v1", verify=str(tmp_path))
    assert (type(over_http), type(over_tls)) == (ApiConnectionError, ConfigurationError)


@pytest.mark.parametrize("token", ["fake\udcfftoken", "fake\ntoken", "fake-€"])
def test_a_token_that_cannot_be_sent_is_not_quoted(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(socket, "create_connection", lambda *args: sent.append(args))
    monkeypatch.setattr(urllib3.connection.HTTPConnection, "connect", lambda self: None)
    with pytest.raises(ConfigurationError, match="does not allow") as caught:
        session(token, base_url="http://localhost:1/v1").get("http://localhost:1/v1/items")
    assert "fake" not in str(caught.value)
    assert sent == []


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("https://[bad", {}),
        (API, {"headers": {"X": "a\nb"}}),
        (API, {"json": float("nan")}),
        (API, {"json": nested(100_000)}),
    ],
    ids=["url", "header", "nan", "nested"],
)
def test_a_request_that_cannot_be_prepared_is_a_configuration_error(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="cannot be sent"):
        session().post(url, **options)


def test_an_error_while_getting_the_token_is_not_converted() -> None:
    with pytest.raises(OAuthError, match=r"^no token$"):
        session(OAuthError("no token")).get(API)


def test_a_type_error_is_not_converted_because_it_is_a_mistake_in_the_dag() -> None:
    with pytest.raises(TypeError):
        session().post(API, json=object())
