"""The token endpoint (RFC 6749 §3.2): one implementation, and a :class:`Server` says what each vendor does."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sandbox.bodies import BodyFormat, read_parameters
from sandbox.client_auth import ClientAuth, authenticate, find_credentials
from sandbox.control import misbehaving
from sandbox.errors import NO_STORE, ErrorStyle, TokenError, invalid_request
from sandbox.state import UNKNOWN, new_family

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.state import Client, IssuedToken, State

GrantType = Literal["client_credentials", "password", "refresh_token"]


@dataclass(frozen=True)
class Server:
    """What one vendor's authorization server takes and gives.

    :param name: Its name, and the first part of its paths.
    :param grants: The grant types it supports.
    :param body_format: The only body format its token endpoint takes.
    :param client_auth: The client authentication methods it allows; ``none`` is for public clients.
    :param scopes: All the scopes there are.
    :param access_lifetime: Seconds an access token lives.
    :param refresh_lifetime: Seconds a refresh token lives; ``None`` for ever.
    :param rotates_refresh_tokens: Refresh tokens are single-use: each refresh gives the next one.
    :param client_credentials_refresh: client_credentials gives a refresh token too.
    :param states_scope: The answer always says the scope, not only when it is not the one asked for.
    :param error_style: How errors are written.
    :param answer_fields: Further fields of a token answer, from the grant's identifier.
    :param token_path: Path of the token endpoint, under the name.
    :param api_path: Path of the API, under the name.
    """

    name: str
    grants: tuple[GrantType, ...]
    body_format: BodyFormat = "form"
    client_auth: tuple[ClientAuth, ...] = ("client_secret_basic", "client_secret_post", "none")
    scopes: tuple[str, ...] = ("read", "write", "admin")
    access_lifetime: int = 3600
    refresh_lifetime: int | None = None
    rotates_refresh_tokens: bool = True
    client_credentials_refresh: bool = False
    states_scope: bool = False
    error_style: ErrorStyle = "rfc6749"
    answer_fields: Callable[[str], dict[str, Any]] | None = None
    token_path: str = "/token"  # noqa: S105 - a path
    api_path: str = "/api"


def token_router(server: Server, state: State) -> APIRouter:
    """Return the server's token endpoint, to be mounted; anything but POST is a 405."""
    router = APIRouter(prefix=f"/{server.name}")

    @router.post(server.token_path)
    async def token(request: Request) -> Response:
        return await _answer(server, state, request)

    return router


async def _answer(server: Server, state: State, request: Request) -> Response:
    """Read, count, process (or misbehave)."""
    parameters: dict[str, str] = {}
    refused: TokenError | None = None
    try:
        parameters = await read_parameters(request, server.body_format)
    except TokenError as error:
        refused = error
    authorization = request.headers.get("authorization")
    caller = _caller(server, state, authorization, parameters)
    state.count(caller, "token_requests")
    state.count(caller, "token_requests_by_grant", parameters.get("grant_type", UNKNOWN))

    async def process() -> Response:
        try:
            if refused:
                raise refused
            return JSONResponse(_grant(server, state, authorization, parameters), headers=NO_STORE)
        except TokenError as error:
            state.count(caller, "token_errors", error.error)
            return error.response(server.error_style)

    return await misbehaving(state.next_misbehaviour(server.name, "token"), process)


def _caller(server: Server, state: State, authorization: str | None, parameters: Mapping[str, str]) -> str:
    """Return the ID of the client that the request names, for counting, if there is such a client."""
    try:
        client_id = find_credentials(authorization, parameters, server.client_auth).client_id
    except TokenError:
        client_id = parameters.get("client_id", UNKNOWN)
    return client_id if state.client(server.name, client_id) else UNKNOWN


def _grant(server: Server, state: State, authorization: str | None, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the token answer this request deserves, or raise the error that it does."""
    grant_type = _required(parameters, "grant_type")
    credentials = find_credentials(authorization, parameters, server.client_auth)
    client = authenticate(state, server.name, credentials, server.client_auth)
    if grant_type not in server.grants:
        raise TokenError("unsupported_grant_type", f"This server does not support grant_type {grant_type}")
    if grant_type == "refresh_token":
        return _refresh(server, state, client, parameters)
    if grant_type == "password":
        username = _check_password(client, parameters)
        return _first_tokens(server, state, client, parameters, username=username, with_refresh=True)
    if client.client_secret is None:
        # RFC 6749 §4.4: for confidential clients only.
        raise TokenError("unauthorized_client", "A public client cannot use client_credentials")
    with_refresh = server.client_credentials_refresh
    return _first_tokens(server, state, client, parameters, username=None, with_refresh=with_refresh)


def _required(parameters: Mapping[str, str], name: str) -> str:
    if name not in parameters:
        raise invalid_request(f"Parameter {name} is missing")
    return parameters[name]


def _check_password(client: Client, parameters: Mapping[str, str]) -> str:
    username, password = _required(parameters, "username"), _required(parameters, "password")
    expected = client.users.get(username)
    if expected is None or not secrets.compare_digest(expected.encode(), password.encode()):
        raise TokenError("invalid_grant", "Unknown user, or wrong password")
    return username


def _first_tokens(
    server: Server,
    state: State,
    client: Client,
    parameters: Mapping[str, str],
    *,
    username: str | None,
    with_refresh: bool,
) -> dict[str, Any]:
    """Start a new grant: the scopes asked for, as far as the client may have them."""
    asked = parameters.get("scope")
    wanted = client.scopes if asked is None else asked.split()
    unknown = [scope for scope in wanted if scope not in server.scopes]
    if unknown:
        raise TokenError("invalid_scope", f"There is no scope {unknown[0]}")
    scope = " ".join(scope for scope in wanted if scope in client.scopes)
    if not scope:
        raise TokenError("invalid_scope", "None of these scopes is granted to this client")
    family = new_family()
    answer = _access_token(server, state, client, scope=scope, asked=asked, username=username, family=family)
    if with_refresh:
        answer["refresh_token"] = state.issue(
            "refresh", client, scope=scope, username=username, family=family, lifetime=server.refresh_lifetime
        )
    return answer


def _refresh(server: Server, state: State, client: Client, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Renew (RFC 6749 §6): the scope may shrink but not grow, the refresh token's own scope stays."""
    token = state.token("refresh", server.name, _required(parameters, "refresh_token"))
    if token is None or token.client_id != client.client_id or not _is_good(state, token):
        raise TokenError("invalid_grant", "The refresh token is unknown, expired, revoked or was used before")
    asked = parameters.get("scope")
    scope = token.scope if asked is None else asked
    if not set(scope.split()) <= set(token.scope.split()):
        raise TokenError("invalid_scope", "The scope was not granted originally")
    # Only now: a request that is refused must not cost the token. A refresh without scope asks for the same again.
    if server.rotates_refresh_tokens:
        state.spend(token)
    answer = _access_token(
        server, state, client, scope=scope, asked=scope, username=token.username, family=token.family
    )
    if server.rotates_refresh_tokens:
        answer["refresh_token"] = state.issue(
            "refresh",
            client,
            scope=token.scope,
            username=token.username,
            family=token.family,
            lifetime=server.refresh_lifetime,
        )
    return answer


def _is_good(state: State, token: IssuedToken) -> bool:
    """Whether the refresh token may be used; reuse of a spent one revokes its family."""
    if token.spent:
        return state.spend(token)
    return state.is_live(token)


def _access_token(
    server: Server,
    state: State,
    client: Client,
    *,
    scope: str,
    asked: str | None,
    username: str | None,
    family: str,
) -> dict[str, Any]:
    """Issue an access token and write the answer of RFC 6749 §5.1."""
    lifetime = server.access_lifetime if client.access_lifetime is None else client.access_lifetime
    answer: dict[str, Any] = {
        "access_token": state.issue("access", client, scope=scope, username=username, family=family, lifetime=lifetime),
        "token_type": "Bearer",
        "expires_in": lifetime,
    }
    # RFC 6749 §5.1: optional when it is what was asked for, required otherwise.
    if server.states_scope or asked is None or set(asked.split()) != set(scope.split()):
        answer["scope"] = scope
    if server.answer_fields:
        answer |= server.answer_fields(family)
    return answer
