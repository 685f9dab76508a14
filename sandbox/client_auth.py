"""Client authentication (RFC 6749 §2.3, RFC 7523 §2.2)."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import jwt

from sandbox.errors import TokenError, invalid_request
from sandbox.state import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sandbox.records import Client
    from sandbox.server_config import ClientAuth
    from sandbox.state import State

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
HMAC = ["HS256", "HS384", "HS512"]
ASYMMETRIC = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
#: Maximum lifetime of a client's JWT in seconds.
MAX_LIFETIME = 300

_CHALLENGE = 'Basic realm="sandbox", charset="UTF-8"'


@dataclass(frozen=True)
class Credentials:
    """The client credentials of a request, before they are checked."""

    method: ClientAuth
    client_id: str
    client_secret: str | None = field(repr=False)
    assertion: str = field(default="", repr=False)


def find_credentials(
    authorization: str | None, parameters: Mapping[str, str], methods: Collection[ClientAuth]
) -> Credentials:
    """Return the client credentials in the header or in the body.

    :param authorization: The ``Authorization`` header.
    :param parameters: The parameters of the body.
    :param methods: The authentication methods that the server accepts.
    :raises TokenError: when there are no credentials, or unreadable ones, or two different ones
    """
    if authorization is None and "client_assertion" in parameters:
        return _read_assertion(parameters)
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


def _read_assertion(parameters: Mapping[str, str]) -> Credentials:
    """Return the client and the method of a JWT, which is verified later."""
    if parameters.get("client_assertion_type") != ASSERTION_TYPE:
        raise invalid_client(f"client_assertion_type is not {ASSERTION_TYPE}")
    try:
        header = jwt.get_unverified_header(parameters["client_assertion"])
        claims = jwt.decode(parameters["client_assertion"], options={"verify_signature": False})
        method: ClientAuth = "client_secret_jwt" if header["alg"] in HMAC else "private_key_jwt"
        client_id = str(claims["sub"])
    except (jwt.InvalidTokenError, KeyError):
        raise invalid_client("client_assertion is not a JWT with sub") from None
    if parameters.get("client_id", client_id) != client_id:
        raise invalid_request("Parameter client_id is not the client of the client_assertion")
    return Credentials(method, client_id, None, parameters["client_assertion"])


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


def authenticate(
    state: State,
    server_name: str,
    credentials: Credentials,
    methods: Collection[ClientAuth],
    audiences: Collection[str],
) -> Client:
    """Return the client with these credentials.

    :param audiences: The audiences that the server accepts in a client's JWT.
    :raises TokenError: ``invalid_client``: the method is not accepted, the client is unknown or the secret is wrong
    """
    challenge = _CHALLENGE if credentials.method.startswith("client_secret_basic") else None
    if credentials.method not in methods:
        raise invalid_client(f"{credentials.method} is not an authentication method of this server", challenge)
    client = state.client(server_name, credentials.client_id)
    if client and credentials.assertion:
        _verify(state, client, credentials, audiences)
        return client
    # One message for both, so that it does not reveal whether a client exists.
    if client is None or not _same(client.client_secret, credentials.client_secret):
        raise invalid_client("Unknown client, or wrong client secret", challenge)
    return client


def _verify(state: State, client: Client, credentials: Credentials, audiences: Collection[str]) -> None:
    """Verify a client's JWT (RFC 7523 §3). Each one can be used once."""
    is_hmac = credentials.method == "client_secret_jwt"
    key = client.client_secret if is_hmac else client.public_key
    if key is None:
        raise invalid_client(f"The client is not registered for {credentials.method}")
    try:
        claims = jwt.decode(
            credentials.assertion,
            key,
            algorithms=HMAC if is_hmac else ASYMMETRIC,
            audience=list(audiences),
            issuer=client.client_id,
            options={"require": ["exp", "iat", "jti"]},
        )
    except jwt.InvalidTokenError as error:
        raise invalid_client(f"The client_assertion is not valid: {type(error).__name__}") from None
    if claims["exp"] - claims["iat"] > MAX_LIFETIME:
        raise invalid_client(f"The client_assertion is valid for more than {MAX_LIFETIME} s")
    if state.count_poll(client.server, f"jti {client.client_id} {claims['jti']}") > 1:
        raise invalid_client("The client_assertion was used before")


def _same(expected: str | None, got: str | None) -> bool:
    if expected is None or got is None:
        return expected is got
    return secrets.compare_digest(expected.encode(), got.encode())


def invalid_client(description: str, challenge: str | None = None) -> TokenError:
    """Return the error for failed client authentication: 401, with a challenge if the client used Basic (§5.2)."""
    return TokenError("invalid_client", description, 401, challenge)
