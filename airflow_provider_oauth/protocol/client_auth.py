"""How a client shows who it is: one class a method, named after its registered value (RFC 7591 section 2)."""

from __future__ import annotations

import base64
from collections.abc import MutableMapping
from typing import Any, Protocol
from urllib.parse import quote_plus

Headers = MutableMapping[str, str]
Fields = MutableMapping[str, Any]


class ClientAuth(Protocol):
    """Adds the client's credentials to the headers or the fields of a token request."""

    def apply(self, client_id: str | None, client_secret: str | None, headers: Headers, fields: Fields) -> None:
        """Change ``headers`` or ``fields`` in place."""


class ClientSecretBasic:
    """``client_secret_basic``: HTTP Basic, both parts form-encoded first, as RFC 6749 section 2.3.1 says."""

    def apply(self, client_id: str | None, client_secret: str | None, headers: Headers, fields: Fields) -> None:
        """Set the ``Authorization`` header."""
        headers["Authorization"] = basic(quote_plus(client_id or ""), quote_plus(client_secret or ""))


class ClientSecretBasicRaw:
    """``client_secret_basic_raw``: HTTP Basic as RFC 7617 has it, for servers that do not decode the parts."""

    def apply(self, client_id: str | None, client_secret: str | None, headers: Headers, fields: Fields) -> None:
        """Set the ``Authorization`` header."""
        headers["Authorization"] = basic(client_id or "", client_secret or "")


class ClientSecretPost:
    """``client_secret_post``: both in the body (RFC 6749 section 2.3.1)."""

    def apply(self, client_id: str | None, client_secret: str | None, headers: Headers, fields: Fields) -> None:
        """Add ``client_id`` and ``client_secret``."""
        fields["client_id"] = client_id
        fields["client_secret"] = client_secret


class NoClientAuth:
    """``none``: a public client, which only says its name (RFC 6749 section 3.2.1)."""

    def apply(self, client_id: str | None, client_secret: str | None, headers: Headers, fields: Fields) -> None:
        """Add ``client_id``, if there is one."""
        if client_id:
            fields["client_id"] = client_id


CLIENT_AUTH: dict[str, ClientAuth] = {
    "client_secret_basic": ClientSecretBasic(),
    "client_secret_basic_raw": ClientSecretBasicRaw(),
    "client_secret_post": ClientSecretPost(),
    "none": NoClientAuth(),
}


def basic(user: str, password: str) -> str:
    """Return the value of an ``Authorization`` header for HTTP Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
