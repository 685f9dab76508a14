"""The options of the paginators: where parameters are sent, what decides, and the end of the list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract import engine
from airflow_provider_oauth.extract.page import Page
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderJsonPaginator,
    HeaderLinkPaginator,
    JsonLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from tests.unit.extract.stub_api import URL, Api, read, reader, response_of

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.paginators import Paginator


# --- where parameters are sent


def test_a_cursor_can_be_sent_in_a_header() -> None:
    api = Api(response_of([1], {"Next-Range": "id 2.."}), [2])
    paginator = CursorPaginator("header:Next-Range", "Range", param_in="header")
    assert read(api, paginator, headers={"X-Mine": "a"}) == [1, 2]
    assert [dict(request.headers) for request in api.requests] == [
        {"X-Mine": "a"},
        {"X-Mine": "a", "Range": "id 2.."},
    ]


def test_a_cursor_can_be_sent_at_a_path_in_the_body() -> None:
    body = {"filterGroups": [{"filters": []}], "limit": 5}
    api = Api({"results": [1], "paging": {"next": {"after": "5"}}}, {"results": [2]})
    paginator = CursorPaginator("paging.next.after", "filterGroups.0.after", param_in="body")
    assert read(api, paginator, method="POST", json=body) == [1, 2]
    assert [request.json for request in api.requests] == [
        body,
        {"filterGroups": [{"filters": [], "after": "5"}], "limit": 5},
    ]
    assert body == {"filterGroups": [{"filters": []}], "limit": 5}


@pytest.mark.parametrize("variables", [{"first": 2}, {"first": 2, "after": None}])
def test_a_cursor_can_be_a_graphql_variable(variables: dict[str, Any]) -> None:
    def page(node: int, end: str, more: bool) -> dict[str, Any]:
        return {"data": {"x": {"edges": [{"node": node}], "pageInfo": {"endCursor": end, "hasNextPage": more}}}}

    api = Api(page(1, "a", True), page(2, "b", False))
    paginator = CursorPaginator(
        "data.x.pageInfo.endCursor", "variables.after", param_in="body", more="data.x.pageInfo.hasNextPage"
    )
    request = {"method": "POST", "json": {"query": "q", "variables": variables}}
    assert read(api, paginator, records_path="data.x.edges[].node", **request) == [1, 2]
    assert api.requests[1].json == {"query": "q", "variables": {"first": 2, "after": "a"}}


def test_objects_of_the_path_that_the_body_does_not_have_are_added() -> None:
    api = Api({"rows": [1], "next": "a"}, {"rows": [2]})
    assert read(api, CursorPaginator(param="variables.after", param_in="body"), method="POST", json={"q": 1}) == [1, 2]
    assert api.requests[1].json == {"q": 1, "variables": {"after": "a"}}


@pytest.mark.parametrize(
    ("param", "body", "problem"),
    [
        ("groups.1.after", {"groups": [{}]}, "'1' is not a key"),
        ("groups.0.after", {}, "'0' is not a key"),
        ("query.after", {"query": "text"}, "'after' is not a key"),
    ],
)
def test_a_place_that_the_body_does_not_have_is_an_error(param: str, body: dict[str, Any], problem: str) -> None:
    api = Api({"rows": [1], "next": "a"})
    with pytest.raises(ConfigurationError, match=f"cannot set its parameters in the body, because {problem}"):
        read(api, CursorPaginator(param=param, param_in="body"), method="POST", json=body)


@pytest.mark.parametrize("body", ["json", "data"])
def test_numbers_and_sizes_can_be_sent_in_the_body_and_the_callers_values_take_precedence(body: str) -> None:
    api = Api([1, 2], [3])
    paginator = PageNumberPaginator(param="page.number", size_param="page.size", size=9, param_in="body")
    assert read(api, paginator, method="POST", **{body: {"page": {"size": 2}}}) == [1, 2, 3]
    assert [getattr(request, body) for request in api.requests] == [
        {"page": {"size": 2, "number": 1}},
        {"page": {"size": 2, "number": 2}},
    ]


def test_an_offset_can_be_sent_in_headers() -> None:
    api = Api([1, 2], [3])
    assert read(api, OffsetPaginator("X-Skip", "X-Take", 2, param_in="header")) == [1, 2, 3]
    assert [dict(request.headers) for request in api.requests] == [
        {"X-Skip": "0", "X-Take": "2"},
        {"X-Skip": "2", "X-Take": "2"},
    ]


# --- totals, flags and numbers of pages


def test_the_number_of_pages_can_be_in_a_header() -> None:
    headers = {"X-WP-TotalPages": "2", "X-WP-Total": "3"}
    api = Api(response_of([1, 2], headers), response_of([3], headers))
    paginator = PageNumberPaginator(last="header:X-WP-TotalPages", total="header:x-wp-total")
    pages = reader(api, paginator)
    assert sum(page.count for page in pages) == 3
    assert pages.list_counts.total == 3


@pytest.mark.parametrize("name", ["last", "total"])
def test_an_absent_header_that_a_paginator_names_is_an_error(name: str) -> None:
    paginator = PageNumberPaginator(**{name: "header:X-Count"})
    with pytest.raises(ApiError, match=f"has no 'header:X-Count', where the paginator looks for {name}"):
        read(Api([1]), paginator)


@pytest.mark.parametrize(
    ("paginator", "first", "last"),
    [
        (CursorPaginator("next", more="more"), {"next": "a", "more": True}, {"next": "b", "more": False}),
        (CursorPaginator("next", more="!done"), {"next": "a", "done": False}, {"next": "b", "done": True}),
        (JsonLinkPaginator("next", more="more"), {"next": "?p=2", "more": "true"}, {"next": "?p=3", "more": "false"}),
        (OffsetPaginator(size=1, more="more"), {"more": 1}, {"more": 0}),
        (PageNumberPaginator(size=100, more="more"), {"more": True}, {"more": None}),
        (PageNumberPaginator(more="page < pages"), {"page": 1, "pages": 2}, {"page": 2, "pages": 2}),
    ],
)
def test_only_more_decides_if_a_page_has_it(paginator: Paginator, first: dict[str, Any], last: dict[str, Any]) -> None:
    assert read(Api({"rows": [1], **first}, {"rows": [2], **last}), paginator, records_path="rows") == [1, 2]


def test_an_absent_member_of_a_comparison_does_not_end_the_list() -> None:
    api = Api({"rows": [1], "page": 1}, {"rows": [2], "page": 2}, {"rows": [], "page": 3})
    assert read(api, PageNumberPaginator(more="page < pages")) == [1, 2]


@pytest.mark.parametrize("paginator", [CursorPaginator(more="more"), JsonLinkPaginator(more="more")])
def test_more_without_a_cursor_or_link_is_an_error(paginator: Paginator) -> None:
    with pytest.raises(ApiError, match="but according to 'more' there are more pages"):
        read(Api({"rows": [1], "more": True}), paginator)


def test_only_the_last_row_is_decoded_for_a_cursor_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Page, "content", property(lambda page: pytest.fail("decodes the page")))
    monkeypatch.setattr(Page, "rows", property(lambda page: pytest.fail("decodes the rows")))
    api = Api({"data": [{"id": "a"}, {"id": "b"}], "has_more": True}, {"data": [{"id": "c"}], "has_more": False})
    paginator = CursorPaginator(path="data[-1].id", param="starting_after", more="has_more")
    assert sum(page.count for page in reader(api, paginator)) == 3
    assert [dict(request.query) for request in api.requests] == [{}, {"starting_after": "b"}]


@pytest.mark.parametrize(("total", "rows"), [(3, 2), (1, 2)])
def test_another_number_of_rows_than_the_total_is_a_warning(
    total: int, rows: int, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api({"rows": [1], "total": total, "next": "a"}, {"rows": [2], "total": total, "next": None})
    pages = reader(api, CursorPaginator(total="total"))
    assert sum(page.count for page in pages) == rows
    assert pages.list_counts.total == total
    assert f"{rows} rows were read, but according to the API there are {total}" in caplog.text


def test_the_total_is_remembered_if_the_last_page_does_not_have_it(caplog: pytest.LogCaptureFixture) -> None:
    api = Api({"rows": [1], "total": 5}, {"rows": []})
    pages = reader(api, OffsetPaginator(size=1, total="total"))
    assert len([page.count for page in pages]) == 2
    assert pages.list_counts.total == 5
    assert "1 rows were read, but according to the API there are 5" in caplog.text


# --- the Link header


@pytest.mark.parametrize(
    "link",
    [
        '<?page=2>; rel="next"',
        "<?page=2>;rel=next",
        '<?page=1>; rel="prev", <?page=2>; rel="next last"',
        '<?page=2>; title="a=b; c"; rel="Next"',
    ],
)
def test_every_valid_form_of_a_link_is_read(link: str) -> None:
    api = Api(response_of([1], {"Link": link}), [2])
    assert read(api, HeaderLinkPaginator()) == [1, 2]
    assert api.requests[1].url == f"{URL}?page=2"


def test_the_url_of_a_link_can_contain_a_semicolon_and_a_comma() -> None:
    api = Api(response_of([1], {"Link": f'<{URL};v=1?ids=1,2&page=2>; rel="next"'}), [2])
    assert read(api, HeaderLinkPaginator()) == [1, 2]
    assert api.requests[1].url == f"{URL};v=1?ids=1,2&page=2"


def test_a_missing_link_header_is_no_error_even_after_a_full_page() -> None:
    assert len(read(Api([1] * 100), HeaderLinkPaginator(), request_params={"per_page": 100})) == 100


def test_a_link_with_another_relation_is_an_error_that_shows_the_relation() -> None:
    headers = {"Link": '< https://api.example.com/items?token=x >; rel="next-page"'}
    with pytest.raises(ApiError, match='Use HeaderLinkPaginator\\(rel="next-page"\\)'):
        read(Api(response_of([1], headers)), HeaderLinkPaginator())
    assert read(Api(response_of([1], headers), [2]), HeaderLinkPaginator(rel="next-page")) == [1, 2]


def test_a_header_with_json_can_contain_the_number_of_pages() -> None:
    headers = [{"X-Pagination": json.dumps({"pageNumber": n, "pageCount": 2})} for n in (1, 2)]
    api = Api(response_of([1], headers[0]), response_of([2], headers[1]))
    assert read(api, HeaderJsonPaginator(page="pageNumber", last="pageCount")) == [1, 2]


def test_a_missing_header_with_json_ends_the_list_only_if_it_is_optional() -> None:
    assert read(Api([1]), HeaderJsonPaginator(optional=True)) == [1]
    with pytest.raises(ApiError, match="so it is unknown whether there are more pages"):
        read(Api([1]), HeaderJsonPaginator())


# --- values that are not cursors


@pytest.mark.parametrize(
    ("paginator", "value", "problem"),
    [
        (CursorPaginator(), {"page": 2}, "has an object at 'next', where the paginator looks for a cursor"),
        (CursorPaginator(), ["a"], "has an array at 'next', where the paginator looks for a cursor"),
        (CursorPaginator(), True, "has true at 'next', where the paginator looks for a cursor"),
        (JsonLinkPaginator(), {"href": "/x"}, "has an object at 'next', where the paginator looks for a link"),
        (JsonLinkPaginator(), 2, "has a number at 'next', where the paginator looks for a link"),
    ],
)
def test_a_value_of_another_type_is_an_error(paginator: Paginator, value: object, problem: str) -> None:
    with pytest.raises(ApiError, match=problem):
        read(Api({"rows": [1], "next": value}), paginator, records_path="rows")


def test_a_cursor_in_the_body_can_be_an_array() -> None:
    api = Api({"hits": [1], "sort": [7, "x"]}, {"hits": [], "sort": None})
    paginator = CursorPaginator("sort", "search_after", param_in="body")
    assert read(api, paginator, method="POST", json={}, records_path="hits") == [1]
    assert api.requests[1].json == {"search_after": [7, "x"]}


# --- the end of the list


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("paginator", [PageNumberPaginator, OffsetPaginator])
def test_an_error_beyond_the_end_names_the_setting(status: int, paginator: type[PageNumberPaginator]) -> None:
    with pytest.raises(ApiError, match=rf"set stop_on=\({status},\).* limits how many pages") as caught:
        read(Api([1], ApiError(f"{status}: no.", status)), paginator(size=1))
    assert caught.value.status_code == status
    assert read(Api([1], ApiError("no", status)), paginator(size=1, stop_on=(status,))) == [1]


def test_an_error_of_the_first_page_does_not_end_the_list() -> None:
    with pytest.raises(ApiError, match="^404: no$"):
        read(Api(ApiError("404: no", 404)), PageNumberPaginator(stop_on=(404,)))


def test_another_error_does_not_end_the_list() -> None:
    with pytest.raises(ApiError, match="^500: no$"):
        read(Api([1], ApiError("500: no", 500)), PageNumberPaginator(stop_on=(404,)))


def test_a_status_that_ends_the_list_before_its_total_is_an_error() -> None:
    api = Api({"rows": [1], "total": 3}, ApiError("400: no", 400))
    with pytest.raises(ApiError, match="1 rows were read, but according to the API there are 3"):
        read(api, OffsetPaginator(size=1, total="total", stop_on=(400,)))


def test_a_status_that_ends_a_list_that_looks_paginated_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    api = Api({"rows": [1], "total": 3}, ApiError("400: no", 400))
    assert read(api, OffsetPaginator(size=1, stop_on=(400,))) == [1]
    assert "the list ended after 1 rows, but its last page has total" in caplog.text


@pytest.mark.parametrize("paginator", [JsonLinkPaginator, CursorPaginator])
def test_empty_page_ends_a_list_whose_pages_always_have_a_next_page(paginator: type[JsonLinkPaginator]) -> None:
    api = Api({"rows": [1], "next": "?p=2"}, {"rows": [], "next": "?p=3"})
    assert read(api, paginator(empty_page_ends=True)) == [1]


def test_too_many_consecutive_empty_pages_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_EMPTY_PAGES", 3)
    api = Api(*({"rows": [], "next": f"{n}"} for n in range(9)))
    with pytest.raises(ApiError, match="the last of 3 consecutive pages without rows.*empty_page_ends=True"):
        read(api, CursorPaginator())
    assert len(api.requests) == 3


def test_repeats_last_page_ends_a_list_whose_last_page_names_itself() -> None:
    def pages() -> Api:
        return Api({"rows": [1], "next": "?p=2"}, {"rows": [2], "next": "?p=2"})

    assert read(pages(), JsonLinkPaginator(repeats_last_page=True)) == [1, 2]
    with pytest.raises(ApiError, match="was already read.*set repeats_last_page=True"):
        read(pages(), JsonLinkPaginator())


def test_a_server_may_limit_the_page_size() -> None:
    api = Api([0] * 50, [1] * 50, [2] * 7)
    assert len(read(api, OffsetPaginator(size=500))) == 107
    assert [request.query["offset"] for request in api.requests] == [0, 50, 100]


def test_a_first_page_with_an_unusual_number_of_rows_below_the_size_is_the_only_one() -> None:
    assert len(read(Api([1] * 37), PageNumberPaginator(size_param="n", size=100))) == 37


def test_a_short_page_does_not_end_a_list_that_says_that_there_are_more() -> None:
    api = Api({"rows": [1, 2], "moreResult": True}, {"rows": [3], "moreResult": True}, {"rows": []})
    assert read(api, OffsetPaginator(size=2)) == [1, 2, 3]


# --- JMESPaths


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("@odata.nextLink", '"@odata.nextLink"'),
        ("page-info.next", '"page-info".next'),
        ("links[0].next-url", 'links[0]."next-url"'),
        ("2fa.next", '"2fa".next'),
    ],
)
def test_the_error_of_an_invalid_path_shows_its_quoted_form(path: str, quoted: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        CursorPaginator(path)
    assert str(caught.value) == (
        f"CursorPaginator: path {path!r} is not a valid JMESPath. Write keys with special characters in quotes: "
        f"{quoted}"
    )
    assert CursorPaginator(quoted).path == quoted


@pytest.mark.parametrize("name", ["path", "more", "total"])
def test_paths_are_checked_when_a_paginator_is_created(name: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f"^CursorPaginator: {name} 'a\\[' is not a valid JMESPath. Correct it"
    ):
        CursorPaginator(**{name: "a["})
