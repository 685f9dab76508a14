"""Cookies of a load balancer during a list, over a socket."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, urlsplit

from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.runtime import masking, token_sources
from tests.servers_in_threads import running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from sandbox.server import Sandbox


class Handler(BaseHTTPRequestHandler):
    """Sends one row per page. The first two pages set a cookie."""

    received: ClassVar[list[str | None]] = []
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.received.append(self.headers["Cookie"])
        number = int(parse_qs(urlsplit(self.path).query)["page"][0])
        body = json.dumps([number] if number < 4 else []).encode()
        self.send_response(200)
        if number < 3:
            self.send_header("Set-Cookie", f"node={number}; Path=/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Print nothing."""


def test_cookies_that_a_page_sets_are_sent_with_the_next_pages(
    define_connection: Callable[..., None],
    sandbox: Sandbox,
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH__LOCK_FOLDER", str(tmp_path / "locks"))
    monkeypatch.setattr(Handler, "received", [])
    sandbox.state.add_client("standard", "app", "fake-secret")
    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        host = f"http://127.0.0.1:{server.server_address[1]}"
        define_connection("shop", host=host, grant_url=f"{sandbox.url}/standard/token")
        pages = OAuthHook("shop").paginate("items", PageNumberPaginator())
        assert [row for page in pages for row in page.rows] == [1, 2, 3]
    assert Handler.received == [None, "node=1", "node=2", "node=2"]
    token_sources._sources.clear()
    masking.reset()
