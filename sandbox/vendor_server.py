"""A server that plays any vendor from its example in ``tests/vendors``.

It is a proxy for all hosts of the vendor, so connections use the vendor's real URLs. To use it, set ``proxies`` and
``verify`` in the connection, or the environment variables ``HTTPS_PROXY`` and ``REQUESTS_CA_BUNDLE``. If a request
differs from the documented ones, the server responds with status 400 and a text with the differences.

Run it with ``python -m sandbox.vendor_server NAME``.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import signal
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sandbox.certificates import CertificateAuthority
from sandbox.connect_proxy import ConnectProxy, Reply
from sandbox.vendor_example import EXAMPLES, InvalidExample, read_example
from sandbox.vendor_matching import Comparison, Received, compare, documented_parameters, has_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.vendor_example import Authorization, Example, Refusal, Request, Response

#: The redirect URI that is registered at the vendor. The vendor uses it if the request has none.
REDIRECT_URI = "https://airflow.example.com/oauth/callback"
#: Printed at the end of the instructions.
READY = "Press Ctrl-C to stop"
#: The parts of an example that are error responses, and the steps that they are responses to.
REFUSALS = {"limit": "page", "error": "page", "expired": "page", "token_error": "refresh"}
#: An ID token in a token response.
ID_TOKEN = re.compile(r'"id_token":\s*"([^"]+)"')
#: The parts of an ID token without claims.
UNSIGNED = ("eyJhbGciOiJub25lIn0", "e30", "")


@dataclass(frozen=True)
class Exchange:
    """A request and what the server found.

    :param step: the step of the example that it belongs to, such as ``page 2``
    :param received: the request
    :param differences: what contradicts the documentation, each with the name of the step
    :param extras: what the documentation does not mention, each with the name of the step
    """

    step: str
    received: Received
    differences: tuple[str, ...]
    extras: tuple[str, ...]


class VendorServer:
    """Plays a vendor.

    :param example: what the vendor documents
    :param clock: returns the time in seconds since the epoch
    """

    def __init__(self, example: Example, clock: Callable[[], float] = time.time) -> None:
        self.exchanges: list[Exchange] = []
        self.url = ""
        self.ca = ""
        self.clock = clock
        self._lock = threading.Lock()
        self.play(example)

    def play(self, example: Example) -> None:
        """Play another vendor from the beginning.

        :param example: what the vendor documents
        """
        self.exchanges.clear()
        self._example = example
        self._requests = list(example.named_requests())
        self._refused: dict[str, tuple[Refusal, int]] = {}
        self._tokens = {name: name for name in ("ACCESS_1", "REFRESH_1")}
        self._next_page = 1
        self._nonce: str | None = None
        pages = [documented_parameters(page) for page in example.pages]
        self._page_parameters = {name for required, _ in pages for name in required}

    def refuse(self, step: str, refusal: Refusal, times: int = 1) -> None:
        """Answer the next requests of a step with an error. They must be as documented, too.

        :param step: ``page``, ``refresh`` or ``token``
        :param refusal: the error
        :param times: how many requests are refused
        """
        self._refused[step] = (refusal, times)

    @property
    def differences(self) -> list[str]:
        """What contradicted the documentation."""
        return [text for exchange in self.exchanges for text in exchange.differences]

    @property
    def extras(self) -> set[str]:
        """What the documentation does not mention, such as ``page 1: query limit``."""
        return {text for exchange in self.exchanges for text in exchange.extras}

    def steps(self) -> list[str]:
        """Return the steps of the requests, in order."""
        return [exchange.step for exchange in self.exchanges]

    def answer(self, received: Received) -> Reply:
        """Return the response to a request.

        :param received: the request
        """
        with self._lock:
            return self._answer(received)

    def _answer(self, received: Received) -> Reply:
        candidates = [(name, request) for name, request in self._requests if has_url(request, received)]
        if not candidates:
            return self._refuse_difference("no step", received, self._unknown_url(received))
        compared = [(name, request, self._compare(name, request, received)) for name, request in candidates]
        name, request, found = min(compared, key=lambda each: self._distance(each[0], each[2]))
        if found.differences:
            return self._refuse_difference(name, received, found)
        self._record(name, received, found)
        if refusal := self._refusal(name):
            return self._reply(refusal.response)
        if name.startswith("page "):
            self._next_page = int(name.removeprefix("page ")) + 1
        if name == "authorize" and self._example.authorize:
            return self._redirect(self._example.authorize, received)
        return self._reply(request.response)

    def _distance(self, name: str, found: Comparison) -> tuple[bool, int, bool, int]:
        """Return how far a request is from a documented one; the nearest one is taken."""
        is_other_grant = any(" grant_type is" in text for text in found.differences)
        is_other_page = name != f"page {self._next_page}"
        return is_other_grant, len(found.differences), is_other_page, len(found.extras)

    def _compare(self, name: str, request: Request, received: Received) -> Comparison:
        elsewhere = self._page_parameters if name.startswith("page ") else set()
        return compare(request, received, self._tokens, elsewhere)

    def _unknown_url(self, received: Received) -> Comparison:
        urls = ", ".join(dict.fromkeys(request.url for _, request in self._requests))
        return Comparison((f"{received.method} {received.url} is not documented; documented: {urls}",))

    def _refuse_difference(self, name: str, received: Received, found: Comparison) -> Reply:
        self._record(name, received, found)
        texts = "\n".join(self.exchanges[-1].differences)
        return Reply(
            400, [("Content-Type", "application/json")], json.dumps({"error": "undocumented", "message": texts})
        )

    def _record(self, name: str, received: Received, found: Comparison) -> None:
        named = tuple(tuple(f"{name}: {text}" for text in texts) for texts in (found.differences, found.extras))
        self.exchanges.append(Exchange(name, received, *named))

    def _refusal(self, name: str) -> Refusal | None:
        step = name.partition(" ")[0]
        refusal, times = self._refused.get(step, (None, 0))
        if refusal is None or not times:
            return None
        self._refused[step] = (refusal, times - 1)
        return refusal

    def _reply(self, response: Response) -> Reply:
        now = datetime.fromtimestamp(self.clock(), UTC)
        body = response.text(now)
        for kind in ("ACCESS", "REFRESH"):
            for number in (1, 2):
                if f"{kind}_{number}" in body:
                    self._tokens[f"{kind}_1"] = f"{kind}_{number}"
        return Reply(response.status, response.header_fields(now), self._with_nonce(body))

    def _with_nonce(self, body: str) -> str:
        """Return a token response whose ID token has the nonce of the authorization request (OpenID Connect Core)."""
        if self._nonce is None or not (found := ID_TOKEN.search(body)):
            return body
        header, payload, signature = found[1].split(".") if found[1].count(".") == 2 else UNSIGNED
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))) | {"nonce": self._nonce}
        encoded = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        return body.replace(found[1], f"{header}.{encoded}.{signature}")

    def _redirect(self, authorize: Authorization, received: Received) -> Reply:
        """Return the redirect of a user who consents."""
        query = dict(parse_qsl(received.query))
        self._nonce = query.get("nonce")
        state = {"state": query["state"]} if "state" in query else {}
        target = urlsplit(query.get("redirect_uri", REDIRECT_URI))
        parameters = [*parse_qsl(target.query), *{**authorize.callback, **state}.items()]
        return Reply(302, [("Location", urlunsplit(target._replace(query=urlencode(parameters))))])


@contextmanager
def serve(
    example: Example, folder: Path, clock: Callable[[], float] = time.time, port: int = 0
) -> Iterator[VendorServer]:
    """Run a server in a thread within the block.

    :param example: what the vendor documents
    :param folder: where the certificate of the authority is written
    :param clock: returns the time in seconds since the epoch
    :param port: the port; 0 for a free one
    """
    server = VendorServer(example, clock)
    with CertificateAuthority(folder) as authority, ConnectProxy(authority, server.answer, port) as proxy:
        server.url, server.ca = proxy.url, str(authority.path)
        yield server


def connection_fields(server: VendorServer) -> dict[str, Any]:
    """Return the fields that send the requests of a connection to a server.

    :param server: the server
    """
    return {"proxies": {"https": server.url}, "verify": server.ca}


def instructions(name: str, example: Example, server: VendorServer) -> str:
    """Return how to use a server from the command line.

    :param name: the name of the vendor
    :param example: what the vendor documents
    :param server: the server
    """
    values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in example.fields.items()}
    entered = "\n".join(f"   {key}: {value}" for key, value in values.items())
    steps = [
        f"""Send all requests of a terminal to this server:
   export HTTPS_PROXY={server.url} REQUESTS_CA_BUNDLE={server.ca}
   Or set these fields of the connection:
   {json.dumps(connection_fields(server))}""",
        f"""In this terminal, create the connection, and enter these values:
   airflow oauth add {name} my_{name}
{entered}""",
    ]
    if example.authorize:
        steps.append("""When it shows a URL, open it in another terminal with the same variables, in place of a browser:
   curl --location --cacert "$REQUESTS_CA_BUNDLE" 'URL'""")
    options = {name: value for name, value in example.list_options.items() if name != "records_path"}
    steps.append(f"""Read the list with OAuthExtractOperator and these arguments:
   {json.dumps(options)}""")
    numbered = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    return f"""
Proxy: {server.url}
CA:    {server.ca}

{numbered}

Requests appear below. {READY}.
"""


def main(arguments: list[str] | None = None) -> int:
    """Play a vendor until SIGTERM or Ctrl-C.

    :param arguments: the command line arguments, without the program name
    :return: the exit code: 1 if the example is missing or invalid
    """
    parser = argparse.ArgumentParser("python -m sandbox.vendor_server", description="Plays a vendor of tests/vendors.")
    parser.add_argument("vendor", help="the name of a file in tests/vendors, or the path of an example")
    parser.add_argument("--port", type=int, default=0, help="TCP port; 0 for a free one")
    parser.add_argument("--refuse", choices=REFUSALS, help="the error to send once: for a list or a refresh")
    options = parser.parse_args(arguments)
    path = Path(options.vendor) if options.vendor.endswith(".toml") else EXAMPLES / f"{options.vendor}.toml"
    try:
        example = read_example(path)
        refusal = getattr(example, options.refuse) if options.refuse else None
        if options.refuse and refusal is None:
            raise InvalidExample(f"{path} has no {options.refuse}")
    except (OSError, InvalidExample) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory() as folder, serve(example, Path(folder), port=options.port) as server:
        if refusal:
            server.refuse(REFUSALS[options.refuse], refusal)
        sys.stdout.write(instructions(path.stem, example, server))
        _show_requests(server, stop)
    return 0


def _show_requests(server: VendorServer, stop: threading.Event) -> None:
    shown = 0
    sys.stdout.flush()
    while not stop.wait(0.2):
        for exchange in server.exchanges[shown:]:
            shown += 1
            lines = [f"{exchange.step}: {exchange.received.method} {exchange.received.url}"]
            lines += [f"  differs: {text}" for text in exchange.differences]
            lines += [f"  not in the example: {text}" for text in exchange.extras]
            sys.stdout.write("\n".join([*lines, ""]))
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
