"""A request to the authorization server, over a socket, when something stands still."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import TokenRequestError
from airflow_provider_oauth.oauth import wire
from airflow_provider_oauth.oauth.clock import Clock
from airflow_provider_oauth.oauth.config import OAuthConfig
from airflow_provider_oauth.oauth.messages import grant_request
from airflow_provider_oauth.oauth.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BODY = b'{"access_token": "fake"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


class Timer:
    """Rings when it is told to."""

    rings: Callable[[], None]

    def __init__(self, seconds: float, rings: Callable[[], None]) -> None:
        Timer.rings = staticmethod(rings)

    def start(self) -> None:
        pass

    def cancel(self) -> None:
        pass


@pytest.fixture(autouse=True)
def timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire.threading, "Timer", Timer)


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


def send(server: socket.socket) -> bytes:
    config = OAuthConfig(
        conn_id="api",
        base_url="https://api.example.com",
        token_url=f"http://127.0.0.1:{server.getsockname()[1]}/token",
        client_id="fake-id",
        client_secret="fake-secret",
    )
    clock = Clock()
    return Wire(config, clock).send(grant_request(config), deadline=clock.monotonic() + 20).body


@pytest.fixture
def stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the time be over between the head of an answer and its body, as when the process was suspended."""
    arrived = wire._arrived

    def late(response: Any) -> bytes:
        Timer.rings()
        return arrived(response)

    monkeypatch.setattr(wire, "_arrived", late)


@pytest.mark.usefixtures("stands_still")
def test_an_answer_that_came_while_the_process_stood_still_is_kept(server: socket.socket) -> None:
    answer(server, HEAD + BODY)
    assert send(server) == BODY


@pytest.mark.usefixtures("stands_still")
@pytest.mark.parametrize("came", [HEAD, HEAD + BODY[:5], b"HTTP/1.1 200 OK\r\n\r\n" + BODY])
def test_one_whose_end_has_not_come_is_none(server: socket.socket, came: bytes) -> None:
    answer(server, came)
    with pytest.raises(TokenRequestError, match="did not end in time") as caught:
        send(server)
    assert caught.value.retryable


@pytest.mark.parametrize("came", [b"", b"HTTP/1.1 200", HEAD[:-2] + b"X-Slow: 1\r\n", HEAD + BODY[:5]])
def test_one_that_drips_is_ended(server: socket.socket, came: bytes) -> None:
    answer(server, came, then=lambda: Timer.rings())
    with pytest.raises(TokenRequestError, match="did not end in time") as caught:
        send(server)
    assert caught.value.retryable


def test_nothing_is_sent_after_the_end(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
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
    with pytest.raises(TokenRequestError, match="no answer"):
        send(server)
    thread.join(10)
    assert got == [b""]
