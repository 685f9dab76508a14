"""The revocation endpoint (RFC 7009). It accepts a form, whatever body format the token endpoint accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response

from sandbox.bodies import read_parameters
from sandbox.client_auth import authenticate, find_credentials, named_client
from sandbox.errors import NO_STORE, TokenError, invalid_request
from sandbox.faults import with_fault
from sandbox.metadata import audiences

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sandbox.server_config import ServerConfig
    from sandbox.state import State


def revocation_router(server: ServerConfig, state: State) -> APIRouter:
    """Return a router with the server's revocation endpoint; it is empty if the server has no such endpoint."""
    router = APIRouter(prefix=f"/{server.name}")
    if server.revoke_path is None:
        return router

    @router.post(server.revoke_path)
    async def revoke(request: Request) -> Response:
        authorization = request.headers.get("authorization")
        parameters: dict[str, str] = {}
        body_error: TokenError | None = None
        try:
            parameters = await read_parameters(request, "form")
        except TokenError as error:
            body_error = error
        client_id = named_client(state, server.name, authorization, parameters, server.client_auth)
        state.count(client_id, "revocation_requests")

        async def process() -> Response:
            try:
                if body_error:
                    raise body_error
                _revoke(server, state, authorization, parameters, audiences(server, request))
            except TokenError as error:
                return error.response(server.error_style)
            return Response(headers=NO_STORE)

        return await with_fault(state.next_fault(server.name, "revoke"), process)

    return router


def _revoke(
    server: ServerConfig,
    state: State,
    authorization: str | None,
    parameters: Mapping[str, str],
    accepted: Collection[str],
) -> None:
    """Revoke a token of the client. An unknown token counts as revoked (§2.2)."""
    credentials = find_credentials(authorization, parameters, server.client_auth)
    client = authenticate(state, server.name, credentials, server.client_auth, accepted)
    if "token" not in parameters:
        raise invalid_request("Parameter token is missing")
    # Search both kinds: token_type_hint may be wrong (§2.1).
    value = parameters["token"]
    token = state.token("refresh", server.name, value) or state.token("access", server.name, value)
    if token is None:
        return
    if token.client_id != client.client_id:
        raise TokenError("invalid_grant", "The token was issued to another client")
    state.revoke_token(token)
