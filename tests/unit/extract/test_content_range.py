"""The header Content-Range, with which PostgREST and other APIs say which rows of a list a response has."""

from __future__ import annotations

import pytest

from airflow_provider_oauth.extract.completeness import looks_paginated
from airflow_provider_oauth.extract.content_range import total_of_range
from airflow_provider_oauth.extract.page import Page
from airflow_provider_oauth.extract.paginators import CursorPaginator, OffsetPaginator
from tests.unit.extract.stub_api import Api, read, response_of


@pytest.mark.parametrize(
    ("value", "total"),
    [
        ("0-24/573", 573),
        (" items 0-24/573", 573),
        ("posts=0-24/319", 319),
        ("*/0", 0),
        ("0-24/*", None),
        ("bytes 0-1023/146515", None),
        ("0-24", None),
        ("", None),
        ("id 01..09; max=200", None),
    ],
)
def test_the_total_of_a_range(value: str, total: int | None) -> None:
    assert total_of_range(value) == total


@pytest.mark.parametrize(
    ("value", "status", "count", "rows_before", "found"),
    [
        ("0-24/573", 206, 25, 0, "the header Content-Range: 0-24/573 (rows 0 to 24 of 573)"),
        ("items 0-24/26", 200, 25, 0, "the header Content-Range: items 0-24/26 (rows 0 to 24 of 26)"),
        ("1-25/26", 206, 25, 0, "the header Content-Range: 1-25/26 (rows 1 to 25 of 26)"),
        ("0-24/*", 206, 25, 0, "the status 206 (Partial Content)"),
        ("", 206, 25, 0, "the status 206 (Partial Content)"),
        ("0-24/25", 200, 25, 0, None),
        ("1-25/25", 200, 25, 0, None),
        ("550-572/573", 206, 23, 550, None),
        ("550-572/573", 206, 23, 0, None),  # the offset is a parameter that is not known
        ("0-24/*", 200, 25, 0, None),
        ("*/0", 200, 0, 0, None),
        ("*/*", 206, 0, 0, None),
        ("bytes 0-99/1000", 206, 25, 0, None),
    ],
)
def test_a_range_that_does_not_reach_the_end_is_a_sign_of_more_rows(
    value: str, status: int, count: int, rows_before: int, found: str | None
) -> None:
    page = Page(response_of([1] * count, {"Content-Range": value}, status), rows_before=rows_before)
    sign = looks_paginated(page)
    assert (sign and sign.found) == found
    assert sign is None or sign.paginator == 'OffsetPaginator(total="header:Content-Range")'


def test_the_header_next_range_of_heroku_names_the_next_page() -> None:
    ranges = {"Content-Range": "id 01..09; max=2", "Next-Range": "]09..; max=2"}
    first = response_of([1, 2], ranges, 206)
    sign = looks_paginated(Page(first))
    assert sign is not None
    assert sign.paginator == 'CursorPaginator(path="header:Next-Range", param="Range", param_in="header")'
    api = Api(first, response_of([3], {"Content-Range": "id 10..10; max=2"}))
    assert read(api, CursorPaginator(path="header:Next-Range", param="Range", param_in="header")) == [1, 2, 3]
    assert api.requests[1].headers == {"Range": "]09..; max=2"}


def test_a_list_of_postgrest_is_read_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    api = Api(
        *(response_of([i] * n, {"Content-Range": f"{i}-{i + n - 1}/5"}, 206) for i, n in ((0, 2), (2, 2), (4, 1)))
    )
    assert read(api, OffsetPaginator(size=2, total="header:Content-Range")) == [0, 0, 2, 2, 4]
    assert len(api.requests) == 3
    assert caplog.text == ""


def test_a_range_without_a_total_leaves_the_end_to_the_number_of_rows(caplog: pytest.LogCaptureFixture) -> None:
    api = Api(response_of([1, 2], {"Content-Range": "0-1/*"}), response_of([3], {"Content-Range": "2-2/*"}))
    assert read(api, OffsetPaginator(size=2, total="header:Content-Range")) == [1, 2, 3]
    assert caplog.text == ""
