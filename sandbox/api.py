"""The protected API. It requires a valid access token in the ``Authorization`` header (RFC 6750)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.routing import APIRoute

from sandbox.faults import with_fault
from sandbox.state import UNKNOWN
from sandbox.tickets import add_tickets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sandbox.records import IssuedToken
    from sandbox.server_config import ServerConfig
    from sandbox.state import State

ITEMS = [{"id": number, "name": f"Item {number}"} for number in range(1, 251)]

_COUNTED_STATUSES = {401: "api_401", 429: "rate_limited"}


class BearerError(HTTPException):
    """A request is refused because of its token (RFC 6750 §3).

    :param error: One of ``invalid_request``, ``invalid_token``, ``insufficient_scope``; ``None`` if the request has no
        token: then the challenge has no error (§3.1).
    """

    def __init__(self, status: int, error: str | None, description: str, **attributes: str) -> None:
        fields = {"realm": "sandbox"}
        if error:
            fields |= {"error": error, "error_description": description, **attributes}
        challenge = "Bearer " + ", ".join(f'{name}="{value}"' for name, value in fields.items())
        super().__init__(status, {"error": error, "message": description}, {"WWW-Authenticate": challenge})


def api_router(server: ServerConfig, state: State) -> APIRouter:
    """Return a router with the server's API."""

    class ProtectedRoute(APIRoute):
        """Requires a valid access token, and counts the requests."""

        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
            return _protect(server, state, super().get_route_handler())

    router = APIRouter(prefix=f"/{server.name}{server.api_path}", route_class=ProtectedRoute)
    add_routes = server.add_api or _add_generic
    add_routes(router, server, state)
    return router


def _protect(
    server: ServerConfig, state: State, inner: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        value = _bearer(request)
        token = state.token("access", server.name, value) if value else None
        client_id = token.client_id if token else UNKNOWN

        async def process() -> Response:
            try:
                await _refuse_misplaced_tokens(request)
                request.state.token = _require_valid(state, value, token)
                return await inner(request)
            except (HTTPException, RequestValidationError) as error:
                return _error_response(server, error)

        state.count(client_id, "api_calls")
        response = await with_fault(state.next_fault(server.name, "api"), process)
        if counted := _COUNTED_STATUSES.get(response.status_code):
            state.count(client_id, counted)
        return response

    return handle


def _error_response(server: ServerConfig, error: HTTPException | RequestValidationError) -> Response:
    """Return the error in the format of the server's API. At vendors, a 422 of FastAPI becomes a 400."""
    if isinstance(error, RequestValidationError):
        if server.api_error is None:
            raise error
        first = error.errors()[0]
        error = HTTPException(400, {"error": "invalid_request", "message": f"{first['loc'][-1]}: {first['msg']}"})
    create_response = server.api_error or _generic_error
    detail: Any = error.detail
    response = create_response(error.status_code, detail)
    response.headers.update(error.headers or {})
    return response


def _generic_error(status: int, detail: dict[str, Any]) -> Response:
    return JSONResponse(detail, status)


def _bearer(request: Request) -> str | None:
    """Return the token in the ``Authorization`` header (RFC 6750 §2.1)."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


async def _refuse_misplaced_tokens(request: Request) -> None:
    """Refuse a token in the query or in the body (optional in RFC 6750 §2.2 and §2.3; RFC 9700 forbids the query)."""
    if "access_token" in request.query_params or "access_token" in await _body_fields(request):
        raise BearerError(400, "invalid_request", "The token goes in the Authorization header only")


def _require_valid(state: State, value: str | None, token: IssuedToken | None) -> IssuedToken:
    if value is None:
        raise BearerError(401, None, "A bearer token is required")
    if token is None or not state.is_valid(token):
        raise BearerError(401, "invalid_token", "The access token is unknown, expired or revoked")
    return token


def _require_scope(request: Request, scope: str) -> None:
    if scope not in request.state.token.scope.split():
        raise BearerError(403, "insufficient_scope", f"Scope {scope} is required", scope=scope)


async def _body_fields(request: Request) -> dict[str, Any]:
    """Return the members of a JSON object or the fields of a form; an empty dict for any other body."""
    body = await request.body()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if media_type == "application/json":
            parsed = json.loads(body)
            return parsed if isinstance(parsed, dict) else {}
        if media_type == "application/x-www-form-urlencoded":
            return dict(parse_qsl(body.decode(), keep_blank_values=True))
    except ValueError:
        raise HTTPException(400, {"message": "The body cannot be read"}) from None
    return {}


def _add_generic(router: APIRouter, server: ServerConfig, state: State) -> None:
    """Add the API of the servers that represent no vendor."""
    _add_items(router, state)
    add_tickets(router, state)
    add_probes(router, server, state)


def _add_items(router: APIRouter, state: State) -> None:
    @router.get("/items")
    async def list_items(
        request: Request,
        page: Annotated[int, Query(ge=1)] = 1,
        limit: Annotated[int, Query(ge=1, le=250)] = 50,
    ) -> dict[str, Any]:
        rows = ITEMS[(page - 1) * limit : page * limit]
        state.count(request.state.token.client_id, "rows", n=len(rows))
        return {"data": rows, "page": page, "pages": -(-len(ITEMS) // limit), "total": len(ITEMS)}

    @router.post("/items/search")
    async def search_items(request: Request) -> dict[str, Any]:
        page = search(ITEMS, await _body_fields(request))
        state.count(request.state.token.client_id, "rows", n=len(page["results"]))
        return page

    @router.get("/items/{number}")
    async def get_item(number: int) -> dict[str, Any]:
        if not 1 <= number <= len(ITEMS):
            raise HTTPException(404, {"message": f"There is no item {number}"})
        return ITEMS[number - 1]

    @router.post("/items", status_code=201)
    async def add_item(request: Request) -> dict[str, Any]:
        _require_scope(request, "write")
        return await _body_fields(request)


def search(rows: list[dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
    """Return a page of rows for the body of a search: ``min_id``, ``limit`` and, after the first page, ``cursor``."""
    limit, first = body.get("limit", 50), body.get("min_id", 1)
    cursor = body.get("cursor", "after-0")
    if not (
        type(limit) is int and 1 <= limit <= 100 and type(first) is int and re.fullmatch(r"after-\d+", str(cursor))
    ):
        raise HTTPException(400, {"message": "min_id, limit or cursor is invalid"})
    found = [row for row in rows if row["id"] >= first]
    rest = [row for row in found if row["id"] > int(cursor.removeprefix("after-"))]
    page = [{**row, "email": f"{row['id']}@example.com"} for row in rest[:limit]]
    following = f"after-{page[-1]['id']}" if len(rest) > limit else None
    return {"results": page, "total": len(found), "next_cursor": following}


def add_probes(router: APIRouter, server: ServerConfig, state: State) -> None:
    """Add endpoints for tests: ready/{key}, jobs/{key}, admin, redirect and whoami."""

    @router.get("/ready/{key}")
    async def ready(key: str, after: Annotated[int, Query(ge=0)] = 2) -> dict[str, bool]:
        if state.count_poll(server.name, key) <= after:
            raise HTTPException(404, {"message": f"{key} is not ready yet"})
        return {"ready": True}

    @router.get("/jobs/{key}")
    async def job(key: str, after: Annotated[int, Query(ge=0)] = 2) -> dict[str, str]:
        return {"status": "done" if state.count_poll(server.name, f"jobs/{key}") > after else "running"}

    @router.get("/admin")
    async def admin(request: Request) -> dict[str, bool]:
        _require_scope(request, "admin")

        return {"admin": True}

    @router.get("/redirect")
    async def redirect(to: str, status: Annotated[int, Query(ge=301, le=308)] = 302) -> Response:
        return RedirectResponse(to, status)

    @router.get("/whoami")
    async def whoami(request: Request) -> dict[str, Any]:
        token: IssuedToken = request.state.token
        headers = {name: value for name, value in request.headers.items() if name != "authorization"}
        return {
            "client_id": token.client_id,
            "username": token.username,
            "scope": token.scope,
            "headers": headers,
            "query": dict(request.query_params),
        }
