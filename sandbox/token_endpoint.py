"""The token endpoint (RFC 6749 §3.2). All servers share it; :class:`ServerConfig` has their differences."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sandbox.bodies import read_parameters
from sandbox.client_auth import authenticate, find_credentials, invalid_client, named_client
from sandbox.device_endpoint import device_code_key
from sandbox.errors import LEAGUE_INVALID_REQUEST, NO_STORE, TokenError, invalid_request
from sandbox.faults import with_fault
from sandbox.id_token import id_token
from sandbox.metadata import audiences, issuer
from sandbox.pkce import matches_challenge
from sandbox.state import UNKNOWN, new_family

if TYPE_CHECKING:
    from sandbox.records import Client, IssuedToken
    from sandbox.server_config import GrantType, ServerConfig
    from sandbox.state import State


DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True)
class _Grant:
    """A grant that the client has proven: its type, its scope and its user."""

    grant_type: GrantType
    scope: str
    requested_scope: str | None
    username: str | None
    family: str = field(default_factory=new_family)


def token_router(server: ServerConfig, state: State) -> APIRouter:
    """Return a router with the server's token endpoint, which accepts only POST."""
    router = APIRouter(prefix=f"/{server.name}")

    @router.post(server.token_path)
    async def token(request: Request) -> Response:
        return await _respond(server, state, request)

    return router


async def _respond(server: ServerConfig, state: State, request: Request) -> Response:
    """Read and count the request, then process it or apply an injected fault."""
    parameters: dict[str, str] = {}
    body_error: TokenError | None = None
    try:
        parameters = await read_parameters(request, server.body_format)
    except TokenError as error:
        body_error = error
    authorization = request.headers.get("authorization")
    bearer = _old_access_token(server, authorization, parameters)
    if bearer is not None:
        authorization = None
    client_id = named_client(state, server.name, authorization, parameters, server.client_auth)
    state.count(client_id, "token_requests")
    state.count(client_id, "token_requests_by_grant", parameters.get("grant_type", UNKNOWN))

    async def process() -> Response:
        try:
            if body_error:
                raise body_error
            client = _authenticate(server, state, authorization, parameters, audiences(server, request))
            _check_old_access_token(server, state, client, bearer)
            return JSONResponse(_grant(server, state, client, parameters, issuer(server, request)), headers=NO_STORE)
        except TokenError as error:
            state.count(client_id, "token_errors", error.error)
            return error.response(server.error_style)

    return await with_fault(state.next_fault(server.name, "token"), process)


def _old_access_token(server: ServerConfig, authorization: str | None, parameters: Mapping[str, str]) -> str | None:
    """Return the old access token that a refresh request carries, at servers that allow this."""
    scheme, _, value = (authorization or "").partition(" ")
    # JustLogin's documented refresh request has it, in addition to the client's credentials in the body.
    allowed = server.bearer_with_refresh and parameters.get("grant_type") == "refresh_token"
    return value.strip() if allowed and scheme.lower() == "bearer" else None


def _authenticate(
    server: ServerConfig,
    state: State,
    authorization: str | None,
    parameters: Mapping[str, str],
    accepted: Collection[str],
) -> Client:
    """Return the authenticated client, if the server supports the requested grant type."""
    grant_type = _required(parameters, "grant_type")
    credentials = find_credentials(authorization, parameters, server.client_auth)
    client = authenticate(state, server.name, credentials, server.client_auth, accepted)
    if grant_type not in server.grants:
        raise TokenError("unsupported_grant_type", f"This server does not support grant_type {grant_type}")
    return client


def _check_old_access_token(server: ServerConfig, state: State, client: Client, value: str | None) -> None:
    """Refuse an old access token that was not issued to this client. The token may have expired."""
    if value is None:
        return
    token = state.token("access", server.name, value)
    if token is None or token.client_id != client.client_id:
        raise invalid_client("The bearer token was not issued to this client")
    state.count(client.client_id, "refresh_with_bearer")


def _grant(
    server: ServerConfig, state: State, client: Client, parameters: Mapping[str, str], issuer_url: str
) -> dict[str, Any]:
    """Return the token response.

    :param issuer_url: The issuer of the server.
    :raises TokenError: when the request is refused
    """
    grant_type = parameters["grant_type"]
    if grant_type == "refresh_token":
        return _refresh(server, state, client, parameters)
    if grant_type == "authorization_code":
        return _exchange_code(server, state, client, parameters, issuer_url)
    if grant_type == DEVICE_CODE:
        return _device(server, state, client, parameters, issuer_url)
    if grant_type == "password":
        username = _check_password(client, parameters)
        scope = _new_scope(server, client, parameters)
        grant = _Grant("password", scope, parameters.get("scope"), username)
        return _tokens(server, state, client, grant, refresh_scope=scope)
    if client.is_public:
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


def _new_scope(server: ServerConfig, client: Client, parameters: Mapping[str, str]) -> str:
    """Return those of the requested scopes that the client is registered for."""
    requested = parameters["scope"].split() if "scope" in parameters else client.scopes
    _check_known(server, requested)
    scope = " ".join(scope for scope in requested if scope in client.scopes)
    if not scope:
        raise TokenError("invalid_scope", "None of these scopes is granted to this client")
    return scope


def _check_known(server: ServerConfig, scopes: list[str]) -> None:
    unknown = [scope for scope in scopes if scope not in server.scopes]
    if unknown:
        raise TokenError("invalid_scope", f"There is no scope {unknown[0]}")


def _exchange_code(
    server: ServerConfig, state: State, client: Client, parameters: Mapping[str, str], issuer_url: str
) -> dict[str, Any]:
    """Exchange an authorization code for tokens (RFC 6749 §4.1.3)."""
    code = _find_unused(server, state, client, _required(parameters, "code"), "authorization_code")
    redirect_uri = state.redirect_uri(code)
    if redirect_uri is not None and redirect_uri != parameters.get("redirect_uri"):
        raise _invalid_grant(server, "authorization_code", "The code was sent to another redirect_uri")
    challenge = state.challenge(code)
    if challenge is not None and not matches_challenge(parameters.get("code_verifier"), challenge):
        raise _invalid_grant(server, "authorization_code", "The code_verifier is not that of the code_challenge")
    _check_known(server, code.scope.split())
    state.use_once(code)
    grant = _Grant("authorization_code", code.scope, code.scope, code.username, code.family)
    response = _tokens(server, state, client, grant, refresh_scope=code.scope)
    return response | _id_token(server, state, client, grant, state.nonce(code), issuer_url)


def _device(
    server: ServerConfig, state: State, client: Client, parameters: Mapping[str, str], issuer_url: str
) -> dict[str, Any]:
    """Return the tokens if a user has entered the code (RFC 8628 §3.5)."""
    key = device_code_key(server, _required(parameters, "device_code"))
    found = state.get(key)
    if found is None or found["client_id"] != client.client_id:
        raise TokenError("expired_token", "The device code is unknown, has expired or was used before")
    if "allowed" not in found:
        raise TokenError("authorization_pending", "No user has entered the code yet")
    state.delete(key)
    if not found["allowed"]:
        raise TokenError("access_denied", "The user denied the request")
    grant = _Grant(DEVICE_CODE, found["scope"], found["scope"], found["username"])
    response = _tokens(server, state, client, grant, refresh_scope=found["scope"])
    return response | _id_token(server, state, client, grant, None, issuer_url)


def _id_token(
    server: ServerConfig, state: State, client: Client, grant: _Grant, nonce: str | None, issuer_url: str
) -> dict[str, str]:
    """Return the member with the ID token; empty if the server issues none, or none was requested."""
    if not server.issues_id_tokens or "openid" not in grant.scope.split():
        return {}
    return {"id_token": id_token(issuer_url, client.client_id, str(grant.username), nonce, state.clock())}


def _refresh(server: ServerConfig, state: State, client: Client, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Refresh the access token (RFC 6749 §6). Its scope may be smaller; the refresh token keeps its scope."""
    token = _find_unused(server, state, client, _required(parameters, "refresh_token"), "refresh_token")
    scope = parameters.get("scope", token.scope)
    _check_known(server, scope.split())
    if not set(scope.split()) <= set(token.scope.split()):
        raise TokenError("invalid_scope", "The scope was not granted originally")
    # Mark the token as used only now: a request that is refused must not use it up.
    if server.rotates_refresh_tokens:
        state.use_once(token)
    grant = _Grant("refresh_token", scope, scope, token.username, token.family)
    return _tokens(server, state, client, grant, refresh_scope=token.scope if server.rotates_refresh_tokens else None)


def _find_unused(server: ServerConfig, state: State, client: Client, value: str, grant_type: GrantType) -> IssuedToken:
    """Return the code or refresh token. If it was used before, revoke its whole family."""
    token = state.token("code" if grant_type == "authorization_code" else "refresh", server.name, value)
    if token and token.client_id == client.client_id:
        valid = state.use_once(token) if token.used else state.is_valid(token)
        if valid:
            return token
    kind = "code" if grant_type == "authorization_code" else "refresh token"
    raise _invalid_grant(server, grant_type, f"The {kind} is unknown, expired, revoked or was used before")


def _invalid_grant(server: ServerConfig, grant_type: GrantType, description: str) -> TokenError:
    """Return the server's error for an invalid code or refresh token."""
    hint = server.invalid_grant_hints.get(grant_type)
    if hint is None:
        return TokenError("invalid_grant", description)
    return TokenError("invalid_request", LEAGUE_INVALID_REQUEST, hint=hint)


def _tokens(
    server: ServerConfig, state: State, client: Client, grant: _Grant, *, refresh_scope: str | None
) -> dict[str, Any]:
    """Issue the tokens and return the response (RFC 6749 §5.1).

    :param refresh_scope: scope of the refresh token; ``None`` for no refresh token
    """
    lifetime = client.access_lifetime
    if lifetime is None:
        by_grant = server.access_lifetime
        lifetime = by_grant[grant.grant_type] if isinstance(by_grant, Mapping) else by_grant
    owner: dict[str, Any] = {"username": grant.username, "family": grant.family}
    response: dict[str, Any] = {
        "access_token": state.issue("access", client, scope=grant.scope, lifetime=lifetime, **owner),
        "token_type": "Bearer",
        "expires_in": lifetime,
    }
    # RFC 6749 §5.1: optional if it equals the requested scope, required otherwise.
    differs = grant.requested_scope is None or set(grant.requested_scope.split()) != set(grant.scope.split())
    if differs if server.sends_scope is None else server.sends_scope:
        response["scope"] = grant.scope
    if server.extra_response_fields:
        response |= server.extra_response_fields(grant.family)
    if refresh_scope is not None:
        response["refresh_token"] = state.issue(
            "refresh", client, scope=refresh_scope, lifetime=server.refresh_lifetime, **owner
        )
    return response
