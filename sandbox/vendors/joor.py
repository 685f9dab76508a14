"""JOOR (wholesale fashion): multipart token requests, and an account with a budget of credits in every call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from sandbox.vendors.joor_data import RESOURCES
from sandbox.vendors.multipart import password_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sandbox.server_config import ServerConfig
    from sandbox.state import State
    from sandbox.vendors.joor_data import Comparison, Resource, Row

CREDITS = 300
CREDIT_WINDOW = 300.0
_PRICE_OF_READ = 1
#: Independent of the size of the body; this is why the API has bulk writes.
_PRICE_OF_WRITE = 5
_MAX_PAGE_SIZE = 200


def _refused(status: int, message: str, **details: Any) -> HTTPException:
    return HTTPException(status, {"message": message, "details": details})


def _api_error(status: int, detail: dict[str, Any]) -> Response:
    """Return an error in the envelope that every response has."""
    entry = {"status": status, "message": detail["message"], "details": detail.get("details", {})}
    return JSONResponse({"data": [], "errors": [entry]}, status)


def _add_api(router: APIRouter, server: ServerConfig, state: State) -> None:
    async def charge(request: Request) -> None:
        """Charge the call to the account, or refuse it if the account has too few credits."""
        price = _PRICE_OF_READ if request.method == "GET" else _PRICE_OF_WRITE
        client = state.client(server.name, request.state.token.client_id)
        limit = CREDITS if client is None or client.credits is None else client.credits
        window = CREDIT_WINDOW if client is None or client.credit_window is None else client.credit_window
        if not state.charge(server.name, _account(request), price, limit=limit, window=window):
            # The vendor documents no Retry-After.
            raise _refused(429, "Too many requests")

    router.dependencies.append(Depends(charge))
    for resource in RESOURCES:
        router.get(f"/{resource.path}")(_reader(resource, state))
        for write, required in resource.writes.items():
            router.post(f"/{resource.path}/{write}")(_writer(resource, write, required, state))


def _account(request: Request) -> str:
    """Return the account, which every call must have.

    :raises HTTPException: 400, when it is missing or not a number
    """
    account = request.query_params.get("account", "")
    if not account:
        raise _refused(400, "account is required", parameter="account")
    if not _is_number(account):
        raise _refused(400, "account must be a number", parameter="account")
    return account


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _rows(resource: Resource, account: str, state: State) -> dict[int, Row]:
    """Return the rows of this account by ID: the rows that all accounts have, and the rows that it wrote."""
    return {row["id"]: row for row in resource.rows} | state.written(_collection(resource, account))


def _collection(resource: Resource, account: str) -> str:
    return f"joor/{account}/{resource.path}"


# --- reading


def _reader(resource: Resource, state: State) -> Callable[[Request], Awaitable[dict[str, Any]]]:
    async def read(request: Request) -> dict[str, Any]:
        missing = [name for name in resource.required if not request.query_params.get(name)]
        if missing:
            raise _refused(400, f"{missing[0]} is required", parameter=missing[0])
        rows = list(_rows(resource, _account(request), state).values())
        for name, (comparison, member) in resource.filters.items():
            if text := request.query_params.get(name):
                rows = _filtered(rows, name, comparison, member, text)
        page, size = _number(request, "page", 1), _number(request, "page_size", 50, _MAX_PAGE_SIZE)
        rows = _sorted(rows, request)[(page - 1) * size : page * size]
        state.count(request.state.token.client_id, "rows", n=len(rows))
        # The vendor documents no page count.
        return {"data": rows, "errors": []}

    return read


def _filtered(rows: list[Row], name: str, comparison: Comparison, member: str, text: str) -> list[Row]:
    if comparison in ("values", "ids"):
        values = set(text.split(","))
        if comparison == "ids" and not all(map(_is_number, values)):
            raise _refused(400, f"{name} must be numbers, separated by commas", parameter=name)
        return [row for row in rows if str(row.get(member)) in values]
    limit = _time(name, text)
    with_time = [(row, _time(member, row[member])) for row in rows if row.get(member)]
    if comparison == "from":
        return [row for row, time in with_time if time >= limit]
    return [row for row, time in with_time if time <= limit]


def _time(name: str, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise _refused(400, f"{name} must be a date or time of ISO 8601", parameter=name) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _sorted(rows: list[Row], request: Request) -> list[Row]:
    by = request.query_params.get("sort_by", "id")
    order = request.query_params.get("sort_order", "asc")
    if order not in ("asc", "desc") or (rows and by not in rows[0]):
        raise _refused(400, "The rows cannot be sorted like that", sort_by=by, sort_order=order)
    return sorted(rows, key=lambda row: (_rank(row.get(by)), row["id"]), reverse=order == "desc")


def _rank(value: Any) -> tuple[int, float, str]:
    """Return the sort key of a value: numbers first, then text, then everything else (e.g. null)."""
    if isinstance(value, int | float):
        return 0, value, ""
    return (1, 0, value) if isinstance(value, str) else (2, 0, "")


def _number(request: Request, name: str, default: int, maximum: int | None = None) -> int:
    text = request.query_params.get(name, str(default))
    if not _is_number(text) or int(text) < 1 or (maximum is not None and int(text) > maximum):
        raise _refused(400, f"{name} must be a number from 1" + (f" to {maximum}" if maximum else ""), parameter=name)
    return int(text)


# --- writing


def _writer(
    resource: Resource, write: str, required: tuple[str, ...], state: State
) -> Callable[[Request], Awaitable[dict[str, Any]]]:
    async def bulk(request: Request) -> dict[str, Any]:
        """Write the valid items. Invalid items are a partial failure, with status 200."""
        account, items = _account(request), await _items(request)
        rows = _rows(resource, account, state)
        data: list[Row] = []
        errors: list[dict[str, Any]] = []
        for index, item in enumerate(items):
            message = _validation_error(item, required, rows)
            if message:
                details = {"index": index} | ({"id": item["id"]} if "id" in item else {})
                errors.append({"status": 422, "message": message, "details": details})
                continue
            number = item["id"] if write == "bulk_update" else max(rows) + 1
            changed = {name: value for name, value in item.items() if name != "reject"} | {"id": number}
            if resource.path == "orders":
                changed["last_modified"] = datetime.fromtimestamp(state.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            rows[number] = rows.get(number, {}) | changed
            state.write(_collection(resource, account), rows[number])
            data.append(rows[number])
        state.count(request.state.token.client_id, "rows_written", n=len(data))
        return {"data": data, "errors": errors}

    return bulk


async def _items(request: Request) -> list[Row]:
    """Return the objects in the body.

    :raises HTTPException: 400, when the body is not a JSON array of objects
    """
    try:
        items = await request.json()
    except ValueError:
        items = None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _refused(400, "The body must be a JSON array of objects")
    return items


def _validation_error(item: Row, required: tuple[str, ...], rows: dict[int, Row]) -> str | None:
    """Return why an item is invalid; ``None`` if it is valid."""
    if item.get("reject"):
        # Exists only in the sandbox: tests use it to cause a partial failure.
        return "The item is to be rejected"
    missing = [name for name in required if item.get(name) is None]
    if missing:
        return f"{missing[0]} is required"
    if "id" in required and (type(item["id"]) is not int or item["id"] not in rows):
        return "There is nothing with this id"

    return None


SERVER = password_server(
    "joor",
    ("email", "profile"),
    token_path="/auth/",
    api_path="/v4",
    add_api=_add_api,
    api_error=_api_error,
)
