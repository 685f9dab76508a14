"""Waiting for a browser on this machine (RFC 8252 section 7.3)."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.oauth.config import is_loopback

PAGE = (
    b"<!doctype html><title>Airflow</title><p>Airflow has the answer; see the terminal. You can close this window.</p>"
)


class Loopback:
    """Listens for one answer.

    :param redirect_uri: where the browser comes to, of this machine; None: any free port of 127.0.0.1
    :raises ConfigurationError: if that is not this machine, or not http
    """

    def __init__(self, redirect_uri: str | None) -> None:
        target = urlsplit(redirect_uri or "http://127.0.0.1:0/")
        if target.scheme != "http" or not is_loopback(target.hostname or ""):
            raise ConfigurationError(
                f"The redirect URI {redirect_uri} is not one of this machine (http://127.0.0.1:…)."
            )
        self._path = target.path or "/"
        self._answers: list[str] = []
        answers, path = self._answers, self._path

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Take the answer; a browser asks for its icon too."""
                if self.path.partition("?")[0] != path:
                    self.send_error(404)
                    return
                answers.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Cache-Control", "no-store")
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                self.wfile.write(PAGE)

            def log_message(self, *args: Any) -> None:
                """Log nothing: the path has the code."""

        self._server = HTTPServer((target.hostname or "127.0.0.1", target.port or 0), Handler)
        port = self._server.server_address[1]
        self.redirect_uri = f"http://{target.hostname}:{port}{self._path}" if redirect_uri is None else redirect_uri

    def __enter__(self) -> Loopback:
        """Be there; it listens already."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop listening."""
        self._server.server_close()

    def answer(self) -> str:
        """Wait for the browser, and return what it was sent back with."""
        while not self._answers:
            self._server.handle_request()
        return self._answers[0]
