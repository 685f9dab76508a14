"""A server that records all requests, for tests of what is sent and what must not be sent."""

from __future__ import annotations

import contextlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.servers_in_threads import running

if TYPE_CHECKING:
    from collections.abc import Iterator


class Recorder(ThreadingHTTPServer):
    """Records connections and requests. Responds with status 200, or with the next of ``responses`` for the path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RecordingHandler)
        self.connections = 0
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.responses: dict[str, list[tuple[int, dict[str, str]]]] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def get_request(self) -> tuple[Any, Any]:
        accepted = super().get_request()
        self.connections += 1
        return accepted

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that closed the connection."""


class RecordingHandler(BaseHTTPRequestHandler):
    server: Recorder
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def respond(self) -> None:
        self.server.requests.append((self.command, self.path, dict(self.headers), self._body()))
        planned = self.server.responses.get(self.path.partition("?")[0])
        status, headers = planned.pop(0) if planned else (200, {})
        content = b'{"answer": true}'
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_OPTIONS = do_QUERY = respond

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *args: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def recorder() -> Iterator[Recorder]:
    with running(Recorder()) as server:
        yield server
