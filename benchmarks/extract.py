"""Writes a list of 100 pages with 200 rows to a file: ``OAuthExtractOperator`` compared with ``HttpOperator``."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.client import define, define_connection
from benchmarks.measuring import Row, in_turns, milliseconds, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

PAGES, ROWS = 100, 200
TOKEN = json.dumps({"access_token": "fake-access-token", "token_type": "Bearer", "expires_in": 86400})
BODIES = [
    json.dumps(
        {"page": page, "pages": PAGES, "data": [{"id": page * ROWS + row, "name": f"row {row}"} for row in range(ROWS)]}
    )
    for page in range(1, PAGES + 1)
]


class Pages(asyncio.Protocol):
    """Responds to a token request with a token, and to any other request with a page."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if b"\r\n\r\n" not in data:
            return
        method, url, _ = data.split(b" ", 2)
        number = int(parse_qs(urlsplit(url.decode()).query).get("page", ["1"])[0])
        body = (TOKEN if method == b"POST" else BODIES[number - 1]).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)  # type: ignore[attr-defined]


async def serve() -> None:
    """Print the port, and serve until stdin is closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Pages, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


@contextmanager
def server() -> Iterator[str]:
    """Run the server in a separate process, and yield its URL."""
    command = [sys.executable, "-c", "import asyncio; from benchmarks import extract; asyncio.run(extract.serve())"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.communicate()


def rows() -> list[Row]:
    """Return the rows of the table."""
    with server() as url, tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calls = {"stock": stock(url, Path(folder)), "ours": ours(url, Path(folder))}
        peaks = {name: peak(call) for name, call in calls.items()}
        taken = in_turns(calls, times=1, rounds=5, clock=time.perf_counter)
        assert (Path(folder) / "stock").read_bytes() == (Path(folder) / "ours").read_bytes()
    megabytes = {name: f"{size / 1e6:.1f} MB" for name, size in peaks.items()}
    return [
        Row(
            f"Extract: {PAGES} pages of {ROWS} rows into a file",
            f"HttpOperator {milliseconds(taken['stock'])}",
            milliseconds(taken["ours"]),
            f"{ratio(taken['ours'], taken['stock']):.2f}",
            "< 1",
        ),
        Row(
            "Extract: peak memory",
            f"HttpOperator {megabytes['stock']}",
            megabytes["ours"],
            f"{peaks['ours'] / peaks['stock']:.2f}",
            "< 0.5",
        ),
    ]


def stock(url: str, folder: Path) -> Callable[[], Any]:
    """Return a function that reads the list with the operator of the HTTP provider."""
    from airflow.providers.http.operators.http import HttpOperator

    define("plain", conn_type="http", host=url)

    def next_page(response: requests.Response) -> dict[str, Any] | None:
        body = response.json()
        return {"data": {"page": body["page"] + 1}} if body["page"] < body["pages"] else None

    def write(responses: list[requests.Response]) -> int:
        with (folder / "stock").open("w") as file:
            for response in responses:
                for row in response.json()["data"]:
                    file.write(json.dumps(row, separators=(",", ":")) + "\n")
        return len(responses)

    operator = HttpOperator(
        task_id="stock",
        http_conn_id="plain",
        method="GET",
        endpoint="items",
        data={"page": 1},
        pagination_function=next_page,
        response_filter=write,
    )
    return lambda: operator.execute({})


def ours(url: str, folder: Path) -> Callable[[], Any]:
    """Return a function that reads the list with ``OAuthExtractOperator``. The first call gets the token."""
    from airflow_provider_oauth.extract.paginators import PageNumberPaginator
    from airflow_provider_oauth.operators.extract import OAuthExtractOperator
    from airflow_provider_oauth.runtime import airflow_variables

    define_connection("ours", url, f"{url}/token")
    stored: dict[str, str] = {}
    airflow_variables.get_variable = stored.get  # type: ignore[assignment]
    airflow_variables.set_variable = lambda name, value, description: stored.update({name: value})
    operator = OAuthExtractOperator(
        task_id="ours",
        oauth_conn_id="ours",
        endpoint="items",
        paginator=PageNumberPaginator(last="pages"),
        records_path="data",
        path=str(folder / "ours"),
    )
    return lambda: operator.execute({})


def peak(call: Callable[[], Any]) -> int:
    """Return the peak memory of a call in bytes. The call before it does the imports."""
    call()
    tracemalloc.start()
    call()
    _, maximum = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return maximum
