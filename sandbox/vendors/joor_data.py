"""Made-up data of JOOR's API, and the parameters of its resources."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Row = dict[str, Any]

#: How a filter compares: equal to one of several values or IDs, or not before or not after a time.
Comparison = Literal["values", "ids", "from", "until"]


@dataclass(frozen=True)
class Resource:
    """One resource of the API.

    :param path: Its path, and its name in messages.
    :param rows: The initial rows.
    :param filters: By query parameter: the comparison, and the name of the compared value.
    :param required: The required query parameters.
    :param writes: The supported write operations, each with the required values of an item.
    """

    path: str
    rows: tuple[Row, ...]
    filters: Mapping[str, tuple[Comparison, str]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    writes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _order(number: int) -> Row:
    changed = datetime(2026, 1, 1, 8, tzinfo=UTC) + timedelta(hours=12 * number)
    status = ("pending", "approved", "shipped")[number % 3]
    return {
        "id": number,
        "retailer_id": 1000 + number % 7,
        "price_type_id": 1 + number % 2,
        "collection_id": 1 + number % 8,
        "status": status,
        "export_status": "exported" if number % 2 else "not_exported",
        "date_approved": None if status == "pending" else (date(2026, 1, 1) + timedelta(days=number)).isoformat(),
        "last_modified": changed.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _named(kind: str, count: int, **more: Any) -> tuple[Row, ...]:
    return tuple({"id": number, "name": f"Made-up {kind} {number}", **more} for number in range(1, count + 1))


_BULK_UPDATE = {"bulk_update": ("id",)}
_LINES = tuple(
    {"id": 10 * order + line, "order_id": order, "sku_id": line, "quantity": line}
    for order in range(1, 231)
    for line in (1, 2)
)

RESOURCES = (
    # The vendor documents only order_ids. The other filters of orders are used by public client libraries.
    Resource(
        "orders",
        tuple(_order(number) for number in range(1, 231)),
        {
            "order_ids": ("ids", "id"),
            "status": ("values", "status"),
            "export_status": ("values", "export_status"),
            "date_approved_start": ("from", "date_approved"),
            "date_approved_end": ("until", "date_approved"),
            "last_modified": ("from", "last_modified"),
        },
        writes=_BULK_UPDATE | {"bulk_create": ("retailer_id",)},
    ),
    Resource(
        "orders/sku_line_items",
        _LINES,
        {"order_ids": ("ids", "order_id")},
        required=("order_ids",),
        writes={"bulk_update": ("id", "quantity")},
    ),
    Resource("products", _named("product", 60), writes=_BULK_UPDATE | {"bulk_create": ("name",)}),
    Resource(
        "skus",
        tuple({"id": number, "product_id": -(-number // 3), "upc": f"{number:012}"} for number in range(1, 181)),
        {"product_ids": ("ids", "product_id")},
        writes=_BULK_UPDATE | {"bulk_create": ("product_id",)},
    ),
    Resource(
        "prices",
        tuple({"id": number, "sku_id": number, "price_type_id": 1, "wholesale": "10.00"} for number in range(1, 181)),
        writes=_BULK_UPDATE | {"bulk_create": ("sku_id",)},
    ),
    Resource("collections", _named("collection", 8), writes=_BULK_UPDATE | {"bulk_create": ("name",)}),
    Resource("categories", _named("category", 12)),
    Resource("traits", _named("trait", 10)),
    Resource("seasons", _named("season", 6)),
)
