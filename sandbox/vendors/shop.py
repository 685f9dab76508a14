"""A server like ``standard``, with the fictional API of README and docs: customers, orders, tickets and exports."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import HTTPException, Query, Request

from sandbox.api import add_probes, search
from sandbox.tickets import add_tickets
from sandbox.vendors.standard import SERVER as STANDARD

if TYPE_CHECKING:
    from fastapi import APIRouter

    from sandbox.server_config import ServerConfig
    from sandbox.state import State

CUSTOMERS = [{"id": number, "name": f"Customer {number}"} for number in range(1, 251)]
#: Polls after which an export is done.
POLLS = 2
#: The query parameters ``page`` and ``limit``.
Page = Annotated[int, Query(ge=1)]
Limit = Annotated[int, Query(ge=1, le=250)]


def _page(rows: list[dict[str, Any]], page: int, limit: int) -> dict[str, Any]:
    shown = rows[(page - 1) * limit : page * limit]
    return {"data": shown, "page": page, "pages": -(-len(rows) // limit), "total": len(rows)}


def _add_routes(router: APIRouter, server: ServerConfig, state: State) -> None:
    _add_lists(router)
    add_tickets(router, state)
    _add_exports(router, server, state)
    add_probes(router, server, state)


def _add_lists(router: APIRouter) -> None:
    @router.get("/customers")
    async def customers(page: Page = 1, limit: Limit = 50, after: int = 0) -> dict[str, Any]:
        return _page([row for row in CUSTOMERS if row["id"] > after], page, limit)

    @router.post("/customers", status_code=201)
    async def create(request: Request) -> dict[str, Any]:
        return {"id": 251, **(await request.json())}

    @router.post("/customers/search")
    async def search_customers(request: Request) -> dict[str, Any]:
        return search(CUSTOMERS, await request.json())

    @router.get("/customers/{number}")
    async def customer(number: int) -> dict[str, Any]:
        if not 1 <= number <= len(CUSTOMERS):
            raise HTTPException(404, {"message": f"There is no customer {number}"})
        return CUSTOMERS[number - 1]

    @router.get("/customers/{number}/orders")
    async def orders_of(number: int) -> dict[str, Any]:
        return _page([{"id": 100 * number + each, "customer": number} for each in (1, 2)], 1, 50)

    @router.get("/orders")
    async def orders(updated_from: datetime, updated_to: datetime, page: Page = 1, limit: Limit = 50) -> dict[str, Any]:
        if updated_to - updated_from != timedelta(days=1):
            raise HTTPException(400, {"message": "updated_from and updated_to must be one day apart"})
        return _page([{"id": 101}, {"id": 102}], page, limit)


def _add_exports(router: APIRouter, server: ServerConfig, state: State) -> None:
    @router.post("/exports", status_code=202)
    async def export() -> dict[str, str]:
        return {"id": "e1", "status": "running"}

    @router.get("/exports/{name}")
    async def status(name: str) -> dict[str, str]:
        return {"id": name, "status": "done" if state.count_poll(server.name, name) > POLLS else "running"}

    @router.get("/exports/{name}/file")
    async def file(name: str) -> dict[str, str]:
        if state.count_poll(server.name, f"{name}/file") <= POLLS:
            raise HTTPException(404, {"message": f"{name} is not ready yet"})
        return {"file": name}


SERVER = replace(STANDARD, name="shop", add_api=_add_routes)
