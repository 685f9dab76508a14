"""Time and size limits of requests to the authorization server, over a socket."""

from __future__ import annotations

import gzip
import itertools
import socket
import threading
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from backports import zstd

from airflow_provider_oauth.exceptions import OAuthError, TokenRequestError, TokenResponseError
from airflow_provider_oauth.protocol import http_transport
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.http_transport import MAX_READ_SIZE, MAX_RESPONSE_SIZE, HttpTransport
from airflow_provider_oauth.protocol.token_requests import grant_request
from tests.connections import oauth_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

BODY = b'{"access_token": "fake"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


class Timer:
    """A timer that a test rings."""

    rings: Callable[[], None]

    def __init__(self, seconds: float, rings: Callable[[], None]) -> None:
        Timer.rings = staticmethod(rings)

    def start(self) -> None:
        """Do nothing: the test rings the timer."""

    def cancel(self) -> None:
        """Do nothing: the test rings the timer."""


@pytest.fixture(autouse=True)
def timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_oauth.protocol.limited_adapter.threading.Timer", Timer)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def respond(server: socket.socket, *pieces: bytes, then: Callable[[], None] = lambda: None) -> None:
    """Respond to one request, and keep the connection open."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            for piece in pieces:
                connection.sendall(piece)
            then()
            with suppress(OSError):  # the client closed the connection
                connection.recv(1)

    threading.Thread(target=serve, daemon=True).start()


def send(server: socket.socket, scheme: str = "http") -> bytes:
    config = oauth_config(
        conn_id="api",
        base_url="https://api.example.com",
        token_url=f"{scheme}://127.0.0.1:{server.getsockname()[1]}/token",
        client_id="fake-id",
        client_secret="fake-secret",
    )
    clock = Clock()
    return (
        HttpTransport(config, clock).send(grant_request(config, now=clock.now()), deadline=clock.monotonic() + 20).body
    )


@pytest.fixture
def suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the deadline pass between the headers of a response and its body, as if the process was suspended."""
    read = http_transport._read

    def late(response: Any) -> bytes:
        Timer.rings()
        return read(response)

    monkeypatch.setattr(http_transport, "_read", late)


@pytest.mark.usefixtures("suspended")
def test_a_response_that_arrived_while_the_process_was_suspended_is_used(server: socket.socket) -> None:
    respond(server, HEAD + BODY)
    assert send(server) == BODY


@pytest.mark.usefixtures("suspended")
@pytest.mark.parametrize("received", [HEAD, HEAD + BODY[:5], b"HTTP/1.1 200 OK\r\n\r\n" + BODY])
def test_an_incomplete_response_after_a_suspension_is_an_error(server: socket.socket, received: bytes) -> None:
    respond(server, received)
    with pytest.raises(TokenRequestError, match="was not complete in time") as caught:
        send(server)
    assert caught.value.retryable


@pytest.mark.parametrize("received", [b"", b"HTTP/1.1 200", HEAD[:-2] + b"X-Slow: 1\r\n", HEAD + BODY[:5]])
def test_a_slow_response_is_ended_at_the_deadline(server: socket.socket, received: bytes) -> None:
    respond(server, received, then=lambda: Timer.rings())
    with pytest.raises(TokenRequestError, match="was not complete in time") as caught:
        send(server)
    assert caught.value.retryable


def test_nothing_is_sent_if_connecting_took_until_the_deadline(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[bytes] = []
    connect = http_transport.urllib3.connection.HTTPConnection.connect

    def slow(self: Any) -> None:
        connect(self)
        Timer.rings()

    monkeypatch.setattr(http_transport.urllib3.connection.HTTPConnection, "connect", slow)

    def listen() -> None:
        with server.accept()[0] as connection:
            got.append(connection.recv(1))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    with pytest.raises(TokenRequestError, match="no response"):
        send(server)
    thread.join(10)
    assert got == [b""]


def test_a_slow_tls_handshake_is_ended_at_the_deadline(server: socket.socket) -> None:
    respond(server, then=lambda: Timer.rings())
    with pytest.raises(TokenRequestError, match="no connection was established in time") as caught:
        send(server, "https")
    assert caught.value.retryable
    assert not caught.value.request_sent


# --- how much is read


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the number of bytes that each read from a socket returns."""
    counts: list[int] = []
    recv_into = socket.socket.recv_into

    def counting(self: socket.socket, *args: Any) -> int:
        count = recv_into(self, *args)
        counts.append(count)
        return count

    monkeypatch.setattr(socket.socket, "recv_into", counting)
    return counts


def pour(server: socket.socket, head: bytes, pieces: Iterable[bytes]) -> None:
    """Respond to one request with pieces until the client closes the connection."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):  # the client closed the connection
            connection.recv(65536)
            connection.sendall(head)
            for piece in pieces:
                connection.sendall(piece)

    threading.Thread(target=serve, daemon=True).start()


STATUSES = ["200 OK", "302 Found", "307 Temporary Redirect", "400 Bad Request", "500 Oops"]


@pytest.mark.parametrize("status", STATUSES)
def test_a_compressed_response_is_read_up_to_the_size_limit(
    server: socket.socket, read: list[int], status: str
) -> None:
    bomb = gzip.compress(bytes(64 * MAX_RESPONSE_SIZE))
    head = f"HTTP/1.1 {status}\r\nLocation: /elsewhere\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    pour(server, head.encode(), [bomb])
    with pytest.raises(TokenResponseError, match=f"'api'.*more than {MAX_RESPONSE_SIZE} bytes.*Token URL") as caught:
        send(server)
    assert caught.value.request_sent
    assert sum(read) < len(bomb) / 2


def test_a_response_in_zstd_is_decompressed_up_to_the_size_limit(server: socket.socket) -> None:
    bomb = zstd.compress(bytes(64 * MAX_RESPONSE_SIZE))  # 2 kB
    pour(server, b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: %d\r\n\r\n" % len(bomb), [bomb])
    tracemalloc.start()
    try:
        with pytest.raises(TokenResponseError, match=f"'api'.*more than {MAX_RESPONSE_SIZE} bytes"):
            send(server)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * MAX_RESPONSE_SIZE


# 40,000 pieces are 40 MB, so the tests also end without a limit.
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "a body": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1024),
    "the body of a redirect": (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n", b"x" * 1024),
    "informational responses": (b"", b"HTTP/1.1 100 Continue\r\nX: %s\r\n\r\n" % (b"x" * 992)),
    "the length of a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 1024),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: %s\r\n" % (b"x" * 1019)),
    "empty compressed members": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b"") * 50),
    "empty zstd frames": (b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\n\r\n", zstd.compress(b"") * 100),
}


@pytest.mark.parametrize(("head", "piece"), ENDLESS.values(), ids=ENDLESS)
def test_an_endless_response_is_read_up_to_the_size_limit(
    server: socket.socket, read: list[int], head: bytes, piece: bytes
) -> None:
    pour(server, head, itertools.repeat(piece, 40_000))
    with pytest.raises(OAuthError, match="'api'"):
        send(server)
    assert sum(read) <= MAX_READ_SIZE + 64 * 1024
