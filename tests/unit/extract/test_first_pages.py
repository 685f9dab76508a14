"""Measures "looks paginated" on documented first responses of APIs: paginated ones, and complete lists."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING

import pytest
import requests

from airflow_provider_oauth.extract import paginators
from airflow_provider_oauth.extract.completeness import doubt, error_of, is_usual_size, looks_paginated
from airflow_provider_oauth.extract.engine import PageReader
from airflow_provider_oauth.extract.page import Page
from airflow_provider_oauth.extract.request import ListRequest
from tests.unit.extract.first_pages import COMPLETE, FIRST_PAGES, PAGINATED

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.paginators import Paginator
    from tests.unit.extract.first_pages import FirstPage

#: Responses of paginated APIs that contain nothing about pages.
NO_SIGN = {"Auth0 users without include_totals", "Marketo emails (Asset API)"}
#: Complete lists that have as many rows as a full page of many APIs.
FULL_BY_CHANCE = {
    "Jira projects (array, /rest/api/3/project)",
    "Bare array of the 50 states of the USA",
    "HubSpot contact properties",
    "Spotify genre seeds",
}


def response_of(entry: FirstPage) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url = entry.status, "https://api.example.com/list"
    response._content = json.dumps(entry.body).encode()
    response.headers.update(entry.headers)
    return response


def page_of(entry: FirstPage) -> Page:
    return Page(response_of(entry), "@" if entry.name == "Slack team.info" else entry.rows_path)


def paginator_of(code: str) -> Paginator:
    """Return the paginator that Python code describes."""
    paginator: Paginator = eval(code, vars(paginators))  # noqa: S307  # the code is part of this package
    return paginator


def test_there_are_enough_entries() -> None:
    assert len(PAGINATED) >= 80
    assert len(COMPLETE) >= 55
    assert len({entry.name for entry in FIRST_PAGES}) == len(FIRST_PAGES)


def test_first_pages_are_recognized_without_false_alarms() -> None:
    misses = {entry.name for entry in PAGINATED if not looks_paginated(page_of(entry))}
    alarms = {entry.name for entry in COMPLETE if looks_paginated(page_of(entry))}
    print(f"Looks paginated: {len(PAGINATED) - len(misses)} of {len(PAGINATED)} first pages are recognized.")
    print(f"Misses: {', '.join(sorted(misses))}.")
    print(f"False alarms among {len(COMPLETE)} complete lists: {len(alarms)}.")
    assert alarms == set()
    assert misses == NO_SIGN


def test_the_usual_page_sizes_find_the_first_pages_without_a_sign() -> None:
    missed = {entry.name for entry in PAGINATED if entry.name in NO_SIGN and not is_usual_size(page_of(entry).count)}
    alarms = {entry.name for entry in COMPLETE if doubt(page_of(entry), entry.requested_size, may_be_absent=False)}
    print(f"With the usual page sizes: {len(missed)} misses, {len(alarms)} alarms: {', '.join(sorted(alarms))}.")
    assert missed == set()
    assert alarms == FULL_BY_CHANCE


@pytest.mark.parametrize("entry", FIRST_PAGES, ids=lambda entry: entry.name)
def test_no_documented_response_is_mistaken_for_an_error(entry: FirstPage) -> None:
    assert error_of(page_of(entry)) is None
    assert error_of(Page(response_of(entry))) is None


@pytest.mark.parametrize("entry", PAGINATED, ids=lambda entry: entry.name)
def test_the_suggested_paginator_can_be_created_and_finds_the_next_page(entry: FirstPage) -> None:
    page = page_of(entry)
    sign = looks_paginated(page)
    if sign is None or "…" in sign.paginator:
        return
    paginator = paginator_of(sign.paginator)
    assert paginator.next_page(page, paginator.first_params)


def test_most_suggestions_are_complete() -> None:
    signs = [sign for entry in PAGINATED if (sign := looks_paginated(page_of(entry)))]
    complete = [sign for sign in signs if "…" not in sign.paginator]
    print(f"{len(complete)} of {len(signs)} suggestions need no other value.")
    assert len(complete) > len(signs) / 2


#: The paginator that reads the whole list, and names of complete lists that it must accept.
SHORT_LISTS: dict[str, str] = {
    "GitHub issues, three rows and no Link header": "HeaderLinkPaginator()",
    "Shopify REST, one page and no Link header": "HeaderLinkPaginator()",
    "WooCommerce orders, one page": "HeaderLinkPaginator()",
    "Sentry events, last page with a next link": "HeaderLinkPaginator()",
    "Amazon SP-API orders, last page": 'CursorPaginator(path="payload.NextToken", param="NextToken")',
    "Intercom companies, one page": 'CursorPaginator(path="pages.next.starting_after", param="starting_after")',
    "Intercom conversations, one page": 'CursorPaginator(path="pages.next.starting_after", param="starting_after")',
    "HubSpot owners, last page": 'CursorPaginator(path="paging.next.after", param="after")',
    "Airtable records, no offset": 'CursorPaginator(path="offset", param="offset")',
    "Salesforce query, done true": 'JsonLinkPaginator(path="nextRecordsUrl")',
    "PostgREST with Prefer: count=exact, all rows": 'OffsetPaginator(size=15, total="header:Content-Range")',
    "PostgREST without a count, all rows": 'OffsetPaginator(size=15, total="header:Content-Range")',
    "Heroku apps, one page": 'CursorPaginator(path="header:Next-Range", param="Range", param_in="header")',
    "Microsoft Graph directoryRoles": "JsonLinkPaginator(path='\"@odata.nextLink\"')",
    "GitHub GraphQL pull requests, hasNextPage false": (
        'CursorPaginator(path="data.repository.pullRequests.pageInfo.endCursor", param="variables.after", '
        'param_in="body", more="data.repository.pullRequests.pageInfo.hasNextPage")'
    ),
}


@pytest.mark.parametrize(("name", "code"), SHORT_LISTS.items(), ids=lambda value: re.sub(r"\W+", "-", value)[:60])
def test_a_short_list_is_complete_with_its_paginator(name: str, code: str, caplog: pytest.LogCaptureFixture) -> None:
    entry = next(entry for entry in COMPLETE if entry.name == name)
    request = ListRequest(endpoint="list", paginator=paginator_of(code), records_path=entry.rows_path)
    reader = PageReader(lambda _: response_of(entry), request, "my_api")
    with caplog.at_level(logging.WARNING):
        assert sum(page.count for page in reader) == entry.rows
    assert reader.list_counts.pages == 1
    assert caplog.text == ""


@pytest.mark.parametrize("entry", FIRST_PAGES, ids=lambda entry: entry.name)
def test_without_a_paginator_only_first_pages_cause_a_warning(
    entry: FirstPage, caplog: pytest.LogCaptureFixture
) -> None:
    request = ListRequest(endpoint="list", records_path=page_of(entry).records_path)
    with caplog.at_level(logging.WARNING):
        list(PageReader(lambda _: response_of(entry), request, "my_api"))
    warnings = [record.getMessage() for record in caplog.records]
    if not entry.paginated or entry.name in NO_SIGN:
        assert all("rows, which can be a full page" in warning for warning in warnings)
        assert len(warnings) == (entry.name in NO_SIGN | FULL_BY_CHANCE)
    else:
        assert len(warnings) == 1
        assert "looks like the first page of a longer list" in warnings[0]
        assert re.search(r"set paginator=\w+Paginator\(", warnings[0])
