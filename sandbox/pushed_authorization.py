"""The pushed authorization request endpoint (RFC 9126)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sandbox.authorization_endpoint import pushed_key, validation_error
from sandbox.bodies import read_parameters
from sandbox.client_auth import authenticate, find_credentials, named_client
from sandbox.errors import NO_STORE, TokenError, invalid_request
from sandbox.metadata import audiences

if TYPE_CHECKING:
    from sandbox.server_config import ServerConfig
    from sandbox.state import State

#: The lifetime of a ``request_uri`` in seconds.
LIFETIME = 60


def pushed_authorization_router(server: ServerConfig, state: State) -> APIRouter:
    """Return a router with the endpoint; it is empty if the server has no such endpoint."""
    router = APIRouter(prefix=f"/{server.name}")
    if server.par_path is None:
        return router

    @router.post(server.par_path)
    async def push(request: Request) -> Response:
        try:
            return JSONResponse(await _push(server, state, request), 201, NO_STORE)
        except TokenError as error:
            return error.response(server.error_style)

    return router


async def _push(server: ServerConfig, state: State, request: Request) -> dict[str, Any]:
    """Store the parameters of an authorization request (§2.1), and return the response (§2.2)."""
    authorization = request.headers.get("authorization")
    parameters = await read_parameters(request, "form")
    client_id = named_client(state, server.name, authorization, parameters, server.client_auth)
    state.count(client_id, "pushed_requests")
    credentials = find_credentials(authorization, parameters, server.client_auth)
    authenticate(state, server.name, credentials, server.client_auth, audiences(server, request))
    for name in ("client_secret", "client_assertion", "client_assertion_type"):
        parameters.pop(name, None)
    if "request_uri" in parameters:
        raise invalid_request("Parameter request_uri must not be pushed")
    error = validation_error(server, state, parameters)
    if error is not None:
        code = error.get("error", "invalid_request")
        raise TokenError(code, error.get("error_description", "The parameters cannot be used"))
    request_uri = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(16)}"
    state.put(pushed_key(server, request_uri), parameters, LIFETIME)
    return {"request_uri": request_uri, "expires_in": LIFETIME}
