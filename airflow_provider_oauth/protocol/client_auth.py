"""Client authentication methods, one class each, named after the registered values (RFC 7591 section 2)."""

from __future__ import annotations

import base64
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote_plus

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.credentials import Credentials

Headers = MutableMapping[str, str]
Fields = MutableMapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ClientAuthContext:
    """What a client authentication method may need to authenticate one request.

    ``endpoint``, ``audience`` and ``now`` are for methods that sign an assertion (RFC 7523 section 3).

    :param client_id: the client ID
    :param client_secret: the client secret; methods that sign with a shared secret use it as the key
    :param endpoint: URL that the request is sent to
    :param audience: the issuer of the authorization server or, if that is not set, the URL of its token endpoint
    :param now: time of the request, with a time zone
    :param config: the connection
    :param credentials: the signing key, and the assertion from a file
    """

    client_id: str | None
    client_secret: str | None = field(repr=False)
    endpoint: str = field(repr=False)
    audience: str = field(repr=False)
    now: datetime
    config: OAuthConfig
    credentials: Credentials


class ClientAuth(Protocol):
    """A client authentication method."""

    def apply(self, context: ClientAuthContext, headers: Headers, fields: Fields) -> None:
        """Authenticate a request by changing its headers or the fields of its body.

        :param context: the client and the request
        :param headers: headers of the request; changed in place
        :param fields: fields of the request's body; changed in place
        """


class ClientSecretBasic:
    """``client_secret_basic``: HTTP Basic with form-encoded client ID and secret (RFC 6749 section 2.3.1)."""

    def apply(self, context: ClientAuthContext, headers: Headers, fields: Fields) -> None:
        """Set the ``Authorization`` header."""
        headers["Authorization"] = basic(quote_plus(context.client_id or ""), quote_plus(context.client_secret or ""))


class ClientSecretBasicRaw:
    """``client_secret_basic_raw``: HTTP Basic without form-encoding (RFC 7617), for servers that do not decode it."""

    def apply(self, context: ClientAuthContext, headers: Headers, fields: Fields) -> None:
        """Set the ``Authorization`` header."""
        headers["Authorization"] = basic(context.client_id or "", context.client_secret or "")


class ClientSecretPost:
    """``client_secret_post``: client ID and secret in the body (RFC 6749 section 2.3.1)."""

    def apply(self, context: ClientAuthContext, headers: Headers, fields: Fields) -> None:
        """Add ``client_id`` and ``client_secret``."""
        fields["client_id"] = context.client_id
        fields["client_secret"] = context.client_secret


class NoClientAuth:
    """``none``: a public client, which is identified but not authenticated (RFC 6749 section 3.2.1)."""

    def apply(self, context: ClientAuthContext, headers: Headers, fields: Fields) -> None:
        """Add ``client_id`` if there is one."""
        if context.client_id:
            fields["client_id"] = context.client_id


class TlsClientAuth:
    """``tls_client_auth``: mutual TLS, with a certificate of an authority or a self-signed one (RFC 8705 section 2).

    The TLS connection authenticates the client. The client ID in the body tells the server which client that is.
    """

    def apply(self, context: ClientAuthContext, headers: Headers, fields: Fields) -> None:
        """Add ``client_id``."""
        fields["client_id"] = context.client_id


CLIENT_AUTH: dict[str, ClientAuth] = {
    "client_secret_basic": ClientSecretBasic(),
    "client_secret_basic_raw": ClientSecretBasicRaw(),
    "client_secret_post": ClientSecretPost(),
    "tls_client_auth": TlsClientAuth(),
    "none": NoClientAuth(),
}


def basic(user: str, password: str) -> str:
    """Return the value of an ``Authorization`` header for HTTP Basic (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
