"""Paginators through the hook: the exact bytes of bodies, headers, and statuses beyond the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from airflow_provider_oauth.hooks.oauth import OAuthHook
from tests.connections import BASE_URL, TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests_mock import Mocker

ITEMS = f"{BASE_URL}/items"


@pytest.fixture
def api(variables: dict[str, str], define_connection: Callable[..., None], requests_mock: Mocker) -> Mocker:
    define_connection("shop")
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})
    return requests_mock


def test_a_cursor_is_sent_in_the_json_body_of_a_post_request(api: Mocker) -> None:
    api.post(ITEMS, [{"json": {"results": [1], "paging": {"next": {"after": "1"}}}}, {"json": {"results": [2]}}])
    paginator = CursorPaginator("paging.next.after", "filterGroups.0.after", param_in="body")
    hook = OAuthHook("shop", method="POST")
    pages = hook.paginate("items", paginator, json={"filterGroups": [{}], "limit": 1}, records_path="results")
    assert [page.rows for page in pages] == [[1], [2]]
    assert [request.body for request in api.request_history[1:]] == [
        b'{"filterGroups": [{}], "limit": 1}',
        b'{"filterGroups": [{"after": "1"}], "limit": 1}',
    ]


def test_a_cursor_is_sent_in_a_header(api: Mocker) -> None:
    api.get(ITEMS, [{"json": [1], "headers": {"X-Next": "b"}}, {"json": [2]}])
    pages = OAuthHook("shop").paginate("items", CursorPaginator("header:x-next", "X-Cursor", param_in="header"))
    assert [page.rows for page in pages] == [[1], [2]]
    assert [request.headers.get("X-Cursor") for request in api.request_history[1:]] == [None, "b"]


@pytest.mark.parametrize("status", [400, 404])
def test_stop_on_ends_a_list_with_an_error_beyond_its_end(api: Mocker, status: int) -> None:
    api.get(ITEMS, [{"json": [1]}, {"status_code": status}])
    pages = OAuthHook("shop").paginate("items", PageNumberPaginator(stop_on=(status,)))
    assert [page.rows for page in pages] == [[1]]


def test_without_stop_on_an_error_beyond_the_end_names_it(api: Mocker) -> None:
    api.get(ITEMS, [{"json": [1]}, {"status_code": 404}])
    pages = OAuthHook("shop").paginate("items", PageNumberPaginator())
    assert next(pages).rows == [1]
    with pytest.raises(ApiError, match=r"^404:Not Found .* set stop_on=\(404,\) in the paginator"):
        next(pages)


def test_a_204_response_is_a_page_without_rows(api: Mocker) -> None:
    api.get(ITEMS, status_code=204)
    assert [page.rows for page in OAuthHook("shop").paginate("items", HeaderLinkPaginator())] == [[]]


QUERY = OffsetPaginator("STARTPOSITION", "MAXRESULTS", 2, start=1, text_param="query")


def test_offset_and_page_size_can_be_part_of_a_query_text(api: Mocker) -> None:
    api.get(ITEMS, [{"json": [1, 2]}, {"json": [3]}])
    params = {"query": "select * from Invoice ", "minorversion": 75}
    pages = OAuthHook("shop").paginate("items", QUERY, request_params=params)
    assert [page.rows for page in pages] == [[1, 2], [3]]
    assert [request.url.partition("?")[2] for request in api.request_history[1:]] == [
        "query=select+%2A+from+Invoice+STARTPOSITION+1+MAXRESULTS+2&minorversion=75",
        "query=select+%2A+from+Invoice+STARTPOSITION+3+MAXRESULTS+2&minorversion=75",
    ]


def test_the_size_in_a_query_text_can_be_a_parameter_of_the_list(api: Mocker) -> None:
    api.get(ITEMS, json=[1])
    params = {"query": "select * from Invoice", "MAXRESULTS": 7}
    assert [page.rows for page in OAuthHook("shop").paginate("items", QUERY, request_params=params)] == [[1]]
    assert api.last_request.url.endswith("?query=select+%2A+from+Invoice+STARTPOSITION+1+MAXRESULTS+7")


@pytest.mark.parametrize("params", [None, {"query": "select 1 maxresults 5"}, {"query": ["select 1"]}])
def test_a_query_text_that_is_missing_or_has_a_page_is_refused(api: Mocker, params: dict[str, str] | None) -> None:
    with pytest.raises(ConfigurationError, match="Set this parameter in request_params to a query without them"):
        next(OAuthHook("shop").paginate("items", QUERY, request_params=params))
    assert api.request_history == []


def test_a_cursor_can_be_the_only_parameter_of_the_next_requests(api: Mocker) -> None:
    api.get(
        ITEMS, [{"json": {"rows": [1], "next": "a"}}, {"json": {"rows": [2], "next": "b"}}, {"json": {"rows": [3]}}]
    )
    pages = OAuthHook("shop").paginate("items", CursorPaginator(sole_param=True), request_params={"type": "x"})
    assert [page.rows for page in pages] == [[1], [2], [3]]
    assert [request.url for request in api.request_history[1:]] == [
        f"{ITEMS}?type=x", f"{ITEMS}?cursor=a", f"{ITEMS}?cursor=b",
    ]  # fmt: skip
