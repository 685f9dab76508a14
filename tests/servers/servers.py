"""The two authorization servers, each in its own process, and their logs."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import requests

from sandbox.processes import Component
from sandbox.services import Service

FOLDER = Path(__file__).parent
#: With characters that clients have to encode in a Basic header (RFC 6749 section 2.3.1).
SECRET = "fake-secret-/+%&:="
PASSWORD = "fake-password"
REDIRECT_URI = "https://airflow.example.com/oauth/callback"


class AuthorizationServer(Service):
    """An authorization server and the API that it protects: ``/api/me`` and ``/api/admin``.

    Its clients are ``service`` (client_credentials), ``app`` and ``public`` (authorization_code). ``public`` has no
    secret.

    :param folder: for its log and its data
    :param lifetime: seconds that an access token is valid
    """

    #: Paths of its endpoints, by the names of the connection fields.
    endpoints: ClassVar[dict[str, str]]
    #: A scope that the clients may not have.
    wrong_scope: str

    def __init__(self, folder: Path, lifetime: int = 3600) -> None:
        super().__init__(folder)
        self.lifetime = lifetime
        self._seen = 0

    @property
    def url(self) -> str:
        """Its issuer, and the base of its URLs."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def resource(self) -> str:
        """The API's resource indicator (RFC 8707), which is also its base URL."""
        return f"{self.url}/api"

    @property
    def wrong_resource(self) -> str:
        """A resource indicator that the server refuses."""
        raise NotImplementedError

    @property
    def consent(self) -> dict[str, Any]:
        """Connection fields with which a user's consent allows calls to ``/api/me`` and gives a refresh token."""
        return {"scope": "read"}

    @property
    def command(self) -> list[str]:
        """The program that is started, without its options."""
        raise NotImplementedError

    @property
    def options(self) -> dict[str, Any]:
        """The program's options."""
        raise NotImplementedError

    def forget(self) -> None:
        """Forget the events logged so far."""
        self._seen = len(self._logged())

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a kind that were logged since :meth:`forget`: ``token``, ``api`` or ``grant revoked``.

        An event is logged before its response is sent.
        """
        return [event for event in self._logged()[self._seen :] if event["event"] == name]

    def refusals(self) -> list[str | None]:
        """Return the error of each token request since :meth:`forget`; None for a request that was granted."""
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
    """npm's oidc-provider. It requires PKCE, rotates refresh tokens, and issues tokens for one API each.

    One more client, ``pushed``, may authorize only with pushed authorization requests (RFC 9126).
    """

    name = "oidc-provider"
    wrong_scope = "admin"
    endpoints: ClassVar = {"authorize_url": "auth", "grant_url": "token", "revoke_url": "token/revocation"}

    @property
    def wrong_resource(self) -> str:
        """Not one of its APIs."""
        return f"{self.url}/unknown"

    @property
    def consent(self) -> dict[str, Any]:
        """Without ``prompt=consent`` there is no refresh token (OpenID Connect Core 1.0 section 11)."""
        return {"scope": "openid offline_access read", "authorize_params": {"prompt": "consent"}}

    @property
    def command(self) -> list[str]:
        """Node.js with the program."""
        return ["node", str(FOLDER / "oidc_provider" / "server.mjs")]

    @property
    def options(self) -> dict[str, Any]:
        """Its clients."""
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
        confidential = ({**service, **machine}, app, pushed)
        return {"clients": [*({**client, "client_secret": SECRET} for client in confidential), public]}


class DjangoToolkit(AuthorizationServer):
    """PyPI's Django OAuth Toolkit. Its API answers 403 to an invalid token, and rotation ends the access token."""

    name = "django-oauth-toolkit"
    wrong_scope = "unknown"
    endpoints: ClassVar = {"authorize_url": "authorize/", "grant_url": "token/", "revoke_url": "revoke_token/"}

    @property
    def wrong_resource(self) -> str:
        """Not an absolute URI; any of those would be accepted."""
        return "unknown"

    @property
    def command(self) -> list[str]:
        """Python with the program."""
        return [sys.executable, str(FOLDER / "django_server.py")]

    @property
    def options(self) -> dict[str, Any]:
        """Its clients, its users, and the folder of its database."""
        service = {"client_id": "service", "authorization_grant_type": "client-credentials"}
        app = {"client_id": "app", "authorization_grant_type": "authorization-code", "redirect_uris": REDIRECT_URI}
        common = {"client_secret": SECRET, "client_type": "confidential"}
        public = {**app, "client_id": "public", "client_secret": "", "client_type": "public"}
        users = dict.fromkeys(("ada", "grace"), PASSWORD)
        clients = [{**common, **service}, {**common, **app}, public]
        return {"folder": str(self.folder), "users": users, "clients": clients}
