"""A server with a token endpoint and a list that is split into pages in several ways. Tests inject faults."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http
import json
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.servers_in_threads import running

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

#: Rows whose spelling a decoder would change, and with text that cannot be compressed.
ROWS = [
    b'{"id": %d, "price": 1.%d0, "big": 1E400, "text": "Z\xc3\xbcrich \\u00fc \\/", "id": %d, "hash": "%b"}'
    % (n, n % 10, n, hashlib.sha512(bytes([n])).hexdigest().encode())
    for n in range(95)
]
#: Rows of a page. No API has this size by default.
SIZE = 3
PAGES = -(-len(ROWS) // SIZE)


@dataclass(frozen=True)
class Reply:
    """A response of the server."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def head(self, **framing: object) -> bytes:
        """Return the status line and the headers."""
        headers = {**self.headers, **{name.replace("_", "-"): value for name, value in framing.items()}}
        lines = [f"HTTP/1.1 {self.status} {http.HTTPStatus(self.status).phrase}"]
        return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()


#: Sends a response in place of the correct one.
Fault = Callable[["Handler", Reply], None]


def whole(handler: Handler, reply: Reply) -> None:
    """Send the response as it is."""
    handler.wfile.write(reply.head(Content_Length=len(reply.body)) + reply.body)


def instead(status: int = 200, body: bytes = b"", **headers: str) -> Fault:
    """Send another response. In names of headers, ``_`` stands for ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: whole(handler, Reply(status, named, body))


def changed(change: Callable[[bytes], bytes]) -> Fault:
    """Send the response with another body."""
    return lambda handler, reply: whole(handler, replace(reply, body=change(reply.body)))


def other_page(number: int) -> Fault:
    """Send the rows of another page, and the next page of this one."""

    def send(handler: Handler, reply: Reply) -> None:
        rows = json_array(handler.server.rows_of(number))
        whole(handler, replace(reply, body=rows + reply.body[reply.body.index(b"]") + 1 :]))

    def json_array(rows: list[bytes]) -> bytes:
        return b'{"items": [' + b",\n ".join(rows) + b"]"

    return send


def revoked(handler: Handler, _: Reply) -> None:
    """Revoke the token, and refuse it."""
    handler.server.tokens.clear()
    whole(handler, Reply(401))


def reset_before_the_response(handler: Handler, _: Reply) -> None:
    handler.reset()


def reset_in_the_body(handler: Handler, reply: Reply) -> None:
    handler.wfile.write(reply.head(Content_Length=len(reply.body)) + reply.body[: len(reply.body) // 2])
    handler.reset()


def reset_in_a_chunk(handler: Handler, reply: Reply) -> None:
    handler.wfile.write(reply.head(Transfer_Encoding="chunked") + b"%x\r\n" % len(reply.body) + reply.body[:20])
    handler.reset()


def closed_in_the_body(handler: Handler, reply: Reply) -> None:
    handler.wfile.write(reply.head(Content_Length=len(reply.body)) + reply.body[: len(reply.body) // 2])
    handler.close_connection = True


def closed_before_the_last_chunk(handler: Handler, reply: Reply) -> None:
    handler.wfile.write(reply.head(Transfer_Encoding="chunked") + b"%x\r\n%b\r\n" % (len(reply.body), reply.body))
    handler.close_connection = True


def closed_in_compressed_body(handler: Handler, reply: Reply) -> None:
    packed = gzip.compress(reply.body)
    handler.wfile.write(reply.head(Content_Encoding="gzip", Content_Length=len(packed)) + packed[:-20])
    handler.close_connection = True


def compressed(handler: Handler, reply: Reply) -> None:
    whole(
        handler, replace(reply, headers={**reply.headers, "Content-Encoding": "gzip"}, body=gzip.compress(reply.body))
    )


def gzip_file(handler: Handler, reply: Reply) -> None:
    whole(handler, replace(reply, body=gzip.compress(reply.body)))


def truncated_compression(handler: Handler, reply: Reply) -> None:
    packed = gzip.compress(reply.body)[:-20]
    whole(handler, replace(reply, headers={**reply.headers, "Content-Encoding": "gzip"}, body=packed))


def truncated_gzip_file(handler: Handler, reply: Reply) -> None:
    whole(handler, replace(reply, body=gzip.compress(reply.body)[:-20]))


class ListServer(ThreadingHTTPServer):
    """The server. Each endpoint below ``/api`` splits the list in its own way.

    :param tls: the settings of TLS; None for plain HTTP
    """

    daemon_threads = True
    request_queue_size = 128
    handler_class: ClassVar[type[BaseHTTPRequestHandler]]

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), self.handler_class)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_address[1]}"
        self.rows = ROWS
        #: The faults of each page, one for each request for it.
        self.faults: dict[int, Iterator[Fault]] = {}
        #: The numbers of the pages that were requested.
        self.requests: list[int] = []
        #: The valid tokens, and the number of token requests.
        self.tokens: set[str] = set()
        self.token_requests = 0
        #: What the token endpoint responds instead of tokens.
        self.token_error: Reply | None = None
        self.total: Callable[[int], int] = lambda _: len(self.rows)

    def rows_of(self, number: int) -> list[bytes]:
        """Return the rows of a page."""
        return self.rows[(number - 1) * SIZE : number * SIZE]

    def issue_token(self) -> Reply:
        self.token_requests += 1
        if self.token_error:
            return self.token_error
        token = f"fake-token-{self.token_requests}"
        self.tokens.add(token)
        content = {"access_token": token, "token_type": "Bearer", "expires_in": 86400}
        return Reply(headers={"Content-Type": "application/json"}, body=json.dumps(content).encode())

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing about clients that closed the connection."""


class Handler(BaseHTTPRequestHandler):
    """Sends one page, or a token."""

    protocol_version = "HTTP/1.1"
    server: ListServer

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        if url.path == "/token":
            return whole(self, self.server.issue_token())
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.server.tokens:
            return whole(self, Reply(401))
        style = url.path.removeprefix("/api/")
        number = self._number(style, {name: each[0] for name, each in parse_qs(url.query).items()}, body)
        self.server.requests.append(number)
        fault = next(self.server.faults.get(number, iter(())), whole)
        return fault(self, self.reply(style, number))

    do_GET = do_POST = _respond

    def _number(self, style: str, query: dict[str, str], body: bytes) -> int:
        """Return the number of the requested page. The first one is 1."""
        if style == "offset":
            return int(query["offset"]) // SIZE + 1
        if style == "search":
            query = json.loads(body).get("paging", {})
        return int(query.get("page", query.get("cursor", "1")).removeprefix("after-"))

    def reply(self, style: str, number: int) -> Reply:
        """Return the correct response for a page."""
        rows = self.server.rows_of(number)
        following = number + 1 if number * SIZE < len(self.server.rows) else None
        link = f"{self.server.url}/api/{style}?page={following}"
        headers = {"Content-Type": "application/json"}
        if style in ("lines", "csv"):
            headers = {"Content-Type": "application/x-ndjson" if style == "lines" else "text/csv"}
            if following:
                headers["Link"] = f'<{link}>; rel="next"'
            return Reply(headers=headers, body=b"".join(row + b"\n" for row in [b"id,text"][style == "lines" :] + rows))
        members: dict[str, Any] = {}
        if style in ("cursor", "search"):
            members["next"] = following and f"after-{following}"
        if style == "link":
            members["next"] = following and link
        if style in ("total", "offset-total"):
            members["total"] = self.server.total(number)
        if style == "last":
            members["pages"] = -(-len(self.server.rows) // SIZE)
        if style == "header-link" and following:
            headers["Link"] = f'<{link}>; rel="next"'
        if style == "header-json":
            headers["X-Pagination"] = json.dumps({"CurrentPage": number, "HasNext": following is not None})
        rest = b"".join(b", %s: %s" % (json.dumps(k).encode(), json.dumps(v).encode()) for k, v in members.items())
        return Reply(headers=headers, body=b'{"items": [' + b",\n ".join(rows) + b"]" + rest + b"}")

    def reset(self) -> None:
        """Close the connection with a reset, as firewalls and crashed servers do."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def finish(self) -> None:
        """End the connection, which may be closed already."""
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *args: object) -> None:
        """Print nothing."""


ListServer.handler_class = Handler


@contextlib.contextmanager
def list_server(tls: ssl.SSLContext | None = None) -> Iterator[ListServer]:
    """Run a server in a thread."""
    with running(ListServer(tls)) as server:
        yield server
