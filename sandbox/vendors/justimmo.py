"""Justimmo (real estate): errors in the league format, and an API that requires the tenant in a header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import JSONResponse

from sandbox.server_config import ServerConfig

if TYPE_CHECKING:
    from sandbox.state import State

TENANT_ID = 5678
USER_ID = 1234
REALTIES = [{"id": number, "title": f"Made-up house {number}", "price": 1000 * number} for number in range(1, 251)]

_DAY = 86400


def _denied(message: str, hint: str) -> HTTPException:
    return HTTPException(403, {"error": "access_denied", "message": message, "hint": hint})


def _check_tenant(request: Request) -> None:
    tenant = request.headers.get("x-justimmo-tenantid")
    if not tenant:
        raise HTTPException(400, {"error": "invalid_request", "message": "The header X-Justimmo-TenantId is missing"})
    if tenant != str(TENANT_ID):
        raise _denied("The resource owner or authorization server denied the request.", "Another tenant")


def _add_api(router: APIRouter, server: ServerConfig, state: State) -> None:
    @router.get("/oauth/user/current")
    async def current_user(request: Request) -> dict[str, Any]:
        if request.state.token.username is None:
            # A token of client_credentials may access only global resources and resources of the client.
            raise _denied(
                "The resource owner or authorization server denied the request.", "A user's token is required"
            )
        return {"id": USER_ID, "tenant": {"id": TENANT_ID}}

    @router.get("/v1/realties")
    async def realties(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=100)] = 100,
        offset: Annotated[int, Query(ge=0)] = 0,
        envelope: Literal["bare", "items", "data"] = "items",
    ) -> Any:
        # The vendor documents no response. These are the envelopes that a public client library accepts; the parameter
        # `envelope` exists only in the sandbox.
        _check_tenant(request)
        rows = REALTIES[offset : offset + limit]
        state.count(request.state.token.client_id, "rows", n=len(rows))
        return rows if envelope == "bare" else {envelope: rows, "pagination": {"total": len(REALTIES)}}


SERVER = ServerConfig(
    name="justimmo",
    grants=("authorization_code", "client_credentials", "refresh_token"),
    client_auth=("client_secret_post",),
    # The table in the vendor's documentation says one day; the example below it says 31 days for client_credentials.
    access_lifetime={"authorization_code": _DAY, "refresh_token": _DAY, "client_credentials": 31 * _DAY},
    refresh_lifetime=30 * _DAY,
    code_lifetime=60,
    sends_scope=False,
    error_style="league",
    invalid_grant_hints={
        "refresh_token": "Refresh token has expired",
        "authorization_code": "Authorization code has expired",
    },
    token_path="/access_token",
    api_path="",
    add_api=_add_api,
    api_error=lambda status, detail: JSONResponse(detail, status),
)
