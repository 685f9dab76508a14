"""Wrong parameters of a list cause an error, or a warning that names what to check."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderLinkPaginator,
    JsonLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
    SinglePagePaginator,
)
from tests.unit.extract.stub_api import Api, read, reader, response_of

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.paginators import Paginator


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# --- more


@pytest.mark.parametrize("more", ["!lastPage", "lastPage == `false`", "lastPage != `true`"])
def test_a_misspelt_member_of_more_does_not_decide(more: str) -> None:
    # JMESPath treats absent members as null, so "not last" would always be true.
    assert read(Api({"rows": [1], "last_page": False}, {"rows": []}), PageNumberPaginator(more=more)) == [1]


def test_a_member_of_more_that_is_there_decides() -> None:
    api = Api({"rows": [1], "last_page": False}, {"rows": [2], "last_page": True})
    assert read(api, PageNumberPaginator(more="!last_page")) == [1, 2]


@pytest.mark.parametrize(
    ("content", "more"),
    [({"rows": [1], "has_more": True}, "!has_more"), ({"rows": [1], "last_page": False}, "last_page")],
)
def test_a_list_that_more_ends_against_a_flag_causes_a_warning(
    caplog: pytest.LogCaptureFixture, content: dict[str, Any], more: str
) -> None:
    read(Api(content), CursorPaginator("cursor", more=more))
    assert "so there may be more rows. Check the paginator." in caplog.text


# --- the only page


@pytest.mark.parametrize(
    "members", [{"isLast": True}, {"has_more": False}, {"pages": {"page": 1, "total_pages": 1}}, {"next": None}]
)
def test_a_full_page_that_says_that_it_is_the_last_one_is_complete(
    caplog: pytest.LogCaptureFixture, members: dict[str, Any]
) -> None:
    assert len(read(Api({"rows": [1] * 50, **members}), CursorPaginator("next.cursor"), records_path="rows")) == 50
    assert warnings(caplog) == []


@pytest.mark.parametrize("size", [{}, {"limit": 50}])
def test_a_full_page_without_a_link_header_causes_a_warning(
    caplog: pytest.LogCaptureFixture, size: dict[str, int]
) -> None:
    assert len(read(Api([1] * 50), HeaderLinkPaginator(), request_params=size)) == 50
    assert "rows may be missing: the response has 50 rows" in caplog.text


def test_a_short_page_without_a_link_header_is_complete(caplog: pytest.LogCaptureFixture) -> None:
    assert len(read(Api([1] * 50), HeaderLinkPaginator(), request_params={"per_page": 100})) == 50
    assert warnings(caplog) == []


@pytest.mark.parametrize(("paginator", "is_warning"), [(None, True), (SinglePagePaginator(), False)])
def test_a_usual_number_of_rows_without_a_paginator_causes_a_warning(
    caplog: pytest.LogCaptureFixture, paginator: Paginator | None, is_warning: bool
) -> None:
    assert len(read(Api([1] * 50), paginator)) == 50
    assert ("set paginator=SinglePagePaginator()" in caplog.text) is is_warning


@pytest.mark.parametrize(
    ("paginator", "members"),
    [
        (OffsetPaginator(size=2, total="meta.count"), {"count": 2}),
        (PageNumberPaginator(size_param="limit", size=2, last="meta.page"), {"page": 1}),
    ],
)
def test_a_total_that_is_a_number_of_the_page_causes_a_warning(
    caplog: pytest.LogCaptureFixture, paginator: Paginator, members: dict[str, int]
) -> None:
    assert read(Api({"rows": [1, 2], "meta": members}), paginator) == [1, 2]
    assert "which seems to describe only this page, not the whole list" in caplog.text


def test_a_link_that_is_null_beside_another_link_causes_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    content = {"rows": [1], "previous": None, "next": "https://api.example.com/items?page=2"}
    read(Api(content), JsonLinkPaginator("previous"))
    assert "its last page has next, so there may be more rows" in caplog.text


def test_a_page_size_beside_the_start_is_not_a_total(caplog: pytest.LogCaptureFixture) -> None:
    read(Api({"rows": [1], "paging": {"start": 0, "count": 100}}), OffsetPaginator("start", "count"))
    assert warnings(caplog) == []


# --- nested rows


@pytest.mark.parametrize("paginator", [OffsetPaginator(), OffsetPaginator(total="total"), PageNumberPaginator(size=9)])
@pytest.mark.parametrize("path", ["orders[].lines[]", ["orders[].lines[]", "@"], "groups.*[]"])
def test_a_paginator_that_counts_rows_is_refused_for_nested_rows(paginator: Paginator, path: Any) -> None:
    # 100 orders with 250 lines: the offset would be 250, and 150 orders would be missing.
    with pytest.raises(ConfigurationError, match="finds the next page by the number of rows"):
        reader(Api(), paginator, records_path=path)


@pytest.mark.parametrize(
    ("paginator", "path"),
    [
        (OffsetPaginator(), "edges[].node"),
        (OffsetPaginator(), "items.*"),
        (PageNumberPaginator(last="pages"), "orders[].lines[]"),
        (CursorPaginator(), "orders[].lines[]"),
    ],
)
def test_other_paths_and_paginators_are_accepted(paginator: Paginator, path: str) -> None:
    reader(Api(), paginator, records_path=path)


# --- the values of parameters


def test_rendered_text_becomes_a_number_or_a_boolean() -> None:
    values: dict[str, Any] = {"size": "50", "start": "0", "optional": "False", "stop_on": ("404",)}
    assert PageNumberPaginator(**values) == PageNumberPaginator(size=50, start=0, stop_on=(404,))


def test_a_single_status_can_be_given_as_a_number() -> None:
    status: Any = 404
    assert PageNumberPaginator(stop_on=status).stop_on == (404,)


def test_templates_are_checked_after_they_were_rendered() -> None:
    value: Any = "{{ params.value }}"
    paginator = OffsetPaginator(size=value, optional=value, stop_on=value, param_in=value)
    assert (paginator.size, paginator.optional, paginator.stop_on, paginator.param_in) == (value,) * 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": "None"}, "OffsetPaginator: size is 'None', which is invalid. Set it to an integer of at least 1."),
        ({"size": 0}, "size is 0, which is invalid. Set it to an integer of at least 1."),
        ({"start": -1}, "start is -1, which is invalid. Set it to an integer of at least 0."),
        ({"size": True}, "size is True, which is invalid. Set it to an integer of at least 1."),
        ({"optional": "maybe"}, "optional is 'maybe', which is invalid. Set it to True or False."),
        ({"stop_on": ("gone",)}, "stop_on is .'gone',., which is invalid. Set it to an integer of at least 0."),
        ({"param_in": "json"}, "param_in is 'json', which is invalid. Set it to one of query, header, body."),
    ],
)
def test_other_values_are_errors(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        OffsetPaginator(**values)


def test_a_head_request_has_no_rows() -> None:
    with pytest.raises(ConfigurationError, match="HEAD request has no body"):
        reader(Api(response_of(b"")), None, method="HEAD")
