"""Authorization server metadata (RFC 8414), at the path of OpenID Connect Discovery §4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request

if TYPE_CHECKING:
    from sandbox.server_config import ServerConfig


def issuer(server: ServerConfig, request: Request) -> str:
    """Return the URL that identifies the server (RFC 8414 §2)."""
    return f"{str(request.base_url).rstrip('/')}/{server.name}"


def audiences(server: ServerConfig, request: Request) -> tuple[str, str]:
    """Return the audiences that the server accepts in a client's JWT (RFC 7523 §3): its issuer and token endpoint."""
    return issuer(server, request), issuer(server, request) + server.token_path


def metadata_router(server: ServerConfig) -> APIRouter:
    """Return a router with the server's metadata; it is empty if the server publishes none."""
    router = APIRouter(prefix=f"/{server.name}")
    if not server.publishes_metadata:
        return router

    @router.get("/.well-known/openid-configuration")
    async def metadata(request: Request) -> dict[str, Any]:
        url = issuer(server, request)
        # "raw" is not a registered method name.
        methods = dict.fromkeys(method.removesuffix("_raw") for method in server.client_auth)
        document: dict[str, Any] = {
            "issuer": url,
            "token_endpoint": url + server.token_path,
            "grant_types_supported": list(server.grants),
            "scopes_supported": list(server.scopes),
            "token_endpoint_auth_methods_supported": list(methods),
        }
        if "authorization_code" in server.grants:
            document["authorization_endpoint"] = url + server.authorize_path
            document["response_types_supported"] = ["code"]
            document["code_challenge_methods_supported"] = ["S256"]
        if server.par_path is not None:
            document["pushed_authorization_request_endpoint"] = url + server.par_path
            document["require_pushed_authorization_requests"] = server.requires_par
        if server.device_path is not None:
            document["device_authorization_endpoint"] = url + server.device_path
        if server.revoke_path is not None:
            document["revocation_endpoint"] = url + server.revoke_path
        if server.sends_issuer:
            document["authorization_response_iss_parameter_supported"] = True
        return document

    return router
