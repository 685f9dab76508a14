"""A list that is not read from its start: the total is compared with the rows that remain, or not at all."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.extract.engine import PageReader
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderJsonPaginator,
    HeaderLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from airflow_provider_oauth.extract.request import ListRequest
from tests.unit.extract.stub_api import Api, reader, response_of

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.paginators import Paginator


def read_all(api: Api, paginator: Paginator, **request: Any) -> int:
    return sum(page.count for page in reader(api, paginator, **request))


@pytest.mark.parametrize("name", ["request_params", "data"])
@pytest.mark.parametrize(("start", "offset"), [(0, 3), (0, "3"), (1, 4)])
def test_rows_before_an_offset_of_the_caller_are_not_missing(
    name: str, start: int, offset: object, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api({"rows": [4, 5], "total": 7}, {"rows": [6, 7], "total": 7})
    pages = reader(api, OffsetPaginator(size=2, start=start, total="total"), **{name: {"offset": offset}})
    assert sum(page.count for page in pages) == 4
    assert [request.query["offset"] for request in api.requests] == [offset, int(str(offset)) + 2]
    assert (pages.list_counts.total, pages.list_counts.expected) == (7, 4)
    assert caplog.text == ""


def test_an_offset_in_the_body_counts_too(caplog: pytest.LogCaptureFixture) -> None:
    api = Api({"rows": [4, 5], "total": 5})
    paginator = OffsetPaginator(param="page.offset", size_param="page.limit", size=2, param_in="body", total="total")
    assert read_all(api, paginator, method="POST", json={"page": {"offset": 3}}) == 2
    assert caplog.text == ""


def test_rows_missing_after_an_offset_of_the_caller_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    api = Api({"rows": [4, 5], "total": 8}, {"rows": []})
    assert read_all(api, OffsetPaginator(size=2, total="total"), request_params={"offset": 3}) == 2
    assert "2 rows were read, but according to the API there are 5" in caplog.text


def test_a_status_that_ends_the_list_too_early_after_an_offset_is_an_error() -> None:
    api = Api({"rows": [4, 5], "total": 8}, ApiError("400: no", 400))
    with pytest.raises(ApiError, match="2 rows were read, but according to the API there are 5"):
        read_all(api, OffsetPaginator(size=2, total="total", stop_on=(400,)), request_params={"offset": 3})


@pytest.mark.parametrize(
    ("paginator", "params", "param"),
    [
        (PageNumberPaginator(total="total"), {"page": 3}, "page"),
        (PageNumberPaginator(total="total", start=3), {}, "page"),
        (OffsetPaginator(total="total", start=50, size=2), {}, "offset"),
        (CursorPaginator(total="total", optional=True), {"cursor": "abc"}, "cursor"),
        (HeaderLinkPaginator(total="total", optional=True), {"page": 3}, "page"),
        (HeaderLinkPaginator(total="total", optional=True), {"page[offset]": "50"}, "page[offset]"),
        (HeaderLinkPaginator(total="total", optional=True), {"cursor": "abc"}, "cursor"),
    ],
)
def test_the_total_is_not_compared_if_the_rows_before_the_first_page_are_unknown(
    paginator: Paginator, params: dict[str, object], param: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        api = Api({"rows": [5], "total": 100}, {"rows": [], "total": 100})
        pages = reader(api, paginator, request_params=params)
        assert sum(page.count for page in pages) == 1
    assert pages.list_counts.expected is None
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert f"total of 100, because the parameter {param!r} may skip rows at the start of the list" in caplog.text


@pytest.mark.parametrize(
    ("paginator", "params"),
    [
        (PageNumberPaginator(total="total"), {"page": "1"}),
        (PageNumberPaginator(total="total", start=0), {"page": 0}),
        (OffsetPaginator(total="total", size=2), {"offset": 0}),
        (CursorPaginator(total="total"), {"cursor": "*"}),
        (
            HeaderLinkPaginator(total="total", optional=True),
            {"page": 1, "cursor": "", "since": "2026-01-01", "start": "2026-01-01"},
        ),
    ],
)
def test_the_total_is_compared_if_the_caller_sets_the_start_of_the_list(
    paginator: Paginator, params: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    read_all(Api({"rows": [5], "total": 2, "next": None}, {"rows": []}), paginator, request_params=params)
    assert "1 rows were read, but according to the API there are 2" in caplog.text


def test_the_total_is_not_compared_if_the_endpoint_names_a_page(caplog: pytest.LogCaptureFixture) -> None:
    api, paginator = Api({"rows": [5], "total": 9}), HeaderLinkPaginator(total="total", optional=True)
    with caplog.at_level(logging.INFO):
        list(PageReader(api, ListRequest(endpoint="items?page=3", paginator=paginator), "my_api"))
    assert "the parameter 'page' may skip rows" in caplog.text


def test_a_later_page_of_a_paginator_with_a_header_counts(caplog: pytest.LogCaptureFixture) -> None:
    headers = {"x-pagination": '{"CurrentPage": 3, "HasNext": false}'}
    api = Api(response_of({"rows": [5], "total": 9}, headers))
    with caplog.at_level(logging.INFO):
        read_all(api, HeaderJsonPaginator(total="total"), request_params={"page": 3})
    assert "the parameter 'page' may skip rows" in caplog.text
