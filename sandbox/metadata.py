"""What a server says of itself (RFC 8414, at the path of OpenID Connect Discovery §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request

from sandbox.consent import issuer

if TYPE_CHECKING:
    from sandbox.authorization import Server


def metadata_router(server: Server) -> APIRouter:
    """Return the server's metadata, to be mounted; nothing if it publishes none."""
    router = APIRouter(prefix=f"/{server.name}")
    if not server.publishes_metadata:
        return router

    @router.get("/.well-known/openid-configuration")
    async def metadata(request: Request) -> dict[str, Any]:
        url = issuer(server, request)
        # "raw" is our own distinction.
        methods = dict.fromkeys(method.removesuffix("_raw") for method in server.client_auth)
        said: dict[str, Any] = {
            "issuer": url,
            "token_endpoint": url + server.token_path,
            "grant_types_supported": list(server.grants),
            "scopes_supported": list(server.scopes),
            "token_endpoint_auth_methods_supported": list(methods),
        }
        if "authorization_code" in server.grants:
            said["authorization_endpoint"] = url + server.authorize_path
            said["response_types_supported"] = ["code"]
            said["code_challenge_methods_supported"] = ["S256"]
        if server.revoke_path is not None:
            said["revocation_endpoint"] = url + server.revoke_path
        if server.states_issuer:
            said["authorization_response_iss_parameter_supported"] = True
        return said

    return router
