"""The two authorization servers, each in its own process, and the events that they log."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import requests

from sandbox.processes import Component, free_ports
from sandbox.services import Service
from tests.certificates import certificates
from tests.servers.key_clients import credentials, key_clients

FOLDER = Path(__file__).parent
#: Contains characters that clients must encode in a Basic header (RFC 6749 section 2.3.1).
SECRET = "fake-secret-/+%&:="
PASSWORD = "fake-password"
REDIRECT_URI = "https://airflow.example.com/oauth/callback"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


class AuthorizationServer(Service):
    """An authorization server and the API that it protects: ``/api/me`` and ``/api/admin``.

    Its clients are ``service`` (client_credentials), ``app`` and ``public`` (authorization_code). ``public`` has no
    secret.

    :param folder: the folder of its log and its data
    :param lifetime: the lifetime of access tokens in seconds
    """

    #: The paths of its endpoints by connection field.
    endpoints: ClassVar[dict[str, str]]
    #: A scope that the clients may not request.
    wrong_scope: str

    def __init__(self, folder: Path, lifetime: int = 3600) -> None:
        super().__init__(folder)
        self.lifetime = lifetime
        self._discarded = 0

    @property
    def url(self) -> str:
        """Its issuer, which is also its base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def resource(self) -> str:
        """The resource indicator of the API (RFC 8707), which is also its base URL."""
        return f"{self.url}/api"

    @property
    def wrong_resource(self) -> str:
        """A resource indicator that the server refuses."""
        raise NotImplementedError

    @property
    def authorization_fields(self) -> dict[str, Any]:
        """The connection fields with which an authorization allows ``/api/me`` and returns a refresh token."""
        return {"scope": "read"}

    @property
    def command(self) -> list[str]:
        """The command that starts the server, without options."""
        raise NotImplementedError

    @property
    def options(self) -> dict[str, Any]:
        """The options of the command."""
        raise NotImplementedError

    def discard_events(self) -> None:
        """Ignore the events that were logged so far."""
        self._discarded = len(self._logged())

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events since :meth:`discard_events`. An event is logged before its response is sent.

        :param name: ``token``, ``api``, ``revocation`` or ``grant revoked``
        """
        return [event for event in self._logged()[self._discarded :] if event["event"] == name]

    def token_errors(self) -> list[str | None]:
        """Return the error of each token request since :meth:`discard_events`; None for a successful request."""
        return [event.get("error") for event in self.events("token")]

    def _logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith('{"event"')]

    def _run(self) -> Component:
        options = {"port": self.port, "lifetime": self.lifetime, **self.options}
        return Component(self.name, [*self.command, json.dumps(options)], os.environ, FOLDER, self.log)

    def _is_ready(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"{self.resource}/me", timeout=5).status_code in (401, 403)
        return False


class OidcProvider(AuthorizationServer):
    """oidc-provider from npm. It requires PKCE, rotates refresh tokens, and issues each token for one API.

    Its client ``pushed`` must use pushed authorization requests (RFC 9126). ``device``, ``slow`` and ``short`` may use
    device authorizations (RFC 8628). ``key_clients`` has those that authenticate with a key or a certificate.
    """

    name = "oidc-provider"
    wrong_scope = "admin"
    endpoints: ClassVar = {
        "authorize_url": "auth",
        "grant_url": "token",
        "revoke_url": "token/revocation",
        "par_url": "request",
        "device_url": "device/auth",
    }

    def __init__(self, folder: Path, lifetime: int = 3600) -> None:
        super().__init__(folder, lifetime)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tls = certificates(self.folder)
        self._tls_port = free_ports(1)[0]

    @property
    def tls_url(self) -> str:
        """The base URL for requests with a client certificate."""
        return f"https://127.0.0.1:{self._tls_port}"

    def credentials(self, client: str) -> dict[str, Any]:
        """Return the connection fields with which a client of ``key_clients`` authenticates."""
        return credentials(client, self.tls, self.tls_url)

    @property
    def wrong_resource(self) -> str:
        """The URL of an API that does not exist."""
        return f"{self.url}/unknown"

    @property
    def authorization_fields(self) -> dict[str, Any]:
        """With ``prompt=consent``, without which there is no refresh token (OpenID Connect Core 1.0 section 11)."""
        return {"scope": "openid offline_access read", "authorize_params": {"prompt": "consent"}}

    @property
    def command(self) -> list[str]:
        """Node.js with the server."""
        return ["node", str(FOLDER / "oidc_provider" / "server.mjs")]

    @property
    def options(self) -> dict[str, Any]:
        """The clients, and the files for TLS."""
        service = {"client_id": "service", "grant_types": ["client_credentials"], "scope": "read write"}
        app = {
            "client_id": "app",
            "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": [REDIRECT_URI],
            "response_types": ["code"],
            "scope": "openid offline_access read write",
        }
        machine = {"redirect_uris": [], "response_types": []}
        public = {**app, "client_id": "public", "token_endpoint_auth_method": "none"}
        pushed = {**app, "client_id": "pushed", "require_pushed_authorization_requests": True}
        device_grants = {"grant_types": [*app["grant_types"], DEVICE_CODE, "client_credentials"]}
        devices = [{**app, **device_grants, "client_id": name} for name in ("device", "slow", "short")]
        confidential = ({**service, **machine}, app, pushed, *devices)
        return {
            "clients": [
                *({**client, "client_secret": SECRET} for client in confidential),
                *key_clients({**app, **device_grants}, self.tls),
                public,
            ],
            "tls": {"port": self._tls_port, "certificate": self.tls.server, "ca": self.tls.ca},
        }


class DjangoToolkit(AuthorizationServer):
    """Django OAuth Toolkit from PyPI. An invalid token gets a 403 from its API. Rotation revokes the access token."""

    name = "django-oauth-toolkit"
    wrong_scope = "unknown"
    endpoints: ClassVar = {"authorize_url": "authorize/", "grant_url": "token/", "revoke_url": "revoke_token/"}

    @property
    def wrong_resource(self) -> str:
        """A value that is not an absolute URI. The server accepts any absolute URI."""
        return "unknown"

    @property
    def command(self) -> list[str]:
        """Python with the server."""
        return [sys.executable, str(FOLDER / "django_server.py")]

    @property
    def options(self) -> dict[str, Any]:
        """The clients, the users, and the folder of the database."""
        service = {"client_id": "service", "authorization_grant_type": "client-credentials"}
        app = {"client_id": "app", "authorization_grant_type": "authorization-code", "redirect_uris": REDIRECT_URI}
        common = {"client_secret": SECRET, "client_type": "confidential"}
        public = {**app, "client_id": "public", "client_secret": "", "client_type": "public"}
        users = dict.fromkeys(("ada", "grace"), PASSWORD)
        clients = [{**common, **service}, {**common, **app}, public]
        return {"folder": str(self.folder), "users": users, "clients": clients}
