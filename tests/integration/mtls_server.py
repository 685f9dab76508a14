"""An authorization server and API over TLS that require a client certificate and bind tokens to it (RFC 8705)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import ssl
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import jwt

from tests.servers_in_threads import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.certificates import Certificates

KEY = "fake-key-of-the-server-0123456789"


def thumbprint(der: bytes) -> str:
    """Return the ``x5t#S256`` of a certificate (RFC 8705 section 3.1)."""
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")


def thumbprint_of(path: str | Path) -> str:
    """Return the ``x5t#S256`` of the first certificate in a PEM file."""
    with open(path) as file:
        text = file.read()
    end = "-----END CERTIFICATE-----"
    return thumbprint(ssl.PEM_cert_to_DER_cert(text[: text.index(end) + len(end)]))


@dataclass(frozen=True)
class Received:
    """A request that the server received.

    :param port: the client's TCP port, which identifies the connection
    :param certificate: the thumbprint of the client's certificate; None for none
    :param path: the path of the request
    :param fields: the fields of the body
    :param status: the status of the response
    """

    port: int
    certificate: str | None
    path: str
    fields: dict[str, str]
    status: int


class MtlsServer(ThreadingHTTPServer):
    """The server. Tests change its attributes.

    :param tls: the files of its certificate and of the authority that it trusts
    """

    daemon_threads = True

    def __init__(self, tls: Certificates) -> None:
        super().__init__(("127.0.0.1", 0), MtlsHandler)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(tls.server)
        self.context.load_verify_locations(tls.ca)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.url = f"https://127.0.0.1:{self.server_address[1]}"
        self.received: list[Received] = []
        #: Whether the API compares the certificates of the token and of the connection.
        self.is_bound = True

    def requests_to(self, path: str) -> list[Received]:
        """Return the requests whose path starts with ``path``."""
        return [each for each in self.received if each.path.startswith(path)]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients without a valid certificate, and those that closed the connection."""


class MtlsHandler(BaseHTTPRequestHandler):
    """Handles one connection; the TLS handshake is part of it, so that it blocks no other connection."""

    server: MtlsServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def setup(self) -> None:
        """Perform the TLS handshake."""
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        """Close the TLS connection, which the server does not know."""
        super().finish()
        self.request.close()

    def do_GET(self) -> None:
        if self.path.startswith("/.well-known/openid-configuration"):
            self._respond(200, self._metadata(), {})
        else:
            self._respond(*self._api(), fields={})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        fields = {name: values[0] for name, values in parse_qs(body).items()}
        if self.path not in ("/mtls/token", "/mtls/revoke") or fields.get("client_id") != "app":
            self._respond(401, {"error": "invalid_client"}, fields)
        elif self.path == "/mtls/revoke":
            self._respond(200, {}, fields)
        else:
            claims = {"jti": secrets.token_hex(8), "cnf": {"x5t#S256": self._certificate}}
            token = jwt.encode(claims, KEY, "HS256")
            self._respond(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600}, fields)

    @property
    def _certificate(self) -> str | None:
        der = self.request.getpeercert(binary_form=True)
        return thumbprint(der) if der else None

    def _metadata(self) -> dict[str, Any]:
        url = self.server.url
        return {
            "issuer": url,
            "token_endpoint": f"{url}/token",
            "revocation_endpoint": f"{url}/revoke",
            "mtls_endpoint_aliases": {
                "token_endpoint": f"{url}/mtls/token",
                "revocation_endpoint": f"{url}/mtls/revoke",
            },
        }

    def _api(self) -> tuple[int, dict[str, Any]]:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        bound_to = jwt.decode(token, KEY, ["HS256"])["cnf"]["x5t#S256"]
        if self.server.is_bound and bound_to != self._certificate:
            return 401, {"error": "invalid_token"}  # RFC 8705 section 3
        return 200, {"items": [1, 2]}

    def _respond(self, status: int, content: dict[str, Any], fields: dict[str, str]) -> None:
        port = self.client_address[1]
        self.server.received.append(Received(port, self._certificate, self.path, fields, status))
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status == 401:
            self.send_header("WWW-Authenticate", 'Bearer error="invalid_token"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def mtls_server(tls: Certificates) -> Iterator[MtlsServer]:
    """Run the server within the block."""
    with running(MtlsServer(tls)) as server:
        yield server
