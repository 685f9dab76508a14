"""No list ends silently before its end: absent cursors, errors in successful responses, and warnings."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderJsonPaginator,
    JsonLinkPaginator,
    PageNumberPaginator,
)
from tests.unit.extract.stub_api import URL, Api, read, reader, response_of

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.paginators import Paginator


# --- the only page


@pytest.mark.parametrize("count", [10, 20, 25, 50, 100, 200, 250, 500, 1000])
def test_a_page_with_a_usual_number_of_rows_and_no_cursor_is_an_error(count: int) -> None:
    page = {"rows": [1] * count, "meta": {"page": {"cursor": None}}}
    with pytest.raises(ApiError, match=f"has {count} rows, which can be a full page.*optional=True.*: rows, meta, "):
        read(Api(page), CursorPaginator("next"))
    assert len(read(Api(page), CursorPaginator("next", optional=True))) == count


@pytest.mark.parametrize("request_", [{"request_params": {"page[size]": "7"}}, {"endpoint_url": f"{URL}?limit=7"}])
def test_a_page_with_as_many_rows_as_requested_and_no_cursor_is_an_error(request_: dict[str, Any]) -> None:
    response = response_of({"rows": [1] * 7}, url=request_.pop("endpoint_url", URL))
    with pytest.raises(ApiError, match="has 7 rows, which can be a full page"):
        read(Api(response), JsonLinkPaginator(), **request_)


def test_a_size_in_the_body_counts_as_requested() -> None:
    with pytest.raises(ApiError, match="has 7 rows, which can be a full page"):
        read(Api({"rows": [1] * 7}), CursorPaginator(), method="POST", json={"variables": {"first": 7}})


def test_fewer_rows_than_requested_in_a_usual_number_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    pages = reader(Api({"rows": [1] * 100}), CursorPaginator(), request_params={"limit": 500})
    assert sum(page.count for page in pages) == 100
    assert "has 100 rows, which can be a full page" in caplog.text
    assert pages.list_counts.is_paging_absent


def test_a_compressed_body_without_content_may_have_ended_early() -> None:
    encoding = {"Content-Encoding": "zstd"}
    with pytest.raises(ApiError, match="has no content after decompression, and neither a length nor an end mark"):
        read(Api(response_of(b"", encoding)), None)
    for end in ({"Content-Length": "20"}, {"Transfer-Encoding": "chunked"}):
        assert read(Api(response_of(b"", encoding | end)), None) == []


@pytest.mark.parametrize(
    ("content", "headers", "sign"),
    [
        ({"pagination": {"next_cursor": "x"}}, {}, 'CursorPaginator(path="pagination.next_cursor", param="…")'),
        ({"links": {"next": "/items?page=2"}}, {}, 'JsonLinkPaginator(path="links.next")'),
        ({"has_more": True}, {}, 'more="has_more"'),
        ({"isLast": False}, {}, 'more="!isLast"'),
        ({"total": 4}, {}, 'OffsetPaginator(total="total")'),
        ({"page": 1, "total": 4}, {}, 'PageNumberPaginator(total="total")'),
        ({"meta": {"total_pages": 2}}, {}, 'PageNumberPaginator(last="meta.total_pages")'),
        ({}, {"Link": f'<{URL}?page=2>; rel="next"'}, "HeaderLinkPaginator()"),
        ({}, {"X-Total-Count": "4"}, 'PageNumberPaginator(total="header:X-Total-Count")'),
    ],
)
@pytest.mark.parametrize("wrong", [CursorPaginator("typo"), JsonLinkPaginator("typo")])
def test_an_absent_cursor_is_an_error_if_the_response_looks_paginated(
    content: dict[str, Any], headers: dict[str, str], sign: str, wrong: Paginator
) -> None:
    with pytest.raises(ApiError, match="so the list has more pages, but the paginator does not find them") as caught:
        read(Api(response_of({"rows": [1, 2, 3], **content}, headers)), wrong)
    assert sign in str(caught.value)


@pytest.mark.parametrize("end", [None, "", False, [], {}, 0])
def test_a_cursor_that_is_present_and_empty_ends_the_list(end: object) -> None:
    assert len(read(Api({"rows": [1] * 50, "next": end}), CursorPaginator(), records_path="rows")) == 50


def test_a_short_list_without_a_cursor_is_complete(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pages = reader(Api({"rows": [1, 2, 3]}), CursorPaginator())
    assert sum(page.count for page in pages) == 3
    assert pages.list_counts.is_paging_absent
    assert [record.levelname for record in caplog.records] == ["INFO"]


# --- without a paginator


@pytest.mark.parametrize(
    ("content", "params", "text"),
    [
        ({"rows": [1], "next": "abc"}, {}, 'set paginator=CursorPaginator(path="next", param="…")'),
        ({"rows": [1, 2]}, {"limit": 2}, "has as many rows as were requested, 2"),
    ],
)
def test_without_a_paginator_a_response_that_looks_paginated_is_a_warning(
    content: dict[str, Any], params: dict[str, Any], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    read(Api(content), None, request_params=params)
    assert text in caplog.text


# --- responses without rows


@pytest.mark.parametrize(
    "paginator", [None, CursorPaginator(), PageNumberPaginator(last="pages"), HeaderJsonPaginator()]
)
@pytest.mark.parametrize(("status", "body"), [(204, b""), (200, b""), (200, b" \n")])
def test_a_response_without_a_body_is_a_page_without_rows(
    paginator: Paginator | None, status: int, body: bytes
) -> None:
    assert read(Api(response_of(body, status=status)), paginator) == []


@pytest.mark.parametrize(("status", "headers"), [(202, {}), (304, {}), (204, {"Retry-After": "5"})])
def test_a_response_without_a_body_is_an_error_if_the_rows_may_not_be_ready(
    status: int, headers: dict[str, str]
) -> None:
    with pytest.raises(ApiError, match=f"has no body and the status {status}"):
        read(Api(response_of(b"", headers, status)), None)


@pytest.mark.parametrize("records_path", [None, "rows"])
@pytest.mark.parametrize(
    ("content", "member"),
    [
        ({"errors": ["x"]}, "errors"),
        ({"error": "x", "rows": []}, "error"),
        ({"error": {"code": 7, "message": "x"}}, "error"),
        ({"success": False, "rows": []}, "success"),
        ({"ok": "false"}, "ok"),
    ],
)
def test_a_success_status_with_an_error_is_not_an_empty_list(
    content: dict[str, Any], member: str, records_path: str | None
) -> None:
    with pytest.raises(ApiError, match=f"has the member '{member}', which reports an error"):
        read(Api(content), None, records_path=records_path)


@pytest.mark.parametrize(
    "content",
    [
        {"errors": [], "rows": []},
        {"error": None, "rows": []},
        {"error": {"code": 0, "message": "fine"}, "rows": []},
        {"error": "", "success": True, "rows": []},
    ],
)
def test_an_empty_list_without_an_error_is_complete(content: dict[str, Any]) -> None:
    assert read(Api(content), None, records_path="rows") == []
