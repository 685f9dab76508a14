"""A server whose lists clients can read with several requests at a time. It records the requests."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.integration.list_server import Handler, ListServer, Reply, instead
from tests.servers_in_threads import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.integration.list_server import Fault

#: Rows of a page. No API has this size by default.
SIZE = 7
#: A wait of this many seconds means that the test fails.
TOO_LONG = 20


def numbered_rows(count: int) -> list[bytes]:
    """Return rows whose numbers a decoder would change."""
    return [b'{"id": %d, "price": 1.%d0}' % (n, n % 10) for n in range(count)]


def split(rows: Sequence[bytes], sizes: Callable[[int], int]) -> list[list[bytes]]:
    """Split rows into pages.

    :param rows: all rows
    :param sizes: returns the size of a page; its argument is the number of the page, from 1
    """
    pages: list[list[bytes]] = []
    start = 0
    while start < len(rows):
        size = sizes(len(pages) + 1)
        pages.append(list(rows[start : start + size]))
        start += size
    return pages


def join_others(threads: Iterable[threading.Thread]) -> None:
    """Wait for the end of all threads except ``threads`` and those of servers."""
    for thread in set(threading.enumerate()) - set(threads):
        if ListServer.process_request_thread.__name__ not in thread.name:
            thread._started.wait(TOO_LONG)  # a timeout of the task can interrupt the call that starts the thread
            thread.join(TOO_LONG)
            assert not thread.is_alive(), f"{thread} does not end"


class PagedServer(ListServer):
    """The server.

    The position of a page is its number, from 1, or the number of rows before it with the endpoint ``offset``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.pages: list[list[bytes]] = []
        #: The maximum number of rows of a response of the endpoint ``offset``, and other sizes, by position.
        self.max_size = SIZE
        self.sizes: dict[int, int] = {}
        #: The response for positions beyond the end; None for a page without rows.
        self.beyond: Fault | None = None
        #: Members of all pages, and their values, for example the number of pages.
        self.members: Callable[[int], dict[str, Any]] = lambda _: {}
        #: Called with the position before a response is sent.
        self.before_reply: Callable[[int], object] = lambda _: None
        #: The positions that were answered, in this order.
        self.answered: list[int] = []
        #: The number of requests that are not answered yet, and its maximum.
        self.in_flight = self.max_in_flight = 0
        #: The number of requests that were not answered when a position was requested first.
        self.in_flight_at: dict[int, int] = {}
        self.connections = 0
        #: Set by tests that revoke the tokens.
        self.is_revoked = threading.Event()
        #: Whether requests stop waiting, because the test has ended.
        self.is_ended = False

    def set_rows(self, rows: Sequence[bytes], sizes: Callable[[int], int] = lambda _: SIZE) -> None:
        """Set the rows, and the sizes of the numbered pages."""
        self.rows = list(rows)
        self.pages = split(rows, sizes)

    def forget_requests(self) -> None:
        """Forget the requests so far."""
        with self.lock:
            self.requests, self.answered, self.in_flight_at, self.max_in_flight = [], [], {}, self.in_flight

    def get_request(self) -> tuple[Any, Any]:
        accepted = super().get_request()
        self.connections += 1
        return accepted

    def end_waits(self) -> None:
        """End the waits of all requests, and respond to them."""
        with self.changed:
            self.is_ended = True
            self.changed.notify_all()

    def begin(self, position: int) -> None:
        """Record that a request has arrived."""
        with self.changed:
            self.requests.append(position)
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            self.in_flight_at.setdefault(position, self.in_flight)
            self.changed.notify_all()

    def end(self, position: int) -> None:
        """Record that a request is answered now."""
        with self.changed:
            self.in_flight -= 1
            self.answered.append(position)
            self.changed.notify_all()

    def wait_until(self, is_reached: Callable[[], bool]) -> None:
        """Wait for a state of the server.

        :raises TimeoutError: if it is not reached
        """
        with self.changed:
            if not self.changed.wait_for(lambda: self.is_ended or is_reached(), TOO_LONG):
                raise TimeoutError("the server never got the expected requests")

    def wait_for_requests(self, *positions: int) -> None:
        """Wait until all these pages were requested."""
        self.wait_until(lambda: set(positions) <= set(self.requests))

    def hang(self) -> None:
        """Wait until the test ends."""
        self.wait_until(lambda: False)

    def is_beyond(self, style: str, position: int) -> bool:
        """Return whether a position is after the last row."""
        return position >= len(self.rows) if style.startswith("offset") else position > len(self.pages)

    def rows_at(self, style: str, position: int, limit: int) -> list[bytes]:
        """Return the rows of a page."""
        if style.startswith("offset"):
            size = self.sizes.get(position, min(limit, self.max_size))
            return self.rows[position : position + size]
        return self.pages[position - 1] if position <= len(self.pages) else []

    @property
    def beyond_end(self) -> list[int]:
        """The numbers of the pages after the last one that were requested."""
        return [each for each in self.requests if each > len(self.pages)]


class PageHandler(Handler):
    """Sends one page, or a token."""

    server: PagedServer

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        if url.path == "/token":
            reply = self.server.issue_token()
            return instead(reply.status, reply.body, Content_Type="application/json")(self, reply)
        style = url.path.removeprefix("/api/")
        params = {name: each[0] for name, each in parse_qs(url.query).items()}
        params |= json.loads(body) if body else {}
        position = self._position(style, params)
        self.server.begin(position)
        try:
            self.server.before_reply(position)
        finally:
            self.server.end(position)
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.server.tokens:
            return instead(401)(self, Reply())
        reply = self._page(style, position, int(params.get("limit", SIZE)))
        beyond = self.server.beyond if self.server.is_beyond(style, position) else None
        fault = next(self.server.faults.get(position, iter(())), beyond or _whole)
        return fault(self, reply)

    do_GET = do_POST = _respond

    def _position(self, style: str, params: dict[str, Any]) -> int:
        if style.startswith("offset"):
            return int(params.get("offset", self.headers.get("X-Offset", 0)))
        return int(params.get("page", params.get("cursor", self.headers.get("X-Page", 1))))

    def _page(self, style: str, position: int, limit: int) -> Reply:
        """Return the correct response for a page."""
        rows = self.server.rows_at(style, position, limit)
        more = position < len(self.server.pages)
        headers = {"Content-Type": "application/json"}
        members = dict(self.server.members(position))
        if style == "cursor":
            members["next"] = str(position + 1) if more else None
        if style == "link":
            members["next"] = f"{self.server.url}/api/link?page={position + 1}" if more else None
        if style == "header-json":
            headers["X-Pagination"] = json.dumps({"CurrentPage": position, "HasNext": more})
        if style in ("header-link", "lines") and more:
            headers["Link"] = f'<{self.server.url}/api/{style}?page={position + 1}>; rel="next"'
        if style.startswith("lines"):
            return Reply(headers=headers | {"Content-Type": "application/x-ndjson"}, body=b"\n".join([*rows, b""]))
        rest = b"".join(b", %s: %s" % (json.dumps(k).encode(), json.dumps(v).encode()) for k, v in members.items())
        return Reply(headers=headers, body=b'{"items": [' + b",\n ".join(rows) + b"]" + rest + b"}")


PagedServer.handler_class = PageHandler


def _whole(handler: Handler, reply: Reply) -> None:
    handler.wfile.write(reply.head(Content_Length=len(reply.body)) + reply.body)


@contextlib.contextmanager
def paged_server() -> Iterator[PagedServer]:
    """Run a server in a thread."""
    with running(PagedServer()) as server:
        yield server
