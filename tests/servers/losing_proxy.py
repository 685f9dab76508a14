"""A proxy in front of a token endpoint that loses responses, and records the requests."""

from __future__ import annotations

import contextlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs

import requests

from tests.servers_in_threads import running

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What happens to a request: the server handles it and its response is lost, or the server does not get it.
Fault = Literal["lost response", "busy"]


class LosingProxy(ThreadingHTTPServer):
    """The proxy.

    :param target: the URL of the token endpoint
    :param faults: what happens to the first requests; all others are forwarded
    """

    daemon_threads = True

    def __init__(self, target: str, *faults: Fault) -> None:
        super().__init__(("127.0.0.1", 0), LosingHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/token"
        self.target = target
        self.faults = list(faults)
        self.bodies: list[dict[str, str]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that closed the connection."""


class LosingHandler(BaseHTTPRequestHandler):
    server: LosingProxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append({name: values[0] for name, values in parse_qs(body.decode()).items()})
        fault = self.server.faults.pop(0) if self.server.faults else None
        if fault == "busy":
            self.send_response(503)
            self.end_headers()
            return
        headers = {"Content-Type": self.headers["Content-Type"]}
        response = requests.post(self.server.target, data=body, headers=headers, timeout=10)
        if fault is None:
            self.send_response(response.status_code)
            self.send_header("Content-Type", response.headers["Content-Type"])
            self.end_headers()
            self.wfile.write(response.content)

    def log_message(self, *args: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def losing_proxy(target: str, *faults: Fault) -> Iterator[LosingProxy]:
    """Run a proxy within the block; the parameters are those of ``LosingProxy``."""
    with running(LosingProxy(target, *faults)) as proxy:
        yield proxy
