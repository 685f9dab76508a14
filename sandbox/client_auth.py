"""Client authentication (RFC 6749 §2.3)."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from sandbox.errors import TokenError, invalid_request
from sandbox.state import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sandbox.records import Client
    from sandbox.server_config import ClientAuth
    from sandbox.state import State

_CHALLENGE = 'Basic realm="sandbox", charset="UTF-8"'


@dataclass(frozen=True)
class Credentials:
    """The client credentials of a request, before they are checked."""

    method: ClientAuth
    client_id: str
    client_secret: str | None = field(repr=False)


def find_credentials(
    authorization: str | None, parameters: Mapping[str, str], methods: Collection[ClientAuth]
) -> Credentials:
    """Return the client credentials in the header or in the body.

    :param authorization: The ``Authorization`` header.
    :param parameters: The parameters of the body.
    :param methods: The authentication methods that the server accepts.
    :raises TokenError: when there are no credentials, or unreadable ones, or two different ones
    """
    if authorization is None:
        if "client_id" not in parameters:
            raise invalid_client("No client authentication included: client_id is missing")
        secret = parameters.get("client_secret")
        method: ClientAuth = "none" if secret is None else "client_secret_post"
        return Credentials(method, parameters["client_id"], secret)
    credentials = _read_basic(authorization, raw="client_secret_basic_raw" in methods)
    # RFC 6749 §2.3: a client must not use more than one authentication method in a request.
    if "client_secret" in parameters:
        raise invalid_request("Use either the Authorization header or client_secret, not both")
    if parameters.get("client_id", credentials.client_id) != credentials.client_id:
        raise invalid_request("Parameter client_id is not the client of the Authorization header")
    return credentials


def named_client(
    state: State,
    server_name: str,
    authorization: str | None,
    parameters: Mapping[str, str],
    methods: Collection[ClientAuth],
) -> str:
    """Return the client ID of a request if the client is registered, otherwise :data:`UNKNOWN`."""
    try:
        client_id = find_credentials(authorization, parameters, methods).client_id
    except TokenError:
        client_id = parameters.get("client_id", UNKNOWN)
    return client_id if state.client(server_name, client_id) else UNKNOWN


def _read_basic(authorization: str, *, raw: bool) -> Credentials:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise invalid_client("The Authorization header must use the Basic scheme", challenge=_CHALLENGE)
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        if not raw:
            # RFC 6749 §2.3.1: both are form-encoded first, so "+" is a space and "%3A" a colon.
            client_id, secret = (
                unquote_plus(client_id, errors="strict"),
                unquote_plus(secret, errors="strict"),
            )
    except ValueError:
        raise invalid_client("The Basic credentials cannot be decoded", challenge=_CHALLENGE) from None
    if not colon:
        raise invalid_client("The Basic credentials have no colon", challenge=_CHALLENGE)
    return Credentials("client_secret_basic_raw" if raw else "client_secret_basic", client_id, secret)


def authenticate(state: State, server_name: str, credentials: Credentials, methods: Collection[ClientAuth]) -> Client:
    """Return the client with these credentials.

    :raises TokenError: ``invalid_client``: the method is not accepted, the client is unknown or the secret is wrong
    """
    challenge = _CHALLENGE if credentials.method.startswith("client_secret_basic") else None
    if credentials.method not in methods:
        raise invalid_client(f"{credentials.method} is not an authentication method of this server", challenge)
    client = state.client(server_name, credentials.client_id)
    # One message for both, so that it does not reveal whether a client exists.
    if client is None or not _same(client.client_secret, credentials.client_secret):
        raise invalid_client("Unknown client, or wrong client secret", challenge)
    return client


def _same(expected: str | None, got: str | None) -> bool:
    if expected is None or got is None:
        return expected is got
    return secrets.compare_digest(expected.encode(), got.encode())


def invalid_client(description: str, challenge: str | None = None) -> TokenError:
    """Return the error for failed client authentication: 401, with a challenge if the client used Basic (§5.2)."""
    return TokenError("invalid_client", description, 401, challenge)
