"""An API with lists of changes, in pages of a few rows. It records the requests, and tests hold responses back."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

#: Rows per page.
SIZE = 2
FIRST_CHANGE = datetime(2025, 1, 1, tzinfo=UTC)
TOKEN = "not-a-real-token"  # noqa: S105


def change(number: int) -> dict[str, Any]:
    """Return a row. Each one was changed a minute after the previous one."""
    return {"id": number, "updatedAt": (FIRST_CHANGE + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")}


@dataclass(frozen=True)
class Request:
    """A request for a page."""

    since: str
    page: int


@dataclass
class Hold:
    """The response to one request, which is held back until :meth:`release`."""

    _requested: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)

    @property
    def is_waiting(self) -> bool:
        """Whether the request has arrived and its response is held back."""
        return self._requested.is_set() and not self._released.is_set()

    def release(self) -> None:
        """Send the response."""
        self._released.set()

    def wait(self) -> None:
        """Wait until the response may be sent."""
        self._requested.set()
        self._released.wait()


class ChangeServer(ThreadingHTTPServer):
    """The server. ``/api/NAME`` returns the changes of a list since ``updated_since``, the oldest first."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        #: The number of changes of each list.
        self.sizes: dict[str, int] = defaultdict(int)
        #: The requests for pages of each list, in the order of their arrival.
        self.requests: dict[str, list[Request]] = defaultdict(list)
        self._holds: dict[tuple[str, int], list[Hold]] = defaultdict(list)

    def hold(self, name: str, page: int) -> Hold:
        """Hold back the response to one of the next requests for a page. Several holds apply in their order."""
        hold = Hold()
        self._holds[name, page].append(hold)
        return hold

    def respond(self, name: str, request: Request) -> dict[str, Any]:
        """Record the request, wait for its hold, and return the page."""
        self.requests[name].append(request)
        if holds := self._holds[name, request.page]:
            holds.pop(0).wait()
        rows = [row for row in map(change, range(self.sizes[name])) if row["updatedAt"] >= request.since]
        pages = max(1, -(-len(rows) // SIZE))
        return {
            "items": rows[(request.page - 1) * SIZE : request.page * SIZE],
            "pages": pages,
            "next": f"after-{request.page}" if request.page < pages else None,
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing about clients that closed the connection."""


class Handler(BaseHTTPRequestHandler):
    """Sends a token, or a page."""

    protocol_version = "HTTP/1.1"
    server: ChangeServer

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._send(200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 86400})

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send(401, {})
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        page = int(query.get("page", "1"))
        if cursor := query.get("cursor"):
            page = int(cursor.removeprefix("after-")) + 1
        request = Request(query["updated_since"], page)
        return self._send(200, self.server.respond(url.path.removeprefix("/api/"), request))

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        with suppress(OSError):  # the client was killed in the meantime
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Print nothing."""
