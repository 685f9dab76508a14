"""The revocation endpoint (RFC 7009): a form, whatever the token endpoint takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response

from sandbox.bodies import read_parameters
from sandbox.client_auth import authenticate, find_credentials, named_client
from sandbox.control import misbehaving
from sandbox.errors import NO_STORE, TokenError, invalid_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.authorization import Server
    from sandbox.state import State


def revocation_router(server: Server, state: State) -> APIRouter:
    """Return the server's revocation endpoint, to be mounted; nothing if it has none."""
    router = APIRouter(prefix=f"/{server.name}")
    if server.revoke_path is None:
        return router

    @router.post(server.revoke_path)
    async def revoke(request: Request) -> Response:
        authorization = request.headers.get("authorization")
        parameters: dict[str, str] = {}
        refused: TokenError | None = None
        try:
            parameters = await read_parameters(request, "form")
        except TokenError as error:
            refused = error
        caller = named_client(state, server.name, authorization, parameters, server.client_auth)
        state.count(caller, "revocation_requests")

        async def process() -> Response:
            try:
                if refused:
                    raise refused
                _revoke(server, state, authorization, parameters)
            except TokenError as error:
                return error.response(server.error_style)
            return Response(headers=NO_STORE)

        return await misbehaving(state.next_misbehaviour(server.name, "revoke"), process)

    return router


def _revoke(server: Server, state: State, authorization: str | None, parameters: Mapping[str, str]) -> None:
    """Revoke the client's own token; one that nobody knows is revoked already (§2.2)."""
    credentials = find_credentials(authorization, parameters, server.client_auth)
    client = authenticate(state, server.name, credentials, server.client_auth)
    if "token" not in parameters:
        raise invalid_request("Parameter token is missing")
    # Both are looked for, whatever token_type_hint says: it may be wrong (§2.1).
    value = parameters["token"]
    token = state.token("refresh", server.name, value) or state.token("access", server.name, value)
    if token is None:
        return
    if token.client_id != client.client_id:
        raise TokenError("invalid_grant", "The token was issued to another client")
    state.revoke_token(token)
