"""A request to the authorization server, over a socket, when something stands still."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import TokenRequestError
from airflow_provider_oauth.oauth.clock import Clock
from airflow_provider_oauth.oauth.config import OAuthConfig
from airflow_provider_oauth.oauth.messages import grant_request
from airflow_provider_oauth.oauth.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = b'{"access_token": "fake"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


class StandsStill(Clock):
    """A process that is suspended for a minute while it waits for the answer."""

    def __init__(self) -> None:
        self._looks = 0

    def monotonic(self) -> float:
        self._looks += 1
        return 0.0 if self._looks == 1 else 60.0


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def answer(server: socket.socket, *pieces: bytes) -> None:
    """Answer one request, and keep the connection open."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            for piece in pieces:
                connection.sendall(piece)
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
    return Wire(config, StandsStill()).send(grant_request(config), deadline=20.0).body


def test_an_answer_that_came_while_the_process_stood_still_is_kept(server: socket.socket) -> None:
    answer(server, HEAD + BODY)
    assert send(server) == BODY


@pytest.mark.parametrize("came", [HEAD, HEAD + BODY[:5], b"HTTP/1.1 200 OK\r\n\r\n" + BODY])
def test_one_whose_end_has_not_come_is_none(server: socket.socket, came: bytes) -> None:
    answer(server, came)
    with pytest.raises(TokenRequestError, match="did not end in time") as caught:
        send(server)
    assert caught.value.retryable
