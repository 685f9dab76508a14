"""A forward proxy that answers requests to every HTTPS host itself, with certificates that it issues."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from sandbox.vendor_matching import Received

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.certificates import CertificateAuthority


@dataclass(frozen=True)
class Reply:
    """A response.

    :param status: its status
    :param headers: its headers
    :param body: its body
    """

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: str = ""


class ConnectProxy(ThreadingHTTPServer):
    """The proxy, on a free port of this machine, as a context manager.

    :param authority: issues the certificates
    :param answer: returns the response to a request
    :param port: the port; 0 for a free one
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, authority: CertificateAuthority, answer: Callable[[Received], Reply], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _ProxyHandler)
        self.authority = authority
        self.answer = answer
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        """Start the proxy in a thread."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop the proxy."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing about clients that closed the connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: ConnectProxy

    def log_message(self, *args: Any) -> None:
        """Print nothing."""

    def respond(self, reply: Reply) -> None:
        """Send a response."""
        content = reply.body.encode()
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()


class _ProxyHandler(_Handler):
    """Opens tunnels, and answers the requests in them."""

    def do_CONNECT(self) -> None:  # noqa: N802 - the name that http.server requires
        """Answer the requests in a tunnel until the client closes it."""
        host = self.path.rpartition(":")[0]
        self.send_response_only(200)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        try:
            with self.server.authority.context(host).wrap_socket(self.connection, server_side=True) as tunnel:
                _TunnelHandler(tunnel, self.client_address, self.server, host)
        except (OSError, ssl.SSLError):
            pass  # the client closed the tunnel or does not trust the authority

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server requires
        """Refuse a request without TLS."""
        self.close_connection = True
        self.respond(Reply(400, body=f"{self.path}: this proxy answers only https URLs\n"))

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET


class _TunnelHandler(_Handler):
    """Answers the requests in a tunnel to a host."""

    def __init__(self, tunnel: ssl.SSLSocket, client_address: Any, server: ConnectProxy, host: str) -> None:
        self._host = host
        super().__init__(tunnel, client_address, server)

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        received = Received(
            method=self.command,
            url=f"https://{self._host}{path}",
            query=query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )
        self.respond(self.server.answer(received))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _answer
