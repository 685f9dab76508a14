"""Reads lists of well-known APIs as a task would, with the right parameters and with likely mistakes."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderLinkPaginator,
    JsonLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from airflow_provider_oauth.hooks.oauth import OAuthHook
from tests.connections import TOKEN_URL
from tests.unit.extract.known_apis import ORIGIN, Call
from tests.unit.extract.known_lists import APIS, KnownApi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests_mock import Mocker


@pytest.fixture
def stub(
    variables: dict[str, str], define_connection: Callable[..., None], requests_mock: Mocker
) -> Callable[[KnownApi, int], list[dict[str, Any]]]:
    """Return a function that lets the stubbed server behave as an API, and returns the rows of its list."""
    define_connection("known", host=f"{ORIGIN}/v1")

    def serve_as(api: KnownApi, count: int) -> list[dict[str, Any]]:
        requests_mock.reset()
        requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})
        rows = [{"id": number, "name": f"Item {number}"} for number in range(1, count + 1)]

        def answer(request: Any, context: Any) -> Any:
            query = dict(parse_qsl(urlsplit(request.url).query))
            content, headers = api.serve(Call(rows, query, request.json() if request.method == "POST" else None))
            context.headers.update(headers)
            return content

        for method in ("GET", "POST"):
            requests_mock.register_uri(method, f"{ORIGIN}/v1/items", json=answer)
            requests_mock.register_uri(method, f"{ORIGIN}/repositories/1/items", json=answer)
        return rows

    return serve_as


def read(paginator: Any, request: dict[str, Any]) -> list[Any]:
    return [row for page in OAuthHook("known").paginate("items", paginator, **request) for row in page.rows]


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_all_rows_are_read(
    stub: Callable[[KnownApi, int], list[dict[str, Any]]], caplog: pytest.LogCaptureFixture, api: KnownApi
) -> None:
    for count in (api.size * 5 // 2, api.size * 2, 3, 0):
        rows = stub(api, count)
        assert read(api.paginator, api.request) == rows
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_a_mistake_never_loses_rows_without_a_warning(
    stub: Callable[[KnownApi, int], list[dict[str, Any]]], caplog: pytest.LogCaptureFixture, api: KnownApi
) -> None:
    rows = stub(api, api.size * 5 // 2)
    for mistake, paginator, request in mistakes(api):
        caplog.clear()
        try:
            found = read(paginator, request)
        except OAuthError:
            continue
        assert found == rows or any(record.levelno >= logging.WARNING for record in caplog.records), mistake


def mistakes(api: KnownApi) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield likely mistakes: a description, the paginator, and the other parameters."""
    right = api.paginator
    others = (HeaderLinkPaginator(), JsonLinkPaginator(), CursorPaginator(), OffsetPaginator(size=api.size), None)
    for other in others:
        if other != right:
            yield f"paginator {other}", other, api.request
    # ClickUp's first page has number 0, and nothing in the response for page 1 shows that a page precedes it.
    if not isinstance(right, PageNumberPaginator):
        yield "page number", PageNumberPaginator(size_param="limit", size=api.size), api.request
    for name in ("path", "more", "total", "last", "param", "size_param"):
        if value := getattr(right, name, None):
            yield f"{name} misspelt", replace(right, **{name: misspelt(value)}), api.request
    if more := right.more:
        inverted = more.removeprefix("!") if more.startswith("!") else f"!{more}"
        yield "more inverted", replace(right, more=inverted), api.request
    if api.size_param:
        yield "page size misspelt", right, replace(api, size_param=f"{api.size_param}x").request
        yield "no page size", right, replace(api, size_param="").request
    if api.records_path:
        yield "no records_path", right, {**api.request, "records_path": None}
        path = misspelt(api.records_path.removesuffix("[]")) + ("[]" if api.records_path.endswith("[]") else "")
        yield "records_path misspelt", right, {**api.request, "records_path": path}


def misspelt(name: str) -> str:
    return f'{name[:-1]}x"' if name.endswith('"') else f"{name}x"
