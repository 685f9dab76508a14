"""Pages compared with the pages before: repeated rows, other arrays, and pages before the first one."""

from __future__ import annotations

import logging
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderJsonPaginator,
    JsonLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from tests.unit.extract.stub_api import URL, Api, read, reader, response_of

if TYPE_CHECKING:
    import requests

    from airflow_provider_oauth.extract.page_request import PageRequest
    from airflow_provider_oauth.extract.paginators import Paginator


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_ignored_cursor_that_changes_with_each_response_does_not_loop_endlessly() -> None:
    numbers = count()

    def send(_: PageRequest) -> requests.Response:
        return response_of({"rows": [1, 2], "next": f"c{next(numbers)}"})

    with pytest.raises(ApiError, match="has the same rows as the previous 9 pages"):
        read(send, CursorPaginator(param="wrong"))  # type: ignore[arg-type]  # a function instead of an Api
    assert next(numbers) == 10


def test_an_ignored_cursor_does_not_repeat_rows_if_the_last_page_may_repeat() -> None:
    with pytest.raises(ApiError, match="has the same rows as the previous page, and leads to itself"):
        read(Api(*[{"rows": [1, 2], "next": "a"}] * 2), CursorPaginator(param="wrong", repeats_last_page=True))


@pytest.mark.parametrize("paginator", [CursorPaginator(total="total"), JsonLinkPaginator(total="total")])
def test_the_total_of_the_first_page_is_enough_for_cursors_and_links(
    caplog: pytest.LogCaptureFixture, paginator: Paginator
) -> None:
    assert read(Api({"rows": [1], "next": "b", "total": 3}, {"rows": [2], "next": None}), paginator) == [1, 2]
    assert "2 rows were read, but according to the API there are 3" in caplog.text


def test_an_offset_needs_the_total_on_each_page() -> None:
    with pytest.raises(ApiError, match="has no 'total'"):
        read(Api({"rows": [1], "total": 3}, {"rows": [2]}), OffsetPaginator(size=1, total="total"))


def test_two_pages_may_have_the_same_rows() -> None:
    pages = [{"rows": ["a"], "next": "1"}, {"rows": ["a"], "next": "2"}, {"rows": ["b"], "next": "3"}, {"rows": ["b"]}]
    assert read(Api(*pages), CursorPaginator()) == ["a", "a", "b", "b"]


def test_an_offset_that_counts_from_1_causes_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    # With offset 0 and then 2, an API that counts from 1 returns the rows 1 and 2, and then 2 and 3.
    read(Api([{"id": 1}, {"id": 2}], [{"id": 2}]), OffsetPaginator(size=2))
    assert "page 2 begins with the last row of the previous page" in caplog.text


@pytest.mark.parametrize(
    ("members", "headers", "found"),
    [
        ({"first": False, "number": 1}, {}, "first=false"),
        ({"previous": URL}, {}, "previous"),
        ({"links": {"prev": {"href": URL}}}, {}, "links.prev"),
        ({"pagination": {"hasPrevious": True}}, {}, "pagination.hasPrevious"),
        ({}, {"Link": f'<{URL}>; rel="prev"'}, "a Link header with rel=prev"),
        ({}, {"X-Prev-Page": "0"}, "the header X-Prev-Page"),
    ],
)
def test_a_page_before_the_first_one_causes_a_warning(
    caplog: pytest.LogCaptureFixture, members: dict[str, Any], headers: dict[str, str], found: str
) -> None:
    read(Api(response_of({"rows": [1], **members}, headers), {"rows": []}), PageNumberPaginator())
    assert f"the first page that was read has {found}, so the list may have pages before it" in caplog.text


@pytest.mark.parametrize("members", [{"first": True}, {"previous": None}, {"links": {"prev": None}}, {"first": 5}])
def test_the_first_page_causes_no_warning(caplog: pytest.LogCaptureFixture, members: dict[str, Any]) -> None:
    read(Api({"rows": [1], **members}, {"rows": []}), PageNumberPaginator())
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("second", "records_path"),
    [({"warnings": ["w"]}, None), ({"next": ""}, ["rows", "@"]), ({"b": [2]}, ["rows", "b"])],
)
def test_rows_in_another_array_than_before_are_an_error(second: Any, records_path: Any) -> None:
    with pytest.raises(ApiError, match="but the previous pages have it at 'rows'"):
        read(Api({"rows": [1], "next": "c"}, second), CursorPaginator(), records_path=records_path)


def test_an_array_without_rows_may_be_elsewhere() -> None:
    assert read(Api({"rows": [1], "next": "c"}, []), CursorPaginator()) == [1]


@pytest.mark.parametrize(
    ("content", "records_path", "is_warning"),
    [
        ({"id": 7, "tags": ["a", "b"]}, None, True),
        ({"id": 7, "tags": ["a", "b"]}, "tags", False),
        ({"id": 7, "tags": [{"name": "a"}]}, None, False),
        ({"page": 7, "genres": ["a", "b"]}, None, False),
        (["a", "b"], None, False),
    ],
)
def test_an_only_array_of_other_values_than_objects_causes_a_warning(
    caplog: pytest.LogCaptureFixture, content: Any, records_path: str | None, is_warning: bool
) -> None:
    read(Api(content), None, records_path=records_path)
    assert ("they are not objects" in caplog.text) is is_warning


@pytest.mark.parametrize("members", [{"errors": [{"message": "x"}]}, {"error": "x"}, {"success": False}])
def test_an_error_beside_rows_causes_a_warning(caplog: pytest.LogCaptureFixture, members: dict[str, Any]) -> None:
    read(Api({"rows": [1], "next": "c", **members}, {"rows": [2], **members}), CursorPaginator(), records_path="rows")
    assert len([each for each in warnings(caplog) if "page 1 has rows, but also the member" in each]) == 1


def test_no_error_beside_rows_causes_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    read(Api({"rows": [1], "errors": [], "error": None, "success": True}), CursorPaginator(), records_path="rows")
    assert warnings(caplog) == []


def test_a_response_with_status_200_and_no_body_causes_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert read(Api([1, 2], response_of(b"")), OffsetPaginator(size=2)) == [1, 2]
    assert "page 2 has status 200 and no body" in caplog.text


def test_status_204_causes_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert read(Api([1, 2], response_of(b"", status=204)), OffsetPaginator(size=2)) == [1, 2]
    assert warnings(caplog) == []


@pytest.mark.parametrize("paginator", [OffsetPaginator(), PageNumberPaginator(size_param="limit", size=100)])
def test_a_first_page_with_a_round_number_of_rows_is_not_the_end(paginator: Paginator) -> None:
    # The API returns 30 rows per page, whatever size is requested.
    assert len(read(Api([1] * 30, [2] * 30, [3] * 4), paginator)) == 64


@pytest.mark.parametrize("port", ["", ":80", ":443"])
def test_a_link_over_http_is_followed_over_https(port: str) -> None:
    api = Api({"rows": [1], "next": f"http://api.example.com{port}/items?page=2"}, {"rows": [2], "next": None})
    assert read(api, JsonLinkPaginator()) == [1, 2]
    assert api.requests[1].url == "https://api.example.com/items?page=2"


def test_a_link_with_another_port_stays_as_it_is() -> None:
    api = Api({"rows": [1], "next": "http://api.example.com:8080/items"}, {"rows": [2], "next": None})
    read(api, JsonLinkPaginator())
    assert api.requests[1].url == "http://api.example.com:8080/items"  # the hook refuses it


@pytest.mark.parametrize("link", ["https://[bad/items", "http://api.example.com:abc/items"])
def test_a_link_that_is_not_a_url_is_an_error(link: str) -> None:
    with pytest.raises(ApiError, match="has a link to the next page that is not a URL"):
        read(Api({"rows": [1], "next": link}), JsonLinkPaginator())


@pytest.mark.parametrize("name", ["data", "request_params", "headers"])
@pytest.mark.parametrize("value", ["a=1", [("a", 1)], b"a=1"])
def test_parameters_that_are_not_a_dict_are_an_error(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} of a GET request is not a dict"):
        reader(Api(), None, **{name: value})


def pages_of(*rows: list[int], **members: Any) -> Api:
    return Api(*[response_of({"rows": each, **members}) for each in rows])


@pytest.mark.parametrize("paginator", [PageNumberPaginator(), OffsetPaginator(size=2)])
def test_rows_of_an_earlier_page_are_an_error_if_pages_are_requested_by_number(paginator: Paginator) -> None:
    with pytest.raises(ApiError, match="is page 3 of the list and has the same rows as page 1, so other rows are miss"):
        read(pages_of([1, 2], [3, 4], [1, 2], []), paginator)


def test_rows_of_an_earlier_page_are_a_warning_if_the_paginator_is_optional(caplog: pytest.LogCaptureFixture) -> None:
    api = pages_of([1, 2], [3, 4], [1, 2], [])
    assert read(api, PageNumberPaginator(optional=True)) == [1, 2, 3, 4, 1, 2]
    (warning,) = warnings(caplog)
    assert "page 3 has the same rows as page 1. These rows are read twice" in warning


def test_rows_of_an_earlier_page_are_one_warning_with_cursors(caplog: pytest.LogCaptureFixture) -> None:
    pages = [response_of({"rows": [n % 2], "next": f"c{n}" if n < 4 else None}) for n in range(5)]
    assert read(Api(*pages), CursorPaginator()) == [0, 1, 0, 1, 0]
    (warning,) = warnings(caplog)
    assert "page 3 has the same rows as page 1" in warning


def paged_by_header(number: int, *rows: int) -> requests.Response:
    header = f'{{"CurrentPage": {number}, "HasNext": true}}'
    return response_of(list(rows), {"x-pagination": header})


def test_the_same_rows_twice_are_an_error_with_a_number_in_a_header() -> None:
    with pytest.raises(ApiError, match="has the same rows as the previous page"):
        read(Api(paged_by_header(1, 5), paged_by_header(2, 5)), HeaderJsonPaginator())


@pytest.mark.parametrize("numbers", [(2,), (1, 1), (1, 3)])
def test_a_number_in_a_header_that_is_not_that_of_the_request_is_an_error(numbers: tuple[int, ...]) -> None:
    api = Api(*[paged_by_header(number, at) for at, number in enumerate(numbers)])
    with pytest.raises(ApiError, match=f"is page {numbers[-1]} .*, but page {len(numbers)} was requested"):
        read(api, HeaderJsonPaginator())


def test_a_page_without_rows_before_the_last_one_is_an_error() -> None:
    api = Api(response_of({"rows": [1], "pages": 3}), response_of({"rows": []}))
    with pytest.raises(ApiError, match="has no rows, but it is page 2 of 3 according to the previous pages"):
        read(api, PageNumberPaginator(last="pages"))


@pytest.mark.parametrize(
    "paginator",
    [PageNumberPaginator(last="pages", empty_page_ends=True), PageNumberPaginator(last="pages", more="more")],
)
def test_a_page_without_rows_can_end_a_list_with_more_pages(paginator: Paginator) -> None:
    api = Api(response_of({"rows": [1], "pages": 3}), response_of({"rows": [], "more": False}))
    assert read(api, paginator) == [1]


def test_the_last_page_can_be_without_rows() -> None:
    """A row may have been deleted while the list was read."""
    api = Api(response_of({"rows": [1], "pages": 2}), response_of({"rows": []}))
    assert read(api, PageNumberPaginator(last="pages")) == [1]


def test_a_list_that_is_read_from_a_later_page_can_end_with_a_page_without_rows() -> None:
    api = Api(response_of({"rows": [1], "pages": 6}), response_of({"rows": []}))
    assert [page.count for page in reader(api, PageNumberPaginator(last="pages"), request_params={"page": 5})] == [1, 0]


@pytest.mark.parametrize("refusal", [ApiError("404: no", 404), {"rows": [2], "pages": 3}])
def test_a_page_that_cannot_be_read_before_the_last_one_is_an_error(refusal: Any) -> None:
    api = Api({"rows": [1], "pages": 3}, {"rows": [2], "pages": 3}, refusal)
    paginator = PageNumberPaginator(last="pages", stop_on=(404,), repeats_last_page=True)
    with pytest.raises(ApiError, match="is the last page that could be read: the request for page 3 of 3 failed"):
        read(api, paginator)


def test_a_status_that_ends_the_list_is_accepted_after_the_last_page() -> None:
    api = Api({"rows": [1], "pages": 1, "more": True}, ApiError("404: no", 404))
    assert read(api, PageNumberPaginator(last="pages", more="more", stop_on=(404,))) == [1]


@pytest.mark.parametrize(
    ("paginator", "params", "name"),
    [
        (PageNumberPaginator(), {"page": "first"}, "page"),
        (OffsetPaginator(), {"offset": "latest"}, "offset"),
        (OffsetPaginator(), {"limit": "all"}, "limit"),
        (HeaderJsonPaginator(), {"page": -1}, "page"),
    ],
)
def test_a_position_of_the_request_that_is_not_a_number_is_an_error(
    paginator: Paginator, params: dict[str, Any], name: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"the parameter '{name}' is .*counts with it"):
        read(Api([1]), paginator, request_params=params)
