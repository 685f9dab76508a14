"""Client authentication methods, one class each, named after the registered values (RFC 7591 section 2)."""

from __future__ import annotations

import base64
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote_plus

from airflow_provider_oauth.protocol.assertions import CLIENT_ASSERTION_TYPE, client_assertion
from airflow_provider_oauth.protocol.credentials import loaded
from airflow_provider_oauth.protocol.signing_keys import secret_key

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.credentials import Credentials

Headers = MutableMapping[str, str]
Fields = MutableMapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ClientAuthContext:
    """What a client authentication method needs to authenticate one request.

    :param config: the connection
    :param credentials: the signing key, and the assertion from a file
    :param now: time of the request, with a time zone
    """

    config: OAuthConfig
    credentials: Credentials
    now: datetime


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
        config = context.config
        headers["Authorization"] = basic(quote_plus(config.client_id or ""), quote_plus(config.client_secret or ""))


class ClientSecretBasicRaw:
    """``client_secret_basic_raw``: HTTP Basic without form-encoding (RFC 7617), for servers that do not decode it."""

    def apply(self, context: ClientAuthContext, headers: Headers, fields: Fields) -> None:
        """Set the ``Authorization`` header."""
        headers["Authorization"] = basic(context.config.client_id or "", context.config.client_secret or "")


class ClientSecretPost:
    """``client_secret_post``: client ID and secret in the body (RFC 6749 section 2.3.1)."""

    def apply(self, context: ClientAuthContext, headers: Headers, fields: Fields) -> None:
        """Add ``client_id`` and ``client_secret``."""
        fields["client_id"] = context.config.client_id
        fields["client_secret"] = context.config.client_secret


class NoClientAuth:
    """``none``: a public client, which is identified but not authenticated (RFC 6749 section 3.2.1)."""

    def apply(self, context: ClientAuthContext, headers: Headers, fields: Fields) -> None:
        """Add ``client_id`` if there is one."""
        if context.config.client_id:
            fields["client_id"] = context.config.client_id


class PrivateKeyJwt:
    """``private_key_jwt``: a JWT signed with the client's private key, or the JWT in a file (RFC 7523 section 2.2)."""

    def apply(self, context: ClientAuthContext, headers: Headers, fields: Fields) -> None:
        """Add ``client_id`` and ``client_assertion``."""
        credentials = context.credentials
        assertion = credentials.assertion or client_assertion(
            context.config, loaded(credentials.signing_key), credentials.new_jwt_id(), context.now
        )
        _add_assertion(context.config, assertion, fields)


class ClientSecretJwt:
    """``client_secret_jwt``: a JWT signed with the client secret, which is not sent (RFC 7523 section 2.2)."""

    def apply(self, context: ClientAuthContext, headers: Headers, fields: Fields) -> None:
        """Add ``client_id`` and ``client_assertion``."""
        key, jwt_id = secret_key(context.config), context.credentials.new_jwt_id()
        _add_assertion(context.config, client_assertion(context.config, key, jwt_id, context.now), fields)


class TlsClientAuth:
    """``tls_client_auth``: mutual TLS, with a certificate of an authority or a self-signed one (RFC 8705 section 2).

    The TLS connection authenticates the client. The client ID in the body tells the server which client that is.
    """

    def apply(self, context: ClientAuthContext, headers: Headers, fields: Fields) -> None:
        """Add ``client_id``."""
        fields["client_id"] = context.config.client_id


CLIENT_AUTH: dict[str, ClientAuth] = {
    "client_secret_basic": ClientSecretBasic(),
    "client_secret_basic_raw": ClientSecretBasicRaw(),
    "client_secret_post": ClientSecretPost(),
    "private_key_jwt": PrivateKeyJwt(),
    "client_secret_jwt": ClientSecretJwt(),
    "tls_client_auth": TlsClientAuth(),
    "none": NoClientAuth(),
}


def basic(user: str, password: str) -> str:
    """Return the value of an ``Authorization`` header for HTTP Basic (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _add_assertion(config: OAuthConfig, assertion: str, fields: Fields) -> None:
    fields["client_id"] = config.client_id  # optional in RFC 7521 section 4.2; Microsoft Entra requires it
    fields["client_assertion_type"] = CLIENT_ASSERTION_TYPE
    fields["client_assertion"] = assertion
