"""Who is asking for a token: client authentication (RFC 6749 §2.3)."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote_plus

from sandbox.errors import TokenError, invalid_request
from sandbox.state import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sandbox.records import Client
    from sandbox.state import State

#: ``client_secret_basic_raw`` is our name for servers that do not form-decode what comes in by Basic.
ClientAuth = Literal["client_secret_basic", "client_secret_basic_raw", "client_secret_post", "none"]

_CHALLENGE = 'Basic realm="sandbox", charset="UTF-8"'


@dataclass(frozen=True)
class Credentials:
    """The client credentials a request came with, not checked yet."""

    method: ClientAuth
    client_id: str
    client_secret: str | None = field(repr=False)


def find_credentials(
    authorization: str | None, parameters: Mapping[str, str], methods: Collection[ClientAuth]
) -> Credentials:
    """Read the client's credentials from the header or the body, whichever has them.

    :param authorization: The ``Authorization`` header.
    :param parameters: The parameters of the body.
    :param methods: What the server allows.
    :raises TokenError: There are none, they are unreadable, or there are two of them at once.
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
    """Return the ID of the client that a request names, for counting, if there is such a client."""
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
            # RFC 6749 §2.3.1: both were form-encoded before, so "+" is a space and "%3A" a colon.
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
    """Return the client these credentials belong to.

    :raises TokenError: ``invalid_client``: method not allowed here, client unknown, or wrong secret.
    """
    challenge = _CHALLENGE if credentials.method.startswith("client_secret_basic") else None
    if credentials.method not in methods:
        raise invalid_client(f"{credentials.method} is not an authentication method of this server", challenge)
    client = state.client(server_name, credentials.client_id)
    # One message for both: who guesses must not learn which it was.
    if client is None or not _same(client.client_secret, credentials.client_secret):
        raise invalid_client("Unknown client, or wrong client secret", challenge)
    return client


def _same(expected: str | None, got: str | None) -> bool:
    if expected is None or got is None:
        return expected is got
    return secrets.compare_digest(expected.encode(), got.encode())


def invalid_client(description: str, challenge: str | None = None) -> TokenError:
    """Return the error for a client that is not who it says: 401, with a challenge if it tried Basic (§5.2)."""
    return TokenError("invalid_client", description, 401, challenge)
