"""Lists in compressed responses over a socket. With backports.zstd installed, requests asks for zstd too."""

from __future__ import annotations

import gzip
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from backports import zstd

from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.extract.formats import JsonLinesFormat
from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.runtime import masking, token_sources
from tests.servers_in_threads import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox.server import Sandbox

ROWS = [{"id": number, "name": "Zürich"} for number in range(200)]
COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}


class Handler(BaseHTTPRequestHandler):
    """Sends compressed rows, in the encoding that the path names; below ``/cut/`` without the last bytes."""

    encodings: list[str]

    def do_GET(self) -> None:
        self.encodings.append(self.headers["Accept-Encoding"])
        path, _, query = self.path.partition("?")
        encoding = path.rpartition("/")[2]
        rows = ROWS if query in ("", "page=1") else []
        body = COMPRESS[encoding](json.dumps(rows).encode())
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Encoding", encoding)
        self.end_headers()  # without Content-Length: the end of the connection is the end of the body
        self.wfile.write(body[:-20] if "/cut/" in path else body)

    def log_message(self, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def encodings() -> list[str]:
    """The values of Accept-Encoding that the API received."""
    return []


@pytest.fixture
def hook(
    define_connection: Callable[..., None],
    sandbox: Sandbox,
    variables: dict[str, str],
    encodings: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[OAuthHook]:
    monkeypatch.setenv("AIRFLOW__OAUTH__LOCK_FOLDER", str(tmp_path / "locks"))
    monkeypatch.setattr(Handler, "encodings", encodings, raising=False)
    sandbox.state.add_client("standard", "app", "fake-secret")
    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        host = f"http://127.0.0.1:{server.server_address[1]}"
        define_connection("shop", host=host, grant_url=f"{sandbox.url}/standard/token")
        yield OAuthHook("shop")
    token_sources._sources.clear()
    masking.reset()


@pytest.mark.parametrize("encoding", COMPRESS)
def test_a_compressed_list_is_read_completely(hook: OAuthHook, encodings: list[str], encoding: str) -> None:
    rows = [row for page in hook.paginate(f"rows/{encoding}", PageNumberPaginator()) for row in page.rows]
    assert rows == ROWS
    assert set(encodings) == {"gzip, deflate, zstd"}


@pytest.mark.parametrize("encoding", COMPRESS)
def test_a_compressed_list_that_ends_early_is_an_error(hook: OAuthHook, encoding: str) -> None:
    hook.retry_timeout = 0
    with pytest.raises(ApiError, match="'shop'"):
        list(hook.paginate(f"cut/{encoding}"))


def test_a_streamed_format_does_not_ask_for_zstd_and_refuses_it(hook: OAuthHook, encodings: list[str]) -> None:
    with pytest.raises(ApiError, match="has the Content-Encoding 'zstd', but the request accepts only gzip"):
        list(hook.paginate("rows/zstd", response_format=JsonLinesFormat()))
    assert encodings == ["gzip"]
