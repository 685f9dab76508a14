"""A request to the authorization server, over a socket, when something stands still or does not end."""

from __future__ import annotations

import gzip
import itertools
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import OAuthError, TokenRequestError, TokenResponseError
from airflow_provider_oauth.protocol import http_transport as wire
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.http_transport import MAX_READ_SIZE, MAX_RESPONSE_SIZE, HttpTransport
from airflow_provider_oauth.protocol.token_requests import grant_request
from tests.connections import oauth_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

BODY = b'{"access_token": "fake"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


class Timer:
    """Rings when it is told to."""

    rings: Callable[[], None]

    def __init__(self, seconds: float, rings: Callable[[], None]) -> None:
        Timer.rings = staticmethod(rings)

    def start(self) -> None:
        """Ring only when told to."""

    def cancel(self) -> None:
        """Ring only when told to."""


@pytest.fixture(autouse=True)
def timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_oauth.protocol.limited_adapter.threading.Timer", Timer)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def answer(server: socket.socket, *pieces: bytes, then: Callable[[], None] = lambda: None) -> None:
    """Answer one request, and keep the connection open."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            for piece in pieces:
                connection.sendall(piece)
            then()
            with suppress(OSError):  # the client has hung up
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
def stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the time be over between the head of an answer and its body, as when the process was suspended."""
    read = wire._read

    def late(response: Any) -> bytes:
        Timer.rings()
        return read(response)

    monkeypatch.setattr(wire, "_read", late)


@pytest.mark.usefixtures("stands_still")
def test_a_response_that_arrived_while_the_process_was_suspended_is_used(server: socket.socket) -> None:
    answer(server, HEAD + BODY)
    assert send(server) == BODY


@pytest.mark.usefixtures("stands_still")
@pytest.mark.parametrize("came", [HEAD, HEAD + BODY[:5], b"HTTP/1.1 200 OK\r\n\r\n" + BODY])
def test_an_incomplete_response_after_a_suspension_is_an_error(server: socket.socket, came: bytes) -> None:
    answer(server, came)
    with pytest.raises(TokenRequestError, match="was not complete in time") as caught:
        send(server)
    assert caught.value.retryable


@pytest.mark.parametrize("came", [b"", b"HTTP/1.1 200", HEAD[:-2] + b"X-Slow: 1\r\n", HEAD + BODY[:5]])
def test_a_slow_response_is_ended_at_the_deadline(server: socket.socket, came: bytes) -> None:
    answer(server, came, then=lambda: Timer.rings())
    with pytest.raises(TokenRequestError, match="was not complete in time") as caught:
        send(server)
    assert caught.value.retryable


def test_nothing_is_sent_if_connecting_took_until_the_deadline(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[bytes] = []
    connect = wire.urllib3.connection.HTTPConnection.connect

    def slow(self: Any) -> None:
        connect(self)
        Timer.rings()

    monkeypatch.setattr(wire.urllib3.connection.HTTPConnection, "connect", slow)

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
    answer(server, then=lambda: Timer.rings())
    with pytest.raises(TokenRequestError, match="no connection was established in time") as caught:
        send(server, "https")
    assert caught.value.retryable
    assert not caught.value.request_sent


# --- how much is read


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many bytes each read from a socket has returned."""
    counts: list[int] = []
    recv_into = socket.socket.recv_into

    def counting(self: socket.socket, *args: Any) -> int:
        count = recv_into(self, *args)
        counts.append(count)
        return count

    monkeypatch.setattr(socket.socket, "recv_into", counting)
    return counts


def pour(server: socket.socket, head: bytes, pieces: Iterable[bytes]) -> None:
    """Answer one request, with pieces until the client hangs up."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):  # the client has hung up
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


# 40,000 pieces are 40 MB: without a limit, the tests end all the same.
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "a body": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1024),
    "the body of a redirect": (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n", b"x" * 1024),
    "informational responses": (b"", b"HTTP/1.1 100 Continue\r\nX: %s\r\n\r\n" % (b"x" * 992)),
    "the length of a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 1024),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: %s\r\n" % (b"x" * 1019)),
    "empty compressed members": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b"") * 50),
}


@pytest.mark.parametrize(("head", "piece"), ENDLESS.values(), ids=ENDLESS)
def test_an_endless_response_is_read_up_to_the_size_limit(
    server: socket.socket, read: list[int], head: bytes, piece: bytes
) -> None:
    pour(server, head, itertools.repeat(piece, 40_000))
    with pytest.raises(OAuthError, match="'api'"):
        send(server)
    assert sum(read) <= MAX_READ_SIZE + 64 * 1024
