"""Paginators through the hook: the exact bytes of bodies, headers, and statuses beyond the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.extract.paginators import CursorPaginator, HeaderLinkPaginator, PageNumberPaginator
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
