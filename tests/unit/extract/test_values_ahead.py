"""Which pages after the next one are requested ahead: pages whose parameters can be computed."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_oauth.extract.page import Page
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderJsonPaginator,
    HeaderLinkPaginator,
    JsonLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.paginator_options import PaginatorOptions


def page(count: int, headers: dict[str, str] | None = None, **members: Any) -> Page:
    """Return the first page of a list."""
    response = requests.Response()
    response.status_code, response.url = 200, "https://api.example.com/items"
    response._content = json.dumps({"items": [{"id": n} for n in range(count)], **members}).encode()
    response.headers.update(headers or {})
    return Page(response)


def ahead(paginator: PaginatorOptions, first: Page, value: int) -> list[int]:
    """Return up to 4 values, where ``value`` is that of the next page."""
    params = {**paginator.first_params, getattr(paginator, "param", ""): value}
    return list(islice(paginator.values_ahead(first, params), 4))


@pytest.mark.parametrize(
    ("paginator", "members", "values"),
    [
        (PageNumberPaginator(), {}, [3, 4, 5, 6]),
        (PageNumberPaginator(start=0), {}, [3, 4, 5, 6]),
        (PageNumberPaginator(last="pages"), {"pages": 4}, [3, 4]),
        (PageNumberPaginator(last="pages"), {"pages": 2}, []),
        (PageNumberPaginator(last="pages", start=0), {"pages": 4}, [3]),
        (PageNumberPaginator(last="pages"), {"pages": None}, [3, 4, 5, 6]),
        (PageNumberPaginator(total="total"), {"total": 30}, [3]),
        (PageNumberPaginator(total="total"), {"total": 31}, [3, 4]),
        (PageNumberPaginator(total="total"), {"total": 20}, []),
    ],
)
def test_page_numbers_end_at_the_last_page_if_it_is_known(
    paginator: PageNumberPaginator, members: dict[str, Any], values: list[int]
) -> None:
    assert ahead(paginator, page(10, **members), 2) == values


@pytest.mark.parametrize(
    ("paginator", "members", "values"),
    [
        (OffsetPaginator(), {}, [20, 30, 40, 50]),
        (OffsetPaginator(total="total"), {"total": 30}, [20]),
        (OffsetPaginator(total="total"), {"total": 31}, [20, 30]),
        (OffsetPaginator(total="total"), {"total": 20}, []),
    ],
)
def test_offsets_differ_by_the_number_of_rows_that_the_page_has(
    paginator: OffsetPaginator, members: dict[str, Any], values: list[int]
) -> None:
    """A server may return fewer rows than requested, here 10 instead of 100."""
    assert ahead(paginator, page(10, **members), 10) == values


def test_offsets_can_start_at_1() -> None:
    paginator = OffsetPaginator(total="total", start=1)
    assert ahead(paginator, page(10, total=20), 11) == []
    assert ahead(paginator, page(10, total=21), 11) == [21]


def test_no_offset_is_computed_from_a_page_without_rows() -> None:
    assert ahead(OffsetPaginator(), page(0), 10) == []


@pytest.mark.parametrize(
    ("paginator", "header", "values"),
    [
        (HeaderJsonPaginator(), '{"CurrentPage": 1, "HasNext": true}', [3, 4, 5, 6]),
        (HeaderJsonPaginator(last="TotalPages"), '{"CurrentPage": 1, "TotalPages": 4}', [3, 4]),
        (HeaderJsonPaginator(last="TotalPages"), '{"CurrentPage": 1}', []),
        (HeaderJsonPaginator(last="TotalPages"), "not JSON", []),
    ],
)
def test_page_numbers_of_a_header_end_at_its_last_page(
    paginator: HeaderJsonPaginator, header: str, values: list[int]
) -> None:
    assert ahead(paginator, page(10, {"x-pagination": header}), 2) == values


@pytest.mark.parametrize("paginator", [CursorPaginator(), JsonLinkPaginator(), HeaderLinkPaginator()])
def test_no_page_is_computed_if_the_api_names_the_next_one(paginator: PaginatorOptions) -> None:
    assert ahead(paginator, page(10), 2) == []
