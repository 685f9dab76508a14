"""Receives the callback of an authorization request from a browser on this machine (RFC 8252 section 7.3)."""

from __future__ import annotations

import socket
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_oauth.exceptions import ConfigurationError, ConsentDenied
from airflow_provider_oauth.protocol.config import is_loopback

PAGE = b"<!doctype html><title>Airflow</title><p>You can close this window. The terminal shows the result."
#: Seconds to wait for a request after a browser has connected. Browsers also open connections that they do not use.
REQUEST_TIMEOUT = 5
#: Seconds to wait for the browser, as on the page *OAuth connections*.
LISTEN_TIMEOUT = 600.0


class _Server(HTTPServer):
    """An HTTP server that handles one request at a time and ignores requests that fail."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.path = path
        self.state = ""
        self.callback = ""
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error, because the next request may be the callback."""


class _Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_TIMEOUT
    server: _Server

    def do_GET(self) -> None:
        """Accept the callback, and refuse other requests, for example for an icon or from other web pages."""
        path, _, query = self.path.partition("?")
        if path != self.server.path or parse_qs(query).get("state") != [self.server.state]:
            self.send_error(404)
            return
        self.server.callback = self.path
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *args: Any) -> None:
        """Log nothing, because the path contains the code."""


class Loopback:
    """Listens for one callback.

    :param redirect_uri: an http URL of this machine that includes a port; None for any free port of 127.0.0.1
    :raises ConfigurationError: if ``redirect_uri`` is any other URL, or if the port cannot be used
    """

    def __init__(self, redirect_uri: str | None) -> None:
        try:
            target = urlsplit(redirect_uri or "http://127.0.0.1:0/")
            host, port = target.hostname or "", target.port
        except ValueError:
            host, port = "", None
        if port is None or target.scheme != "http" or not is_loopback(host):
            raise ConfigurationError(
                f"--listen requires an http redirect URI on this machine that includes a port, but the redirect URI is "
                f"{redirect_uri}. Set --redirect-uri to http://127.0.0.1:PORT/, or omit it."
            )
        try:
            self._server = _Server(host, port, target.path or "/")
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"Cannot listen on {redirect_uri or 'a port of 127.0.0.1'} ({type(error).__name__}: {error}). "
                f"Choose another port with --redirect-uri."
            ) from None
        self.redirect_uri = redirect_uri or f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Loopback:
        """Return this object. It has been listening since it was created."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop listening."""
        self._server.server_close()

    def wait_for_callback(self, state: str, timeout: float = LISTEN_TIMEOUT) -> str:
        """Wait for the browser, and return the path and query of its request.

        :param state: the ``state`` that the query must contain. Requests from other web pages do not have it
        :param timeout: seconds to wait
        :raises ConsentDenied: if the browser was not redirected in this time
        """
        self._server.state = state
        ends = time.monotonic() + timeout
        while not self._server.callback:
            self._server.timeout = ends - time.monotonic()
            if self._server.timeout <= 0:
                raise ConsentDenied(
                    f"No browser was redirected to {self.redirect_uri} within {timeout:.0f} s. Nothing was changed. "
                    f"Check that this redirect URI is registered at the server, then run the command again."
                )
            self._server.handle_request()
        return self._server.callback
