"""A server in a separate process that serves a list in pages, over plain HTTP and TLS.

The URL determines the list: ``/200/50/items?page=1`` is the first of 200 pages, after a delay of 50 ms. The response to
a POST is a token.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The number of rows of a page.
ROWS = 200
#: The number of pages that are kept in memory.
KEPT = 2200
#: The number of pages of the list that is built before the server is ready.
PREBUILT = 200
TOKEN = b'{"access_token": "fake-access-token", "token_type": "Bearer", "expires_in": 86400}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Urls(NamedTuple):
    """The base URLs of the server.

    :param plain: for HTTP
    :param tls: for HTTPS
    """

    plain: str
    tls: str

    @staticmethod
    def of_list(base: str, pages: int, delay: int = 0) -> str:
        """Return the base URL of a list; its endpoint is ``items``.

        :param base: one of the base URLs
        :param pages: the number of pages
        :param delay: milliseconds before each response
        """
        return f"{base}/{pages}/{delay}"


def row(number: int) -> dict[str, object]:
    """Return a row with 10 fields, of about 240 bytes."""
    return {
        "id": number,
        "name": f"Customer {number}",
        "email": f"customer.{number}@example.com",
        "created_at": f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}T08:30:00Z",
        "amount": round(number * 1.37, 2),
        "quantity": number % 97,
        "active": number % 3 > 0,
        "city": ("Zürich", "Singapore", "New York")[number % 3],
        "comment": None if number % 5 else f'said "{number}"',
        "url": f"https://api.example.com/v1/customers/{number}",
    }


@lru_cache(KEPT)
def response_of(page: int, pages: int) -> bytes:
    """Return the complete response for a page."""
    rows = [row(number) for number in range((page - 1) * ROWS, page * ROWS)]
    body = {"page": page, "pages": pages, "total": pages * ROWS, "data": rows}
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return HEAD % len(content) + content


class Pages(asyncio.Protocol):
    """Responds to requests. Each one arrives in one piece, because requests are short, unless they have a body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if b" HTTP/1." not in data:
            return  # the body of a token request
        method, target, _ = data.split(b" ", 2)
        if method == b"POST":
            self.send(HEAD % len(TOKEN) + TOKEN)
            return
        path, _, query = target.decode().partition("?")
        _, pages, delay, _ = path.split("/")
        parameters = dict(each.split("=") for each in query.split("&") if each)
        response = response_of(int(parameters.get("page", 1)), int(pages))
        if delay == "0":
            self.send(response)
        else:
            asyncio.get_running_loop().call_later(int(delay) / 1000, self.send, response)

    def send(self, response: bytes) -> None:
        self.transport.write(response)  # type: ignore[attr-defined]


async def serve(certificate: str) -> None:
    """Print the ports, and serve until stdin is closed.

    :param certificate: path of a PEM file with a certificate and its key
    """
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    servers = [await loop.create_server(Pages, "127.0.0.1", 0, ssl=each, backlog=200) for each in (None, context)]
    for page in range(1, PREBUILT + 1):
        response_of(page, PREBUILT)
    print(*[server.sockets[0].getsockname()[1] for server in servers], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    for server in servers:
        server.close()


@contextmanager
def page_server(certificate: str) -> Iterator[Urls]:
    """Run the server, and yield its URLs. It stops when this process ends, even if this process is killed."""
    command = [sys.executable, "-m", __name__, certificate]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        plain, tls = process.stdout.readline().split()
        yield Urls(f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}")
        process.stdin.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
