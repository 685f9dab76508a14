"""A list whose rows change: every minute, another ticket is updated."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import AwareDatetime  # noqa: TC002 - FastAPI reads the annotations

if TYPE_CHECKING:
    from fastapi import APIRouter

    from sandbox.state import State

COUNT = 250
MINUTE = 60


def tickets(now: float) -> list[dict[str, Any]]:
    """Return all tickets by ID.

    Each ticket is updated once in 250 minutes. The ticket that was updated last depends only on the time.

    :param now: seconds since the epoch
    """
    minute = int(now // MINUTE)
    found = []
    for number in range(1, COUNT + 1):
        updated = datetime.fromtimestamp((minute - (minute - number) % COUNT) * MINUTE, UTC)
        found.append({"id": number, "title": f"Ticket {number}", "updated_at": f"{updated:%Y-%m-%dT%H:%M:%SZ}"})
    return found


def add_tickets(router: APIRouter, state: State) -> None:
    """Add the endpoint tickets, with a filter by the time of the last update."""

    @router.get("/tickets")
    async def list_tickets(
        request: Request,
        updated_since: AwareDatetime | None = None,
        sort: Literal["id", "-updated_at"] = "id",
        page: Annotated[int, Query(ge=1)] = 1,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
    ) -> dict[str, Any]:
        rows = tickets(state.clock())
        if updated_since is not None:
            rows = [row for row in rows if datetime.fromisoformat(row["updated_at"]) >= updated_since]
        if sort == "-updated_at":
            rows.sort(key=lambda row: row["updated_at"], reverse=True)
        shown = rows[(page - 1) * limit : page * limit]
        state.count(request.state.token.client_id, "rows", n=len(shown))
        return {"data": shown, "page": page, "pages": -(-len(rows) // limit), "total": len(rows)}
