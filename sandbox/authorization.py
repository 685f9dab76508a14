"""The token endpoint (RFC 6749 §3.2): one implementation, and a :class:`Server` says what each vendor does."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sandbox.bodies import BodyFormat, read_parameters
from sandbox.client_auth import ClientAuth, authenticate, find_credentials, invalid_client, named_client
from sandbox.consent import verifies
from sandbox.control import misbehaving
from sandbox.errors import LEAGUE_INVALID_REQUEST, NO_STORE, ErrorStyle, TokenError, invalid_request
from sandbox.state import UNKNOWN, new_family

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.records import Client, IssuedToken
    from sandbox.state import State

GrantType = Literal["client_credentials", "password", "refresh_token", "authorization_code"]


@dataclass(frozen=True)
class Server:
    """What one vendor's authorization server and API take and give.

    :param name: Its name, and the first part of its paths.
    :param grants: The grant types it supports.
    :param body_format: The only body format its token endpoint takes.
    :param client_auth: The client authentication methods it allows; ``none`` is for public clients.
    :param scopes: All the scopes there are.
    :param access_lifetime: Seconds an access token lives, for all grant types or by grant type.
    :param refresh_lifetime: Seconds a refresh token lives; ``None`` for ever.
    :param code_lifetime: Seconds an authorization code lives.
    :param rotates_refresh_tokens: Refresh tokens are single-use: each refresh gives the next one.
    :param client_credentials_refresh: client_credentials gives a refresh token too.
    :param bearer_with_refresh: A refresh may carry the old access token in the ``Authorization`` header.
    :param states_scope: Whether the answer says the scope; ``None`` for when RFC 6749 §5.1 requires it.
    :param error_style: How errors are written.
    :param bad_grant_hints: By grant type: a refresh token or code that is not good is an ``invalid_request`` with this
        hint, and not an ``invalid_grant``.
    :param answer_fields: Further fields of a token answer, from the grant's identifier.
    :param token_path: Path of the token endpoint, under the name.
    :param authorize_path: Path of the authorization endpoint, under the name, where there is that grant.
    :param revoke_path: Path of the revocation endpoint, under the name; ``None`` for none.
    :param publishes_metadata: Its metadata are at ``.well-known/openid-configuration``, under the name.
    :param states_issuer: The authorization endpoint's answers carry ``iss`` (RFC 9207).
    :param api_path: Path of the API, under the name.
    :param add_api: Adds the routes of the vendor's own API to a router that has checked the token: it is in
        ``request.state.token``. ``None`` for the generic API.
    :param api_error: Writes an error of that API, from its status and its members.
    """

    name: str
    grants: tuple[GrantType, ...]
    body_format: BodyFormat = "form"
    client_auth: tuple[ClientAuth, ...] = ("client_secret_basic", "client_secret_post", "none")
    scopes: tuple[str, ...] = ("read", "write", "admin")
    access_lifetime: int | Mapping[str, int] = 3600
    refresh_lifetime: int | None = None
    code_lifetime: int = 600
    rotates_refresh_tokens: bool = True
    client_credentials_refresh: bool = False
    bearer_with_refresh: bool = False
    states_scope: bool | None = None
    error_style: ErrorStyle = "rfc6749"
    bad_grant_hints: Mapping[str, str] = field(default_factory=dict)
    answer_fields: Callable[[str], dict[str, Any]] | None = None
    token_path: str = "/token"  # noqa: S105 - a path
    authorize_path: str = "/authorize"
    revoke_path: str | None = None
    publishes_metadata: bool = False
    states_issuer: bool = False
    api_path: str = "/api"
    add_api: Callable[[APIRouter, Server, State], None] | None = None
    api_error: Callable[[int, dict[str, Any]], Response] | None = None


@dataclass(frozen=True)
class _Grant:
    """What a client is given, and on whose behalf."""

    grant_type: GrantType
    scope: str
    asked: str | None
    username: str | None
    family: str = field(default_factory=new_family)


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
    bearer = _old_access_token(server, authorization, parameters)
    if bearer is not None:
        authorization = None
    caller = named_client(state, server.name, authorization, parameters, server.client_auth)
    state.count(caller, "token_requests")
    state.count(caller, "token_requests_by_grant", parameters.get("grant_type", UNKNOWN))

    async def process() -> Response:
        try:
            if refused:
                raise refused
            client = _authenticate(server, state, authorization, parameters)
            _check_old_access_token(server, state, client, bearer)
            return JSONResponse(_grant(server, state, client, parameters), headers=NO_STORE)
        except TokenError as error:
            state.count(caller, "token_errors", error.error)
            return error.response(server.error_style)

    return await misbehaving(state.next_misbehaviour(server.name, "token"), process)


def _old_access_token(server: Server, authorization: str | None, parameters: Mapping[str, str]) -> str | None:
    """Return the access token that is to be replaced, where the refresh request may carry it."""
    scheme, _, value = (authorization or "").partition(" ")
    # JustLogin: the documented refresh request has it, and the client's credentials in the body all the same.
    may_carry = server.bearer_with_refresh and parameters.get("grant_type") == "refresh_token"
    return value.strip() if may_carry and scheme.lower() == "bearer" else None


def _authenticate(server: Server, state: State, authorization: str | None, parameters: Mapping[str, str]) -> Client:
    """Return the client that asks, if it asks for a grant that there is."""
    grant_type = _required(parameters, "grant_type")
    credentials = find_credentials(authorization, parameters, server.client_auth)
    client = authenticate(state, server.name, credentials, server.client_auth)
    if grant_type not in server.grants:
        raise TokenError("unsupported_grant_type", f"This server does not support grant_type {grant_type}")
    return client


def _check_old_access_token(server: Server, state: State, client: Client, value: str | None) -> None:
    """Refuse an old access token that this client never had; that it has expired is why it is here."""
    if value is None:
        return
    token = state.token("access", server.name, value)
    if token is None or token.client_id != client.client_id:
        raise invalid_client("The bearer token was not issued to this client")
    state.count(client.client_id, "refresh_with_bearer")


def _grant(server: Server, state: State, client: Client, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the token answer this request deserves, or raise the error that it does."""
    grant_type = parameters["grant_type"]
    if grant_type == "refresh_token":
        return _refresh(server, state, client, parameters)
    if grant_type == "authorization_code":
        return _exchange_code(server, state, client, parameters)
    if grant_type == "password":
        username = _check_password(client, parameters)
        scope = _new_scope(server, client, parameters)
        grant = _Grant("password", scope, parameters.get("scope"), username)
        return _tokens(server, state, client, grant, refresh_scope=scope)
    if client.client_secret is None:
        # RFC 6749 §4.4: for confidential clients only.
        raise TokenError("unauthorized_client", "A public client cannot use client_credentials")
    scope = _new_scope(server, client, parameters)
    grant = _Grant("client_credentials", scope, parameters.get("scope"), None)
    return _tokens(server, state, client, grant, refresh_scope=scope if server.client_credentials_refresh else None)


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


def _new_scope(server: Server, client: Client, parameters: Mapping[str, str]) -> str:
    """Return the scopes asked for, as far as the client may have them."""
    wanted = parameters["scope"].split() if "scope" in parameters else client.scopes
    _check_known(server, wanted)
    scope = " ".join(scope for scope in wanted if scope in client.scopes)
    if not scope:
        raise TokenError("invalid_scope", "None of these scopes is granted to this client")
    return scope


def _check_known(server: Server, scopes: list[str]) -> None:
    unknown = [scope for scope in scopes if scope not in server.scopes]
    if unknown:
        raise TokenError("invalid_scope", f"There is no scope {unknown[0]}")


def _exchange_code(server: Server, state: State, client: Client, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Give tokens for an authorization code (RFC 6749 §4.1.3)."""
    code = _usable(server, state, client, _required(parameters, "code"), "authorization_code")
    redirect_uri = state.redirect_uri(code)
    if redirect_uri is not None and redirect_uri != parameters.get("redirect_uri"):
        raise _bad_grant(server, "authorization_code", "The code was sent to another redirect_uri")
    challenge = state.challenge(code)
    if challenge is not None and not verifies(parameters.get("code_verifier"), challenge):
        raise _bad_grant(server, "authorization_code", "The code_verifier is not that of the code_challenge")
    _check_known(server, code.scope.split())
    state.spend(code)
    grant = _Grant("authorization_code", code.scope, code.scope, code.username, code.family)
    return _tokens(server, state, client, grant, refresh_scope=code.scope)


def _refresh(server: Server, state: State, client: Client, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Renew (RFC 6749 §6): the scope may shrink but not grow, the refresh token's own scope stays."""
    token = _usable(server, state, client, _required(parameters, "refresh_token"), "refresh_token")
    scope = parameters.get("scope", token.scope)
    _check_known(server, scope.split())
    if not set(scope.split()) <= set(token.scope.split()):
        raise TokenError("invalid_scope", "The scope was not granted originally")
    # Only now: a request that is refused must not cost the token. A refresh without scope asks for the same again.
    if server.rotates_refresh_tokens:
        state.spend(token)
    grant = _Grant("refresh_token", scope, scope, token.username, token.family)
    return _tokens(server, state, client, grant, refresh_scope=token.scope if server.rotates_refresh_tokens else None)


def _usable(server: Server, state: State, client: Client, value: str, grant_type: GrantType) -> IssuedToken:
    """Return the code or refresh token; reuse of a spent one revokes its family."""
    token = state.token("code" if grant_type == "authorization_code" else "refresh", server.name, value)
    if token and token.client_id == client.client_id and not _is_dead(state, token):
        return token
    what = "code" if grant_type == "authorization_code" else "refresh token"
    raise _bad_grant(server, grant_type, f"The {what} is unknown, expired, revoked or was used before")


def _is_dead(state: State, token: IssuedToken) -> bool:
    return not (state.spend(token) if token.spent else state.is_live(token))


def _bad_grant(server: Server, grant_type: GrantType, description: str) -> TokenError:
    """Return the error for a code or refresh token that is not good: ``invalid_grant``, but not at every vendor."""
    hint = server.bad_grant_hints.get(grant_type)
    if hint is None:
        return TokenError("invalid_grant", description)
    return TokenError("invalid_request", LEAGUE_INVALID_REQUEST, hint=hint)


def _tokens(
    server: Server, state: State, client: Client, grant: _Grant, *, refresh_scope: str | None
) -> dict[str, Any]:
    """Issue the tokens and write the answer of RFC 6749 §5.1; without a scope for it there is no refresh token."""
    lifetime = client.access_lifetime
    if lifetime is None:
        by_grant = server.access_lifetime
        lifetime = by_grant[grant.grant_type] if isinstance(by_grant, Mapping) else by_grant
    whose: dict[str, Any] = {"username": grant.username, "family": grant.family}
    answer: dict[str, Any] = {
        "access_token": state.issue("access", client, scope=grant.scope, lifetime=lifetime, **whose),
        "token_type": "Bearer",
        "expires_in": lifetime,
    }
    # RFC 6749 §5.1: optional when it is what was asked for, required otherwise.
    differs = grant.asked is None or set(grant.asked.split()) != set(grant.scope.split())
    if differs if server.states_scope is None else server.states_scope:
        answer["scope"] = grant.scope
    if server.answer_fields:
        answer |= server.answer_fields(grant.family)
    if refresh_scope is not None:
        answer["refresh_token"] = state.issue(
            "refresh", client, scope=refresh_scope, lifetime=server.refresh_lifetime, **whose
        )
    return answer
