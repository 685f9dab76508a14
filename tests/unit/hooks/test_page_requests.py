"""The requests for the pages of a list: what each one sends, although most are copies of the request before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract.formats import JsonLinesFormat
from airflow_provider_oauth.extract.paginators import CursorPaginator, JsonLinkPaginator, PageNumberPaginator
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.hooks.oauth import OAuthHook
from tests.connections import BASE_URL, TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests_mock import Mocker

ITEMS = f"{BASE_URL}/items"


@pytest.fixture
def api(variables: dict[str, str], define_connection: Callable[..., None], requests_mock: Mocker) -> Mocker:
    define_connection("shop", api_params={"lang": "de"}, api_headers={"X-Shop": "7"})
    requests_mock.post(
        TOKEN_URL, [{"json": {"access_token": f"fake-token-{number}", "expires_in": 3600}} for number in (1, 2)]
    )
    return requests_mock


def rows(hook: OAuthHook, paginator: Any, **params: Any) -> list[Any]:
    return [row for page in hook.paginate("items", paginator, **params) for row in page.rows]


def sent(api: Mocker, name: str) -> list[str | None]:
    """Return a header of all requests to the API."""
    return [request.headers.get(name) for request in api.request_history if request.path == "/items"]


def queries(api: Mocker) -> list[dict[str, list[str]]]:
    """Return the queries of all requests to the API."""
    return [parse_qs(urlsplit(request.url).query) for request in api.request_history if request.method == "GET"]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_all_pages_have_the_parameters_and_headers_of_the_task_and_of_the_connection(
    api: Mocker, concurrency: int
) -> None:
    api.get(ITEMS, [{"json": [1]}, {"json": [2]}, {"json": []}, {"json": []}, {"json": []}])
    params = {"q": ["ä", "b c"], "none": None}
    hook = OAuthHook("shop")
    found = rows(hook, PageNumberPaginator(), request_params=params, headers={"X-Mine": "1"}, concurrency=concurrency)
    assert found == [1, 2]
    for number, query in enumerate(queries(api)[:3], 1):
        assert query == {"q": ["ä", "b c"], "page": [str(number)], "lang": ["de"]}
    assert set(sent(api, "X-Mine")) == {"1"}
    assert set(sent(api, "X-Shop")) == {"7"}
    assert set(sent(api, "Authorization")) == {"Bearer fake-token-1"}


def test_a_page_after_a_renewal_has_the_new_token(api: Mocker) -> None:
    refused = {"status_code": 401, "headers": {"WWW-Authenticate": 'Bearer error="invalid_token"'}}
    api.get(ITEMS, [{"json": [1]}, {"json": [2]}, refused, {"json": [3]}, {"json": []}])
    assert rows(OAuthHook("shop"), PageNumberPaginator()) == [1, 2, 3]
    assert sent(api, "Authorization") == [
        *["Bearer fake-token-1"] * 3,  # the third one is refused
        *["Bearer fake-token-2"] * 2,
    ]


def test_the_bodies_of_pages_differ_if_the_paginator_changes_them(api: Mocker) -> None:
    api.post(
        ITEMS, [{"json": {"rows": [1], "next": "b"}}, {"json": {"rows": [2], "next": "c"}}, {"json": {"rows": []}}]
    )
    paginator = CursorPaginator(param="after", param_in="body", optional=True)
    hook = OAuthHook("shop", method="POST")
    assert rows(hook, paginator, json={"size": 1}, records_path="rows") == [1, 2]
    bodies = [request.body for request in api.request_history if request.path == "/items"]
    assert bodies == [b'{"size": 1}', b'{"size": 1, "after": "b"}', b'{"size": 1, "after": "c"}']
    assert [int(length or 0) for length in sent(api, "Content-Length")] == list(map(len, bodies))


def test_a_form_body_stays_the_same_if_the_paginator_changes_only_the_query(api: Mocker) -> None:
    api.post(ITEMS, [{"json": [1]}, {"json": [2]}, {"json": []}])
    assert rows(OAuthHook("shop", method="POST"), PageNumberPaginator(), data={"a": "1"}) == [1, 2]
    assert [request.body for request in api.request_history if request.path == "/items"] == ["a=1"] * 3
    assert set(sent(api, "Content-Type")) == {"application/x-www-form-urlencoded"}


def test_a_header_of_the_paginator_changes_with_each_page(api: Mocker) -> None:
    api.get(ITEMS, [{"json": {"rows": [1], "next": "b"}}, {"json": {"rows": [2], "next": ""}}])
    paginator = CursorPaginator(param="X-After", param_in="header")
    assert rows(OAuthHook("shop"), paginator, records_path="rows") == [1, 2]
    assert sent(api, "X-After") == [None, "b"]


def test_a_link_replaces_path_and_query(api: Mocker) -> None:
    api.get(ITEMS, json={"rows": [1], "next": f"{BASE_URL}/more?cursor=a%20b"})
    api.get(f"{BASE_URL}/more", json={"rows": [2], "next": None})
    found = rows(OAuthHook("shop"), JsonLinkPaginator(), request_params={"q": "1"}, records_path="rows")
    assert found == [1, 2]
    assert queries(api) == [{"q": ["1"], "lang": ["de"]}, {"cursor": ["a b"], "lang": ["de"]}]


def test_the_second_page_does_not_send_the_token_to_another_origin(api: Mocker) -> None:
    api.get(ITEMS, json={"rows": [1], "next": "https://other.example.com/items?page=2"})
    with pytest.raises(ApiError, match="is not part of the API"):
        rows(OAuthHook("shop"), JsonLinkPaginator(), records_path="rows")
    assert all(urlsplit(request.url).hostname != "other.example.com" for request in api.request_history)


def test_the_body_is_read_while_the_request_is_sent(api: Mocker) -> None:
    api.get(ITEMS, json=[1])
    page = next(OAuthHook("shop").paginate("items"))
    assert vars(page.response)["_content"] == b"[1]"


def test_streamed_responses_have_their_header_on_all_pages(api: Mocker) -> None:
    api.get(ITEMS, [{"text": '{"a": 1}\n'}, {"text": '{"a": 2}\n'}, {"text": ""}])
    found = rows(OAuthHook("shop"), PageNumberPaginator(), response_format=JsonLinesFormat())
    assert found == [{"a": 1}, {"a": 2}]
    assert set(sent(api, "Accept-Encoding")) == {"gzip"}


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True, "8", None])
def test_concurrency_is_a_positive_integer(api: Mocker, concurrency: Any) -> None:
    with pytest.raises(ConfigurationError, match="'shop': concurrency is .*Set it to an integer of at least 1"):
        OAuthHook("shop").read_pages(ListRequest(endpoint="items"), concurrency=concurrency)


def test_requests_that_may_change_data_are_not_sent_ahead(api: Mocker) -> None:
    hook = OAuthHook("shop")
    hook.repeatable = False
    with pytest.raises(ConfigurationError, match="concurrency is 2.*repeatable=False"):
        hook.paginate("items", concurrency=2)


def test_the_pool_has_a_connection_for_each_request(api: Mocker, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    mount = requests.Session.mount
    monkeypatch.setattr(
        requests.Session,
        "mount",
        lambda self, prefix, adapter: (
            sizes.append(getattr(adapter, "_pool_maxsize", 0)),
            mount(self, prefix, adapter),
        )[1],
    )
    OAuthHook("shop").read_pages(ListRequest(endpoint="items"), concurrency=32)
    assert sizes[-2:] == [32, 32]
    OAuthHook("shop").read_pages(ListRequest(endpoint="items"))
    assert sizes[-2:] == [10, 10]
