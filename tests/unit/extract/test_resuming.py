"""Lists that are continued at a stored position."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import requests

from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.extract.engine import PageReader
from airflow_provider_oauth.extract.error_rules import ErrorRule
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderLinkPaginator,
    JsonLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from airflow_provider_oauth.extract.position import Position, Secrets
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.extract.resuming import ResumeRefused
from tests.unit.extract.stub_api import URL, Api, response_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.paginators import NextPage, Paginator

NUMBERS = PageNumberPaginator(size_param="size", size=2)
PAGES = [[{"id": 1}, {"id": 2}], [{"id": 3}, {"id": 4}], [{"id": 5}, {"id": 6}], [{"id": 7}]]


def positions(api: Api, paginator: Paginator, **request: Any) -> list[Position]:
    """Read a list, and return the position after each page, as it is stored."""
    found: list[Position] = []
    reader = PageReader(api, ListRequest(endpoint="items", paginator=paginator, **request), "my_api")
    reader.after_page = lambda position: found.append(Position.from_json(json.loads(json.dumps(position().as_json()))))
    list(reader)
    return found


def resumed(api: Api, paginator: Paginator, position: Position | None, **request: Any) -> PageReader:
    request = {"endpoint": "items", "paginator": paginator, **request}
    return PageReader(api, ListRequest(**request), "my_api", position=position)


def rows(reader: PageReader) -> list[Any]:
    return [row for page in reader for row in page.rows]


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("paginator", [NUMBERS, OffsetPaginator(size=2)])
def test_reading_continues_after_any_page(paginator: Paginator, number: int) -> None:
    position = positions(Api(*PAGES), paginator)[number - 1]
    complete, rest = Api(*PAGES), Api(*PAGES[number:])
    rows(resumed(complete, paginator, None))
    reader = resumed(rest, paginator, position)
    assert [row["id"] for row in rows(reader)] == [row["id"] for page in PAGES[number:] for row in page]
    assert rest.requests == complete.requests[number:]
    assert (reader.list_counts.pages, reader.list_counts.rows) == (4, 7)


def test_there_is_no_position_after_the_last_page() -> None:
    assert len(positions(Api(*PAGES), NUMBERS)) == 3


def test_a_position_has_only_the_parameters_of_the_paginator() -> None:
    request = {"request_params": {"status": "fake-status"}, "headers": {"X-Key": "fake-key"}}
    position = positions(Api(*PAGES), NUMBERS, **request)[0].as_json()
    assert position.pop("digest") == position.pop("first_digest")
    assert position == {
        "url": None,
        "values": {"page": 2},
        "is_shortened": False,
        "is_withheld": False,
        "pages": 1,
        "rows": 2,
        "first_count": 2,
        "total": None,
        "last": None,
    }


def test_a_cursor_in_the_body_is_continued() -> None:
    paginator = CursorPaginator(path="after", param="variables.after", param_in="body")
    body = {"query": "fake-query", "variables": {"first": 2}}
    position = positions(
        Api({"after": "b", "rows": [1]}, {"after": None, "rows": [2]}), paginator, method="POST", json=body
    )[0]
    api = Api({"after": None, "rows": [2]})
    assert rows(resumed(api, paginator, position, method="POST", json=body)) == [2]
    assert api.requests[0].json == {"query": "fake-query", "variables": {"first": 2, "after": "b"}}


def test_a_link_is_continued_without_the_parameters_of_the_list() -> None:
    link = {"next": "items?page=2", "rows": [1]}
    position = positions(Api(link, {"next": None, "rows": [2]}), JsonLinkPaginator(), request_params={"a": "b"})[0]
    assert position.url == "https://api.example.com/v1/items?page=2"
    api = Api({"next": None, "rows": [2]})
    assert rows(resumed(api, JsonLinkPaginator(), position, request_params={"a": "b"})) == [2]
    assert (api.requests[0].url, api.requests[0].query) == (position.url, {})


REQUEST = requests.Request(
    "GET", URL, headers={"Authorization": "Bearer fake-access-token", "X": "fake-tenant"}
).prepare()
SECRETS = Secrets(["own"], ["fake-own-secret", "short"], "Authorization")


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("a=%2f&access_token=fake&page_token=fake-cursor&b#c", "a=%2f&page_token=fake-cursor&b"),
        ("p=2&API-Key=fake&hapikey=fake&privateToken=fake", "p=2"),
        ("p=2&OWN=fake", "p=2"),
        ("p=2&t=fake-access-token", "p=2"),
        ("p=2&t=Bearer%20fake%2Daccess%2Dtoken", "p=2"),
        ("p=2&other=fake-own-secret", "p=2"),
    ],
)
def test_a_stored_link_has_no_secret(query: str, kept: str) -> None:
    assert SECRETS.removed(f"{URL}?{query}", REQUEST) == (f"{URL}?{kept}".removesuffix("?"), True)


@pytest.mark.parametrize("url", [f"{URL}?token=fake-cursor&a=short&tenant=fake-tenant", URL])
def test_a_link_without_secret_is_stored_unchanged(url: str) -> None:
    assert SECRETS.removed(url, REQUEST) == (url, False)
    assert Secrets().removed(url, None) == (url, False)


def test_a_stored_link_has_no_user_and_password() -> None:
    assert Secrets().removed("https://fake:fake@api.example.com/a?b", None) == ("https://api.example.com/a?b", True)


@pytest.mark.parametrize(
    ("paginator", "path"),
    [
        (JsonLinkPaginator(), "items/fake-own-secret?page=2"),
        (JsonLinkPaginator(), "items?page=2&cursor=fake%2Down%2Dsecret.2"),
        (JsonLinkPaginator(), "items?page=2&url=https%3A%2F%2Fa%3Ft%3Dfake%252Down%252Dsecret"),
        (JsonLinkPaginator(), "items?page=2;t=fake-own-secret"),
        (CursorPaginator(), "items?page=2&t=fake-own-secret"),
    ],
)
def test_a_next_page_that_contains_a_secret_is_not_stored(paginator: Paginator, path: str) -> None:
    reader = PageReader(
        Api({"next": path, "rows": [1]}, {"next": None, "rows": [2]}),
        ListRequest(endpoint="items", paginator=paginator),
        "my_api",
        secrets=SECRETS,
    )
    found: list[Position] = []
    reader.after_page = lambda position: found.append(position())
    list(reader)
    assert "fake-own-secret" not in str(found[0].as_json())
    with pytest.raises(ResumeRefused, match="contains a secret"):
        rows(resumed(Api(), paginator, found[0]))


class Steps:
    """A paginator of another package, which returns the given next pages.

    :param param_in: where its parameters are sent
    """

    first_params: ClassVar = {}

    def __init__(self, *steps: NextPage, param_in: str = "query") -> None:
        self.steps = steps
        self.param_in = param_in

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        return self.steps[page.number - 1]


@pytest.mark.parametrize("value", [datetime(2026, 1, 1, tzinfo=UTC), b"cursor", object()])
def test_a_value_that_is_not_json_is_not_stored(value: object) -> None:
    paginator = Steps({"cursor": value}, None)
    position = positions(Api([1], [2]), paginator)[0]
    with pytest.raises(ResumeRefused, match="is not JSON"):
        rows(resumed(Api(), paginator, position))


@pytest.mark.parametrize("param_in", ["query", "header", "body"])
def test_parameters_and_links_are_continued(param_in: str) -> None:
    paginator = Steps({"a": 1}, "items?b=2", {"c": 3}, None, param_in=param_in)
    request = {"json": {}, "method": "POST"} if param_in == "body" else {}
    complete = Api([1], [2], [3], [4])
    for number, position in enumerate(positions(complete, paginator, **request), start=1):
        rest = Api(*[[each] for each in range(number + 1, 5)])
        assert rows(resumed(rest, paginator, position, **request)) == list(range(number + 1, 5))
        assert rest.requests == complete.requests[number:]


def test_the_position_after_a_link_with_a_token_is_marked_as_shortened() -> None:
    first = response_of([1], {"Link": f'<{URL}?page=2&access_token=fake>; rel="next"'})
    position = positions(Api(first, [2]), HeaderLinkPaginator())[0]
    assert (position.url, position.is_shortened) == (f"{URL}?page=2", True)


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_refused_position_is_reported(status: int) -> None:
    position = positions(Api(*PAGES), NUMBERS)[1]
    with pytest.raises(ResumeRefused, match="fake error"):
        rows(resumed(Api(ApiError("fake error", status)), NUMBERS, position))


@pytest.mark.parametrize(("is_shortened", "error"), [(True, ResumeRefused), (False, ApiError)])
def test_a_link_without_its_secret_can_be_refused_with_403(is_shortened: bool, error: type[Exception]) -> None:
    position = Position(url=URL, is_shortened=is_shortened, pages=1, rows=1, first_count=1)
    with pytest.raises(error):
        rows(resumed(Api(ApiError("fake error", 403)), JsonLinkPaginator(), position))


def test_a_status_that_ends_the_list_is_not_its_end_directly_after_resuming() -> None:
    paginator = PageNumberPaginator(stop_on=(416,))
    position = Position(values={"page": 2}, pages=1, rows=2, first_count=2)
    with pytest.raises(ResumeRefused):
        rows(resumed(Api(ApiError("fake error", 416)), paginator, position))
    assert rows(resumed(Api(PAGES[1], ApiError("fake error", 416)), paginator, position)) == PAGES[1]


def test_a_rule_does_not_end_a_list_directly_after_resuming() -> None:
    error = ApiError("fake error", 422)
    error.rule = ErrorRule("stop", status=422)
    with pytest.raises(ResumeRefused):
        rows(resumed(Api(error), NUMBERS, Position(values={"page": 2}, pages=1, rows=2, first_count=2)))


def test_other_errors_stay_errors_and_later_pages_too() -> None:
    position = positions(Api(*PAGES), NUMBERS)[0]
    with pytest.raises(ApiError, match="fake error"):
        rows(resumed(Api(ApiError("fake error", 500)), NUMBERS, position))
    with pytest.raises(ApiError, match="fake error"):
        rows(resumed(Api(PAGES[1], ApiError("fake error", 404)), NUMBERS, position))


def test_the_first_page_again_means_that_the_api_ignores_the_position() -> None:
    pages = [{"after": "b", "rows": [1]}, {"after": "c", "rows": [2]}, {"after": None, "rows": [3]}]
    position = positions(Api(*pages), CursorPaginator(path="after"))[1]
    with pytest.raises(ResumeRefused, match="first page of the list again"):
        rows(resumed(Api(*pages), CursorPaginator(path="after"), position))


def test_the_last_page_again_ends_a_list_if_the_paginator_says_so() -> None:
    position = positions(Api(*PAGES), NUMBERS)[2]
    paginator = PageNumberPaginator(repeats_last_page=True)
    assert rows(resumed(Api(PAGES[2]), paginator, position)) == []
    with pytest.raises(ApiError, match="same rows as the previous page"):
        rows(resumed(Api(PAGES[2]), NUMBERS, position))


def test_the_size_of_the_first_page_decides_after_resuming_too() -> None:
    position = positions(Api(*PAGES), NUMBERS)[0]  # 2 rows per page
    assert position.first_count == 2
    api = Api([{"id": 3}])
    assert rows(resumed(api, NUMBERS, position)) == [{"id": 3}]
    assert not api.responses


def test_the_total_and_the_last_page_are_kept() -> None:
    paginator = PageNumberPaginator(last="pages", total="total")
    position = positions(Api(*({"pages": 3, "total": 3, "rows": [number]} for number in (1, 2, 3))), paginator)[0]
    assert (position.total, position.last) == (3, 3)
    reader = resumed(Api({"pages": None, "total": None, "rows": []}), paginator, position)
    with pytest.raises(ApiError, match="page 2 of 3"):
        rows(reader)
    assert reader.list_counts.total == 3


def test_no_warning_about_pages_before_the_first_one_after_resuming(caplog: pytest.LogCaptureFixture) -> None:
    paginator = PageNumberPaginator(last="pages")
    pages = [{"pages": 3, "page": number, "rows": [number]} for number in (1, 2, 3)]
    position = positions(Api(*pages), paginator)[0]
    caplog.clear()
    assert rows(resumed(Api(*pages[1:]), paginator, position)) == [2, 3]
    assert not caplog.records
