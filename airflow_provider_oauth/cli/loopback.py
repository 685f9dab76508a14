"""Waiting for a browser on this machine (RFC 8252 section 7.3)."""

from __future__ import annotations

import socket
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_oauth.exceptions import ConfigurationError, ConsentDenied
from airflow_provider_oauth.protocol.config import is_loopback

PAGE = b"<!doctype html><title>Airflow</title><p>Airflow has the answer; see the terminal. You can close this window."
#: Seconds for a request to arrive: browsers open connections that they do not use.
REQUEST_TIMEOUT = 5
#: Seconds to wait for the browser: as long as the page *OAuth connections* does.
LISTEN_TIMEOUT = 600.0


class _Server(HTTPServer):
    """Takes one request after the other; one that breaks off is none."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.path = path
        self.state = ""
        self.answer = ""
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the next one may be the answer."""


class _Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_TIMEOUT
    server: _Server

    def do_GET(self) -> None:
        """Take the answer; a browser asks for its icon too, and other pages may ask for anything."""
        path, _, query = self.path.partition("?")
        if path != self.server.path or parse_qs(query).get("state") != [self.server.state]:
            self.send_error(404)
            return
        self.server.answer = self.path
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *args: Any) -> None:
        """Log nothing: the path has the code."""


class Loopback:
    """Listens for one answer.

    :param redirect_uri: where the browser comes to, of this machine; None: any free port of 127.0.0.1
    :raises ConfigurationError: if that is not this machine, names no port, or is in use
    """

    def __init__(self, redirect_uri: str | None) -> None:
        try:
            target = urlsplit(redirect_uri or "http://127.0.0.1:0/")
            host, port = target.hostname or "", target.port
        except ValueError:
            host, port = "", None
        if port is None or target.scheme != "http" or not is_loopback(host):
            raise ConfigurationError(
                f"The redirect URI {redirect_uri} is not one of this machine: http://127.0.0.1:PORT/"
            )
        try:
            self._server = _Server(host, port, target.path or "/")
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"Nobody can listen on {redirect_uri} ({type(error).__name__}: {error})."
            ) from None
        self.redirect_uri = redirect_uri or f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Loopback:
        """Be there; it listens already."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop listening."""
        self._server.server_close()

    def answer(self, state: str, timeout: float = LISTEN_TIMEOUT) -> str:
        """Wait for the browser, and return what it was sent back with.

        :param state: what the answer must have: any page could send a browser here
        :param timeout: seconds to wait
        :raises ConsentDenied: if the browser has not come back by then
        """
        self._server.state = state
        ends = time.monotonic() + timeout
        while not self._server.answer:
            self._server.timeout = ends - time.monotonic()
            if self._server.timeout <= 0:
                raise ConsentDenied(
                    f"No browser was redirected to {self.redirect_uri} within {timeout:.0f} s. Nothing was changed. "
                    f"Check that this redirect URI is registered at the server, then run the command again."
                )
            self._server.handle_request()
        return self._server.answer
