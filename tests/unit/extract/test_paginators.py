"""The paginators: requests, the end of a list, and errors."""

from __future__ import annotations

import gc
import json
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from requests_mock import ANY

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract.engine import PageReader
from airflow_provider_oauth.extract.page import Page
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderJsonPaginator,
    HeaderLinkPaginator,
    JsonLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.hooks.oauth import OAuthHook
from tests.connections import TOKEN_URL
from tests.unit.extract.stub_api import URL, Api, response_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import requests
    from requests_mock import Mocker

    from airflow_provider_oauth.extract.page_request import PageRequest
    from airflow_provider_oauth.extract.paginators import Paginator

LIST = URL


def pages(
    send: Callable[[PageRequest], requests.Response],
    paginator: Paginator | None,
    params: dict[str, Any] | None = None,
    records_path: str | Sequence[str] | None = None,
) -> Iterator[Page]:
    request = ListRequest(endpoint="", paginator=paginator, request_params=params, records_path=records_path)
    return iter(PageReader(send, request))


def read(
    api: Api,
    paginator: Paginator | None,
    params: dict[str, Any] | None = None,
    records_path: str | Sequence[str] | None = None,
) -> list[Any]:
    return [row for page in pages(api, paginator, params, records_path) for row in page.rows]


def sent(api: Api) -> list[tuple[str | None, dict[str, Any]]]:
    return [(request.url, dict(request.query)) for request in api.requests]


def params_of(api: Api) -> list[dict[str, Any]]:
    return [dict(request.query) for request in api.requests]


# --- the rows of a page


@pytest.mark.parametrize(
    ("content", "path", "rows"),
    [
        ([1, 2], None, [1, 2]),
        ([], None, []),
        ({"data": [1], "total": 1, "meta": {"x": []}}, None, [1]),
        ({"data": [1], "errors": []}, "data", [1]),
        ({"a": {"b": [{"id": 7}]}}, "a.b", [{"id": 7}]),
        ({"a": {"b": [{"id": 7}]}}, "a.b[].id", [7]),
        ({"id": 7}, "@", [{"id": 7}]),
    ],
)
def test_the_rows_are_the_array_at_records_path_or_the_only_array(
    content: object, path: str | None, rows: list[Any]
) -> None:
    assert Page(response_of(content), path).rows == rows


@pytest.mark.parametrize(
    ("content", "path", "problem"),
    [
        ({"data": [], "errors": []}, None, "does not contain exactly one array. Set records_path"),
        ({"data": {"x": [1]}}, None, "not contain exactly one array"),
        ({}, None, "not contain exactly one array"),
        (5, None, "not contain exactly one array"),
        ("text", None, "not contain exactly one array"),
        (None, None, "not contain exactly one array"),
        ({"data": {"x": 1}}, "data", "no array at 'data'"),
        ({"data": None}, "data", "has null at 'data' instead of an array"),
        ({"data": [1]}, "rows", "has no 'rows'. Set records_path"),
        ([1], "data", "has no 'data'. It contains no array"),
        (b"<html>fake-row", None, "is not JSON"),
        (b"[" * 100_000, None, "is JSON that is nested too deeply"),
    ],
)
def test_a_page_without_rows_is_an_error_that_does_not_quote_the_page(
    content: object, path: str | None, problem: str
) -> None:
    with pytest.raises(ApiError, match=problem) as caught:
        _ = Page(response_of(content, url=f"{LIST}?key=fake-key"), path).rows
    assert str(caught.value).startswith(f"Connection '': the response of {LIST} ")
    assert caught.value.status_code == 200
    assert "fake" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_page_is_decoded_once() -> None:
    page = Page(response_of([1]))
    assert page.rows is page.rows
    assert page.content is page.content
    assert "1" not in repr(page)


# --- no paginator


def test_without_a_paginator_one_request_is_sent() -> None:
    api = Api([1, 2])
    assert read(api, None, {"a": 1}) == [1, 2]
    assert sent(api) == [(None, {"a": 1})]


def test_no_request_is_sent_before_the_first_page_is_used() -> None:
    api = Api([1])
    iterator = pages(api, PageNumberPaginator(), {})
    assert api.requests == []
    next(iterator)
    assert len(api.requests) == 1


# --- PageNumberPaginator


def test_a_list_ends_with_an_empty_page() -> None:
    api = Api([1, 2], [3], [])
    assert read(api, PageNumberPaginator()) == [1, 2, 3]
    assert params_of(api) == [{"page": 1}, {"page": 2}, {"page": 3}]


def test_a_page_with_fewer_rows_than_requested_is_the_last_one() -> None:
    api = Api([1, 2], [3])
    assert read(api, PageNumberPaginator(param="p", size_param="n", size=2)) == [1, 2, 3]
    assert params_of(api) == [{"p": 1, "n": 2}, {"p": 2, "n": 2}]


def test_a_page_below_a_fixed_size_is_the_last_one() -> None:
    api = Api([1, 2], [3])
    assert read(api, PageNumberPaginator(size=2)) == [1, 2, 3]
    assert params_of(api) == [{"page": 1}, {"page": 2}]


def test_after_a_full_page_another_page_is_requested() -> None:
    api = Api([1, 2], [])
    assert read(api, PageNumberPaginator(size_param="n", size=2)) == [1, 2]
    assert len(api.requests) == 2


@pytest.mark.parametrize(("start", "numbers"), [(0, [0, 1, 2]), (1, [1, 2, 3]), (5, [5, 6, 7])])
def test_a_list_ends_after_the_number_of_pages_in_the_response(start: int, numbers: list[int]) -> None:
    three = [{"rows": [n], "meta": {"pages": 3}} for n in range(3)]
    api = Api(*three)
    assert read(api, PageNumberPaginator(start=start, last="meta.pages")) == [0, 1, 2]
    assert [params["page"] for params in params_of(api)] == numbers


def test_the_number_of_pages_takes_precedence_over_a_short_page() -> None:
    api = Api({"rows": [1], "pages": 2}, {"rows": [2], "pages": 2})
    assert read(api, PageNumberPaginator(size_param="n", size=100, last="pages")) == [1, 2]


def test_if_the_number_of_pages_is_null_an_empty_page_is_the_end() -> None:
    api = Api({"rows": [1], "pages": None}, {"rows": []})
    assert read(api, PageNumberPaginator(last="pages")) == [1]


def test_page_and_size_of_the_caller_take_precedence() -> None:
    api = Api([1, 2, 3], [4])
    assert read(api, PageNumberPaginator(size_param="n", size=100), {"page": 7, "n": "3", "q": "x"}) == [1, 2, 3, 4]
    assert params_of(api) == [{"page": 7, "n": "3", "q": "x"}, {"page": 8, "n": "3", "q": "x"}]


# --- OffsetPaginator


def test_the_offset_increases_by_the_number_of_rows_received() -> None:
    api = Api([1, 2], [3])
    assert read(api, OffsetPaginator(size=2)) == [1, 2, 3]
    assert params_of(api) == [{"offset": 0, "limit": 2}, {"offset": 2, "limit": 2}]


def test_with_a_total_short_pages_do_not_end_the_list() -> None:
    api = Api(*({"data": [n, n + 1], "page": {"total": 5}} for n in (0, 2)), {"data": [4], "page": {"total": 5}})
    assert read(api, OffsetPaginator(size=100, total="page.total"), records_path="data") == [0, 1, 2, 3, 4]
    assert [params["offset"] for params in params_of(api)] == [0, 2, 4]


def test_with_a_total_no_empty_page_is_requested() -> None:
    api = Api({"data": [1, 2], "total": 2})
    assert read(api, OffsetPaginator(size=2, total="total")) == [1, 2]


@pytest.mark.parametrize("unknown", [0, -1, None, "many", True])
def test_an_unknown_total_is_ignored(unknown: object) -> None:
    api = Api({"data": [1, 2], "total": unknown}, {"data": [3], "total": unknown})
    assert read(api, OffsetPaginator(size=2, total="total"), records_path="data") == [1, 2, 3]


def test_a_list_below_its_total_ends_with_an_empty_page() -> None:
    api = Api({"data": [1], "total": 9}, {"data": [], "total": 9})
    assert read(api, OffsetPaginator(total="total")) == [1]


def test_a_total_may_be_absent_if_it_is_optional() -> None:
    api = Api([1, 2], [3])
    paginator = OffsetPaginator(size=2, total="pagination.total", optional=True)
    assert read(api, paginator, records_path=("items", "data", "@")) == [1, 2, 3]


def test_an_absent_total_is_an_error() -> None:
    with pytest.raises(ApiError, match="has no 'meta.total', where the paginator looks for total"):
        read(Api({"rows": [1], "total": 1}), OffsetPaginator(total="meta.total"))


def test_offset_and_limit_of_the_caller_take_precedence() -> None:
    api = Api([1], [])
    assert read(api, OffsetPaginator(param="skip", size_param="top", size=100), {"skip": 50, "top": 1}) == [1]
    assert params_of(api) == [{"skip": 50, "top": 1}, {"skip": 51, "top": 1}]


# --- CursorPaginator


@pytest.mark.parametrize("end", [{}, {"next": None}, {"next": ""}, {"next": False}, {"next": 0}])
def test_the_cursor_is_sent_until_a_page_has_none(end: dict[str, Any]) -> None:
    api = Api({"rows": [1], "next": "a=="}, {"rows": [2], "next": 5}, {"rows": [3], **end})
    assert read(api, CursorPaginator(), {"q": "x"}) == [1, 2, 3]
    assert params_of(api) == [{"q": "x"}, {"q": "x", "cursor": "a=="}, {"q": "x", "cursor": 5}]


def test_path_and_parameter_of_the_cursor_can_be_set() -> None:
    api = Api({"rows": [1], "meta": {"after": "m"}}, {"rows": [2]})
    assert read(api, CursorPaginator(path="meta.after", param="after")) == [1, 2]
    assert params_of(api) == [{}, {"after": "m"}]


def test_an_empty_page_with_a_cursor_does_not_end_the_list() -> None:
    api = Api({"rows": [], "next": "a"}, {"rows": [2]})
    assert read(api, CursorPaginator()) == [2]


# --- JsonLinkPaginator, HeaderLinkPaginator


@pytest.mark.parametrize(
    ("following", "url"),
    [
        (f"{LIST}?page=2&q=x", f"{LIST}?page=2&q=x"),
        ("?page=2", f"{LIST}?page=2"),
        ("/v1/items?page=2", f"{LIST}?page=2"),
        ("items?page=2", f"{LIST}?page=2"),
        ("//elsewhere.example.net/x", "https://elsewhere.example.net/x"),  # the hook refuses it, see below
    ],
)
def test_a_link_is_absolute_or_relative_to_the_page(following: str, url: str) -> None:
    api = Api({"rows": [1], "links": {"next": following}}, {"rows": [2], "links": {"next": None}})
    assert read(api, JsonLinkPaginator(path="links.next"), {"q": "x"}) == [1, 2]
    assert sent(api) == [(None, {"q": "x"}), (url, {})]


def test_the_link_header_has_the_url_of_the_next_page() -> None:
    more = {"Link": f'<{LIST}?page=1>; rel="prev", <{LIST}?page=2>; rel="next"'}
    last = {"Link": f'<{LIST}?page=1>; rel="prev"'}
    api = Api(response_of([1], more), response_of([2], last))
    assert read(api, HeaderLinkPaginator(), {"q": "x"}) == [1, 2]
    assert sent(api) == [(None, {"q": "x"}), (f"{LIST}?page=2", {})]


@pytest.mark.parametrize("link", [None, "", "garbage", "<>", '<?page=2>; rel="last"'])
def test_a_link_header_without_a_next_page_ends_the_list(link: str | None) -> None:
    api = Api(response_of([1], {"Link": link} if link is not None else {}))
    assert read(api, HeaderLinkPaginator()) == [1]


# --- HeaderJsonPaginator


def pagination(**content: object) -> dict[str, str]:
    return {"X-Pagination": json.dumps({"TotalCount": 3, "PageSize": 1, "TotalPages": 3, **content})}


def test_the_header_shows_whether_there_are_more_pages() -> None:
    api = Api(
        response_of([1], pagination(CurrentPage=1, HasNext=True)),
        response_of([], pagination(CurrentPage=2, HasNext=True)),
        response_of([3], pagination(CurrentPage=3, HasNext=False)),
    )
    assert read(api, HeaderJsonPaginator(), {"limit": 1}) == [1, 3]
    assert params_of(api) == [{"page": 1, "limit": 1}, {"page": 2, "limit": 1}, {"page": 3, "limit": 1}]


def test_header_and_members_can_be_set() -> None:
    header = {"X-Page": '{"n": "1", "more": true}'}
    api = Api(response_of([1], header), response_of([2], {"X-Page": '{"n": 2, "more": null}'}))
    assert read(api, HeaderJsonPaginator(header="X-Page", param="p", page="n", has_next="more")) == [1, 2]
    assert params_of(api) == [{"p": 1}, {"p": 2}]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Pagination": ""},
        {"X-Pagination": "{"},
        {"X-Pagination": "[]"},
        {"X-Pagination": "null"},
        {"X-Pagination": '{"CurrentPage": 1}'},
        {"X-Pagination": '{"HasNext": true}'},
        {"X-Pagination": '{"HasNext": true, "CurrentPage": "x"}'},
        {"X-Pagination": '{"HasNext": true, "CurrentPage": null}'},
        {"X-Pagination": '{"HasNext": true, "CurrentPage": 1e999}'},
    ],
)
def test_a_missing_or_invalid_header_is_an_error(headers: dict[str, str]) -> None:
    api = Api(response_of([1], headers))
    with pytest.raises(ApiError, match="no valid x-pagination header, so it is unknown whether there are more"):
        read(api, HeaderJsonPaginator())


# --- lists that would never end


@pytest.mark.parametrize(
    "paginator", [PageNumberPaginator(), PageNumberPaginator(size_param="n", size=1), OffsetPaginator(size=1)]
)
def test_the_same_rows_twice_are_an_error(paginator: PageNumberPaginator | OffsetPaginator) -> None:
    api = Api(*[[1]] * 3)
    with pytest.raises(
        ApiError, match=f"same rows as the previous page.*ignore the parameter '{paginator.param}'. Set param"
    ):
        read(api, paginator)
    assert len(api.requests) == 2


@pytest.mark.parametrize(
    ("paginator", "again"),
    [
        (JsonLinkPaginator(), response_of({"rows": [1], "next": "?page=1"})),
        (CursorPaginator(), response_of({"rows": [1], "next": "a"})),
        (HeaderLinkPaginator(), response_of([1], {"Link": '<?page=1>; rel="next"'})),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_page_whose_next_page_is_itself_is_an_error(paginator: Paginator, again: requests.Response) -> None:
    with pytest.raises(ApiError, match="that was already read"):
        read(Api(*[again] * 3), paginator)


@pytest.mark.parametrize(
    ("paginator", "following"),
    [(JsonLinkPaginator(), f"{LIST}?page=2"), (CursorPaginator(), "a"), (HeaderLinkPaginator(), f"{LIST}?page=2")],
)
def test_a_page_whose_next_page_is_itself_is_an_error_even_if_its_content_changes(
    paginator: Paginator, following: str
) -> None:
    link = {"Link": f'<{following}>; rel="next"'}
    api = Api(*[response_of({"rows": [at], "next": following}, link) for at in range(9)])
    with pytest.raises(ApiError, match="leads to a page that was already read"):
        read(api, paginator)
    assert len(api.requests) == 2


def test_a_cycle_of_pages_is_an_error() -> None:
    api = Api(*[response_of({"rows": [at], "next": "ab"[at % 2]}) for at in range(9)])
    with pytest.raises(ApiError, match="that was already read"):
        read(api, CursorPaginator())
    assert len(api.requests) == 3


def test_with_cursors_different_pages_can_have_the_same_rows() -> None:
    api = Api(
        response_of({"rows": [1], "next": "a"}), response_of({"rows": [1], "next": "b"}), response_of({"rows": [1]})
    )
    assert read(api, CursorPaginator()) == [1, 1, 1]


def test_with_repeats_last_page_the_same_rows_twice_end_the_list() -> None:
    api = Api(*[{"data": [1, 2]}] * 3)
    assert read(api, PageNumberPaginator(size=2, repeats_last_page=True)) == [1, 2]
    assert len(api.requests) == 2


@pytest.mark.parametrize("rows", ["data[?open]", "data[:1]", "data[0]", "not_null(data)", "sort(data)", "data || rows"])
def test_a_records_path_that_is_not_a_path_is_refused_before_a_request_is_sent(rows: str) -> None:
    api = Api({"data": []})
    with pytest.raises(ConfigurationError, match="Connection '': records_path '.*' is not valid at"):
        read(api, None, records_path=rows)
    assert api.requests == []


@pytest.mark.parametrize("last", [0, -1, True, None, "many"])
def test_an_invalid_number_of_pages_is_ignored(last: object) -> None:
    api = Api({"data": [1], "last": last}, {"data": [], "last": last})
    assert read(api, PageNumberPaginator(last="last"), records_path="data") == [1]


def test_counts_can_be_strings() -> None:
    assert read(
        Api({"data": [1], "last": "2"}, {"data": [2], "last": "2"}),
        PageNumberPaginator(last="last"),
        records_path="data",
    ) == [
        1,
        2,
    ]
    capped = Api({"data": [1], "total": "2"}, {"data": [2], "total": "2"})
    assert read(capped, OffsetPaginator(total="total"), records_path="data") == [1, 2]


@pytest.mark.parametrize(
    "paginator",
    [CursorPaginator("join(',', data)"), JsonLinkPaginator("join(',', data)"), OffsetPaginator(total="abs(data)")],
)
def test_a_path_that_does_not_fit_is_an_error_that_does_not_quote_the_response(paginator: Paginator) -> None:
    with pytest.raises(ApiError, match="cannot be searched with the JMESPath") as caught:
        read(Api({"data": [{"secret": "fake-row"}]}), paginator, records_path="data")
    assert "fake-row" not in str(caught.value)


def test_the_same_rows_twice_are_an_error_even_if_other_members_change() -> None:
    with pytest.raises(ApiError, match="same rows as the previous page"):
        read(Api(*[response_of({"rows": [1, 2], "at": at}) for at in range(9)]), PageNumberPaginator())


def test_two_empty_pages_are_not_the_same_rows_twice() -> None:
    api = Api(
        response_of([], pagination(CurrentPage=1, HasNext=True)),
        response_of([], pagination(CurrentPage=2, HasNext=True)),
        response_of([3], pagination(CurrentPage=3, HasNext=False)),
    )
    assert read(api, HeaderJsonPaginator()) == [3]


# --- memory


def test_pages_that_were_read_are_released() -> None:
    alive = []

    def get(request: PageRequest) -> requests.Response:
        gc.collect()
        alive.append(sum(page() is not None for page in seen))
        return response_of([request.query["page"]] if request.query["page"] < 9 else [])

    seen: list[weakref.ref[Page]] = []
    for page in pages(get, PageNumberPaginator(), {}):
        seen.append(weakref.ref(page))
    assert len(seen) == 9
    assert max(alive) <= 1  # the page that the caller holds


# --- through the hook


@pytest.fixture
def api(variables: dict[str, str], define_connection: Callable[..., None], requests_mock: Mocker) -> Mocker:
    host = URL.removesuffix("/items")
    define_connection("my_api", host=host, api_params={"account": 7}, api_headers={"X-Tenant": "t"})
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})
    return requests_mock


def sent_to_api(requests_mock: Mocker) -> list[str]:
    return [request.url for request in requests_mock.request_history if request.hostname != "login.example.com"]


def test_the_hook_sends_token_headers_and_parameters_with_every_page(api: Mocker) -> None:
    api.get(LIST, [{"json": [1, 2]}, {"json": [3]}])
    found = OAuthHook("my_api").paginate("items", OffsetPaginator(size=2), {"q": "a b"}, {"X-Mine": "1"})
    assert [page.rows for page in found] == [[1, 2], [3]]
    assert sent_to_api(api) == [f"{LIST}?offset={offset}&limit=2&q=a+b&account=7" for offset in (0, 2)]
    for request in api.request_history[1:]:
        assert request.headers["Authorization"] == "Bearer fake-token"
        assert (request.headers["X-Mine"], request.headers["X-Tenant"]) == ("1", "t")
        assert request.method == "GET"


@pytest.mark.parametrize("following", [f"{LIST}?page=2", "?page=2", "/v1/items?page=2"])
def test_the_hook_adds_the_connections_parameters_to_a_link(api: Mocker, following: str) -> None:
    api.get(f"{LIST}?page=1", json={"rows": [1], "next": following})
    api.get(f"{LIST}?page=2", json={"rows": [2]})
    found = OAuthHook("my_api").paginate("items", JsonLinkPaginator(), {"page": 1})
    assert [row for page in found for row in page.rows] == [1, 2]
    assert sent_to_api(api) == [f"{LIST}?page=1&account=7", f"{LIST}?page=2&account=7"]


@pytest.mark.parametrize(
    "following",
    [
        "https://elsewhere.example.net/items",
        "//elsewhere.example.net/items",
        "http://elsewhere.example.net/items",
        "http://api.example.com:8080/v1/items?page=2",
        "ftp://api.example.com/v1/items?page=2",
    ],
)
@pytest.mark.parametrize("in_header", [False, True])
def test_the_hook_sends_no_token_to_a_link_of_another_origin(api: Mocker, following: str, in_header: bool) -> None:
    api.get(ANY, json={"rows": [1], "next": following}, headers={"Link": f'<{following}>; rel="next"'})
    found = OAuthHook("my_api").paginate("items", HeaderLinkPaginator() if in_header else JsonLinkPaginator())
    assert next(found).rows == [1]
    with pytest.raises(ApiError, match="not part of the API"):
        next(found)
    assert sent_to_api(api) == [f"{LIST}?account=7"]


def test_a_link_to_the_same_host_over_http_is_followed_over_https(api: Mocker) -> None:
    api.get(f"{LIST}?page=1", json={"rows": [1], "next": "http://api.example.com/v1/items?page=2"})
    api.get(f"{LIST}?page=2", json={"rows": [2], "next": None})
    found = OAuthHook("my_api").paginate("items?page=1", JsonLinkPaginator())
    assert [row for page in found for row in page.rows] == [1, 2]
    assert sent_to_api(api) == [f"{LIST}?page=1&account=7", f"{LIST}?page=2&account=7"]


def test_an_error_status_of_a_later_page_is_raised_after_the_first_pages(api: Mocker) -> None:
    api.get(LIST, [{"json": [1]}, {"status_code": 500}])
    found = OAuthHook("my_api").paginate("items", PageNumberPaginator())
    assert next(found).rows == [1]
    with pytest.raises(ApiError, match="^500:"):
        next(found)


def test_an_invalid_records_path_is_an_error(api: Mocker) -> None:
    api.get(LIST, json={"rows": [1]})
    with pytest.raises(ConfigurationError, match="Connection 'my_api': records_path 'rows\\[' is not valid"):
        _ = next(OAuthHook("my_api").paginate("items", records_path="rows[")).rows
