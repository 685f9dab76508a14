"""Responses in JSON Lines over a socket: memory, and connections that end early."""

from __future__ import annotations

import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import requests

from airflow_provider_oauth.extract.formats import JsonLinesFormat
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.extract.spool import HEADERS, spooler
from airflow_provider_oauth.extract.streamed_page import page_of
from tests.servers_in_threads import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_oauth.extract.page import Page

ROW = b'{"text":"' + b"x" * 65_000 + b'"}\n'
ROWS = 600


class Handler(BaseHTTPRequestHandler):
    """Sends rows in chunks; ``/cut`` ends without the end mark, ``/short`` before its Content-Length."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path == "/short":
            self.send_header("Content-Length", str(3 * len(ROW)))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(ROWS if self.path == "/whole" else 2):
            self.wfile.write(ROW if self.path == "/short" else b"%x\r\n%b\r\n" % (len(ROW), ROW))
        if self.path == "/whole":
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"


def read(url: str) -> Page:
    with requests.Session() as session:
        session.trust_env = False
        response = session.get(url, stream=True, headers=HEADERS, hooks={"response": spooler("shop")}, timeout=20)
    return page_of(response, ListRequest(endpoint="", response_format=JsonLinesFormat()), "shop")


def test_the_memory_does_not_depend_on_the_size_of_the_response(url: str) -> None:
    tracemalloc.start()
    try:
        page = read(f"{url}/whole")
        assert sum(len(line) + 1 for line in page.lines) == ROWS * len(ROW)
        assert page.count == ROWS
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    page.close()
    assert peak < ROWS * len(ROW) / 10


@pytest.mark.parametrize("path", ["cut", "short"])
def test_a_response_that_ends_early_is_an_error_of_the_request(url: str, path: str) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        read(f"{url}/{path}")
