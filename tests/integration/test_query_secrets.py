"""Secrets in the query of a token request: neither logs nor exceptions contain them, over a socket."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import OAuthError, TokenRequestError
from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from tests.connections import oauth_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_oauth.protocol.config import OAuthConfig

QUERY = b"/token?fixed=fake-fixed%C3%A9&grant_type=client_credentials&client_id=app&client_secret=fake-secret"
BODY = b'{"access_token": "issued", "token_type": "Bearer"}'
TOKEN = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
RESPONSES = {
    "a token": TOKEN,
    "a refusal": b"HTTP/1.1 400 Bad\r\nContent-Length: 26\r\n\r\n" + b'{"error":"invalid_client"}',
    "a redirect": b"HTTP/1.1 307 Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % QUERY,
    "an absolute redirect": b"HTTP/1.1 302 Moved\r\nLocation: https://a.example%s\r\nContent-Length: 0\r\n\r\n" % QUERY,
    "a malformed header": TOKEN.replace(b"\r\n\r\n", b"\r\n: x\r\nno colon\r\n\r\n"),
    "a malformed status": b"HTTP/9 no\r\n\r\n",
    "an incomplete response": TOKEN[:-5],
    "no response": b"",
    "a broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a retry": b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
}
METHODS = {"GET": {"token_method": "GET"}, "POST": {"body_format": "query"}}


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (None, "urllib3", "urllib3.connectionpool", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def assert_nothing_shown(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that asserts that logs, output and an exception do not contain the query."""

    def check(error: BaseException | None = None) -> None:
        shown = [*capsys.readouterr(), caplog.text, *(repr(vars(record)) for record in caplog.records)]
        while error is not None:
            shown += [str(error), repr(error), repr(error.args), repr(vars(error))]
            error = error.__cause__ or error.__context__
        text = "\n".join(shown)
        assert "connectionpool" in text  # urllib3 has logged
        for secret in ("fake-", "client_secret=", "fixed="):
            assert secret not in text

    return check


@contextmanager
def serving(response: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Respond to each connection with the same bytes, and yield the server's URL and the received requests."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # the listener was closed
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):  # the client closed the connection
                        received.append(connection.recv(65536))
                        connection.sendall(response)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", received
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def config(url: str, method: str = "GET", **changes: Any) -> OAuthConfig:
    url = f"{url}/token?fixed=fake-fixedé"
    return oauth_config(token_url=url, client_auth="client_secret_post", allow_http=True, **METHODS[method], **changes)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("response", RESPONSES.values(), ids=RESPONSES)
def test_nothing_shows_the_query_of_a_token_request(assert_nothing_shown: Any, response: bytes, method: str) -> None:
    error: OAuthError | None = None
    with serving(response) as (url, received):
        try:
            token = TokenEndpoint(config(url, method)).grant(retry=False)
        except OAuthError as raised:
            error = raised
        else:
            assert token.access_token == "issued"

    (request,) = received
    line, *headers = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert line == b"%s %s HTTP/1.1" % (method.encode(), QUERY)
    assert (b"Content-Length: 0" in headers) is (method == "POST")
    assert not any(header.lower().startswith(b"content-type") for header in headers)
    assert request.endswith(b"\r\n\r\n")
    assert_nothing_shown(error)


def test_nothing_shows_the_query_of_a_request_that_is_refused_a_connection(assert_nothing_shown: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    with pytest.raises(TokenRequestError) as caught:
        TokenEndpoint(config(url)).grant(retry=False)

    assert_nothing_shown(caught.value)


def test_a_proxy_gets_the_query_and_nothing_shows_it(assert_nothing_shown: Any) -> None:
    with serving(TOKEN) as (proxy, received):
        transport = TransportOptions(proxies={"http": proxy})
        TokenEndpoint(config("http://login.example.com", transport=transport)).grant(retry=False)

    assert received[0].split(b"\r\n")[0] == b"GET http://login.example.com%s HTTP/1.1" % QUERY
    assert_nothing_shown()


def test_a_proxy_that_refuses_a_tunnel_gets_no_query_and_nothing_shows_it(assert_nothing_shown: Any) -> None:
    with serving(b"HTTP/1.1 407 No\r\n\r\n") as (proxy, received):
        transport = TransportOptions(proxies={"https": proxy})
        with pytest.raises(OAuthError) as caught:
            TokenEndpoint(config("https://login.example.com", transport=transport)).grant(retry=False)

    # Python 3.12 and later send HTTP/1.1.
    assert received[0].split(b"\r\n")[0][:-1] == b"CONNECT login.example.com:443 HTTP/1."
    assert_nothing_shown(caught.value)
