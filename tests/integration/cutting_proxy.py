"""An HTTP proxy in front of an S3 server, which resets the connections that a test chooses."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from typing import Self

Operation = Literal[
    "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload", "PutObject", "Other"
]
#: When a connection is reset: ``before`` the server gets the request, ``inside`` its body, or ``after`` the server
#: carried it out, so that only the response is lost.
Moment = Literal["before", "inside", "after"]
ALWAYS = 1_000_000
#: The smallest part that S3 accepts, except the last one.
PART = 5 * 2**20
#: Headers that apply to one connection only.
CONNECTION_HEADERS = ("connection", "expect", "transfer-encoding", "content-length")


def operation_of(method: str, target: str) -> Operation:
    """Return the S3 operation of a request."""
    query = parse_qs(urlsplit(target).query, keep_blank_values=True)
    if method == "POST" and "uploads" in query:
        return "CreateMultipartUpload"
    if method == "POST" and "uploadId" in query:
        return "CompleteMultipartUpload"
    if method == "PUT" and "partNumber" in query:
        return "UploadPart"
    if method == "DELETE" and "uploadId" in query:
        return "AbortMultipartUpload"
    if method == "PUT" and urlsplit(target).path.count("/") > 1:
        return "PutObject"
    return "Other"


@dataclass(frozen=True)
class Cut:
    """Which requests are cut.

    :param operation: the operation
    :param number: the first one that is cut; 1 for the first request with this operation
    :param moment: when the connection is reset
    :param times: how many requests are cut
    :param status: the status of a response that is sent in place of a reset; None for a reset
    """

    operation: Operation
    number: int = 1
    moment: Moment = "before"
    times: int = ALWAYS
    status: int | None = None


class CuttingProxy(ThreadingHTTPServer):
    """The proxy.

    :param port: the port of the server
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = port
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Cut nothing."""
        self.cut: Cut | None = None
        #: After how many bytes of request bodies the network fails for good; None for never.
        self.fails_after: int | None = None
        #: The number of requests by operation, including those that were cut.
        self.requests: Counter[Operation] = Counter()
        self._bytes = 0

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def moment_of(self, operation: Operation) -> Moment | None:
        """Count a request, and return when its connection is reset; None if it is not."""
        with self._lock:
            self.requests[operation] += 1
            number, cut = self.requests[operation], self.cut
        is_cut = cut and cut.operation == operation and cut.number <= number < cut.number + cut.times
        return cut.moment if cut and is_cut else None

    def forwarded(self, size: int) -> int:
        """Return how many bytes of a body reach the server."""
        with self._lock:
            left = size if self.fails_after is None else max(0, min(size, self.fails_after - self._bytes))
            self._bytes += size
        return left

    @property
    def has_failed(self) -> bool:
        """Whether the network has failed for good."""
        return self.fails_after is not None and self._bytes >= self.fails_after

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing about clients that closed the connection."""


class Handler(BaseHTTPRequestHandler):
    """Forwards one request."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: CuttingProxy

    def _forward(self) -> None:
        moment = self.server.moment_of(operation_of(self.command, self.path))
        if self.server.has_failed:
            return self._reset()
        if moment == "before":
            return self._cut()
        body = self._body()
        size = self.server.forwarded(len(body))
        if moment == "inside":
            size = min(size, len(body) // 2)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            self._send(connection, body, size)
            if moment == "inside" or size < len(body):
                return self._reset()
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        return self._cut() if moment == "after" else self._respond(response, content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, connection: http.client.HTTPConnection, body: bytes, size: int) -> None:
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in CONNECTION_HEADERS:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        connection.send(body[:size])

    def _respond(self, response: http.client.HTTPResponse, content: bytes) -> None:
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in CONNECTION_HEADERS:
                self.send_header(name, value)
        if response.status != http.HTTPStatus.NO_CONTENT:
            length = response.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def handle_expect_100(self) -> bool:
        """Send 100 Continue immediately, without buffering, because botocore waits for it before it sends the body."""
        is_handled = super().handle_expect_100()
        self.wfile.flush()
        return is_handled

    def _cut(self) -> None:
        """Respond with an error, or reset the connection."""
        cut = self.server.cut
        if cut is None or cut.status is None:
            return self._reset()
        self.close_connection = True  # the request's body was not read
        content = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
        self.send_response_only(cut.status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        return None

    def _reset(self) -> None:
        """Close the connection with a reset, as firewalls and crashed servers do."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def finish(self) -> None:
        """End the connection, which may be closed already."""
        try:
            super().finish()
        except OSError:
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """Print nothing."""
