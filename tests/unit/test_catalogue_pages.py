"""Lists of vendors whose pages are unusual, with the vendor's file and without a paginator of the task."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.api.recovery import RecoveryPolicy, Reply
from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.presets.vendors import vendor as catalogue_vendor
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.source import TokenSource
from tests.connections import BASE_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests_mock import Mocker


@pytest.fixture
def read(
    monkeypatch: pytest.MonkeyPatch, define_connection: Callable[..., None], requests_mock: Mocker
) -> Callable[..., list[Any]]:
    """Read a list with a vendor's file; the API returns ``pages``. No token is requested, which takes seconds."""
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    token = Token(access_token="fake-token", token_type="Bearer", issued_at=datetime.now(UTC), expires_at=expires_at)
    monkeypatch.setattr(TokenSource, "token", lambda self, scope=None: token)

    def rows(vendor: str, endpoint: str, pages: list[Any], method: str = "GET", **request: Any) -> list[Any]:
        values = {name: value.example for name, value in catalogue_vendor(vendor).values.items()}
        known = {"xero": {"tenant_id": "1"}, "jira": {"cloud_id": "1"}, "quickbooks": {"realm_id": "1"}}
        values |= known.get(vendor, {})
        prefix = "v3/company/1/" if vendor == "quickbooks" else ""
        fields = {"grant_type": "refresh_token", "refresh_token": "fake-refresh-token", "vendor_values": values}
        define_connection("shop", vendor=vendor, host=BASE_URL, **fields)
        requests_mock.request(method, f"{BASE_URL}/{prefix}{endpoint}", [{"json": page} for page in pages])
        hook = OAuthHook("shop", method=method)
        return [row for page in hook.paginate(endpoint, **request) for row in page.rows]

    return rows


def queries(requests_mock: Mocker) -> list[str]:
    return [request.url.partition("?")[2] for request in requests_mock.request_history if request.url[8:11] == "api"]


def invoices(*numbers: int) -> dict[str, Any]:
    return {"QueryResponse": {"Invoice": [{"Id": number} for number in numbers], "maxResults": len(numbers)}}


def test_quickbooks_reads_a_query_to_its_empty_page(read: Callable[..., list[Any]], requests_mock: Mocker) -> None:
    pages = [invoices(1, 2), {"QueryResponse": {}, "time": "2026-11-28T00:00:00Z"}]
    params = {"query": "select * from Invoice", "MAXRESULTS": 2}
    assert read("quickbooks", "query", pages, request_params=params) == [{"Id": 1}, {"Id": 2}]
    assert queries(requests_mock) == [
        "query=select+%2A+from+Invoice+STARTPOSITION+1+MAXRESULTS+2",
        "query=select+%2A+from+Invoice+STARTPOSITION+3+MAXRESULTS+2",
    ]
    assert read("quickbooks", "query", [{"QueryResponse": {}}], request_params=params) == []


def test_quickbooks_refuses_an_entity_that_the_vendor_file_does_not_list(read: Callable[..., list[Any]]) -> None:
    page = {"QueryResponse": {"Ship": [{"Id": 1}], "maxResults": 1}}
    with pytest.raises(ApiError, match="records_path of the vendor file does not have this entity"):
        read("quickbooks", "query", [page], request_params={"query": "select * from Ship"})


def test_a_query_of_notion_with_more_rows_than_it_returns_is_an_error(read: Callable[..., list[Any]]) -> None:
    status = {"type": "incomplete", "incomplete_reason": "query_result_limit_reached"}
    page = {"results": [{"id": 1}], "has_more": False, "next_cursor": None, "request_status": status}
    with pytest.raises(ApiError, match="A query returns at most 10,000 rows, and this one has more. Split it"):
        read("notion", "v1/data_sources/1/query", [page], "POST", json={})


def test_amazon_sends_only_the_token_for_the_next_page_of_reports(
    read: Callable[..., list[Any]], requests_mock: Mocker
) -> None:
    pages = [{"reports": [1], "nextToken": "b"}, {"reports": [2]}]
    params = {"reportTypes": "X"}
    assert read("amazon_selling_partner", "reports/2021-06-30/reports", pages, request_params=params) == [1, 2]
    assert queries(requests_mock) == ["reportTypes=X&pageSize=100", "nextToken=b"]


def test_an_amazon_page_can_be_empty_although_more_follow(read: Callable[..., list[Any]]) -> None:
    pages = [{"payload": {"transactions": [], "nextToken": "b"}}, {"payload": {"transactions": [2]}}]
    assert read("amazon_selling_partner", "finances/2024-06-19/transactions", pages) == [2]


def test_google_ads_pages_are_in_the_body(read: Callable[..., list[Any]], requests_mock: Mocker) -> None:
    pages = [{"results": [1], "nextPageToken": "b", "fieldMask": "x"}, {"results": [2], "fieldMask": "x"}]
    endpoint = "v26/customers/1/googleAds:search"
    assert read("google_ads", endpoint, pages, "POST", json={"query": "SELECT"}) == [1, 2]
    assert [request.json() for request in requests_mock.request_history] == [
        {"query": "SELECT"},
        {"query": "SELECT", "pageToken": "b"},
    ]
    assert read("google_ads", endpoint, [{"fieldMask": "x"}], "POST", json={"query": "SELECT"}) == []


def test_google_ads_streams_are_arrays_of_parts(read: Callable[..., list[Any]]) -> None:
    pages = [[{"results": [1, 2], "fieldMask": "x"}, {"results": [3]}]]
    assert read("google_ads", "v26/customers/1/googleAds:searchStream", pages, "POST", json={"query": "S"}) == [1, 2, 3]


def test_google_analytics_pages_are_in_the_body(read: Callable[..., list[Any]], requests_mock: Mocker) -> None:
    pages = [{"rows": [1, 2], "rowCount": 3}, {"rows": [3], "rowCount": 3}]
    endpoint = "v1beta/properties/1:runReport"
    assert read("google_analytics", endpoint, pages, "POST", json={"metrics": [], "limit": 2}) == [1, 2, 3]
    assert [request.json()["offset"] for request in requests_mock.request_history] == [0, 2]
    assert read("google_analytics", endpoint, [{"metricHeaders": []}], "POST", json={"metrics": []}) == []


def test_a_realtime_report_of_google_analytics_has_its_limit_in_the_body(
    read: Callable[..., list[Any]], requests_mock: Mocker
) -> None:
    endpoint = "v1beta/properties/1:runRealtimeReport"
    assert read("google_analytics", endpoint, [{"rows": [1, 2], "rowCount": 2}], "POST", json={"metrics": []}) == [1, 2]
    assert requests_mock.request_history[0].url == f"{BASE_URL}/{endpoint}"
    assert requests_mock.request_history[0].json() == {"metrics": [], "limit": 250000}


def test_xero_reads_the_list_and_not_the_warnings(read: Callable[..., list[Any]], requests_mock: Mocker) -> None:
    paging = {"pageCount": 2, "itemCount": 2}
    pages = [{"Warnings": [{}], "Invoices": [1], "pagination": paging}, {"Invoices": [2], "pagination": paging}]
    assert read("xero", "api.xro/2.0/Invoices", pages) == [1, 2]
    assert queries(requests_mock) == ["page=1&pageSize=1000", "page=2&pageSize=1000"]


def test_xero_reads_journals_after_the_last_number(read: Callable[..., list[Any]], requests_mock: Mocker) -> None:
    rows = [{"JournalNumber": 7}, {"JournalNumber": 9}]
    assert read("xero", "api.xro/2.0/Journals", [{"Journals": rows}, {"Journals": []}]) == rows
    assert queries(requests_mock) == ["", "offset=9"]


def test_shopify_refuses_a_query_with_two_lists_that_have_more_pages(read: Callable[..., list[Any]]) -> None:
    lists = {
        name: {"nodes": [1], "pageInfo": {"hasNextPage": more, "endCursor": "x"}}
        for name, more in (("products", False), ("orders", True))
    }
    endpoint = "admin/api/2026-10/graphql.json"
    with pytest.raises(ApiError, match="A GraphQL query must have only one connection"):
        read("shopify", endpoint, [{"data": lists}], "POST", json={"query": "x"})
    lists["orders"]["pageInfo"] = {"hasNextPage": False, "endCursor": "x"}
    assert read("shopify", endpoint, [{"data": lists}], "POST", json={"query": "x"}) == [1, 1]


@pytest.mark.parametrize(("is_incomplete", "action"), [(b"true", "retry"), (b"false", None)])
def test_github_repeats_a_search_that_did_not_finish(is_incomplete: bytes, action: str | None) -> None:
    body = b'{"total_count": 1, "incomplete_results": %s, "items": [1]}' % is_incomplete
    rule = RecoveryPolicy(rules=catalogue_vendor("github").error_rules).rule_for(Reply(200, {}, lambda: body))
    assert (rule and rule.action) == action


def test_a_slash_at_the_end_of_an_endpoint_does_not_change_the_paginator(read: Callable[..., list[Any]]) -> None:
    paging = {"pageCount": 2, "itemCount": 2}
    pages = [{"Invoices": [1], "pagination": paging}, {"Invoices": [2], "pagination": paging}]
    assert read("xero", "api.xro/2.0/Invoices/", pages) == [1, 2]


def test_xero_reads_all_pages_of_projects(read: Callable[..., list[Any]], requests_mock: Mocker) -> None:
    pages = [{"pagination": {"pageCount": 2, "itemCount": 2}, "items": [{"projectId": i}]} for i in range(2)]
    assert read("xero", "projects.xro/2.0/projects", pages) == [{"projectId": 0}, {"projectId": 1}]
    assert queries(requests_mock) == ["page=1&pageSize=500", "page=2&pageSize=500"]


def test_a_list_of_xeros_other_apis_is_not_read_without_a_warning(
    read: Callable[..., list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    pages = [{"pagination": {"page": 1, "pageSize": 50, "pageCount": 3, "itemCount": 120}, "assets": [{"id": 1}] * 50}]
    read("xero", "assets.xro/1.0/Assets", pages, records_path="assets")
    assert "looks like the first page of a longer list" in caplog.text


def test_jira_filters_users_after_it_has_read_them(read: Callable[..., list[Any]], requests_mock: Mocker) -> None:
    assert (
        read("jira", "ex/jira/1/rest/api/3/user/assignable/search", [[{"accountId": "a"}] * 37])
        == [{"accountId": "a"}] * 37
    )
    assert queries(requests_mock) == ["maxResults=1000"]


def test_zoho_reads_records_with_a_page_token(read: Callable[..., list[Any]], requests_mock: Mocker) -> None:
    info = {"per_page": 200, "count": 1, "next_page_token": "b", "more_records": True}
    pages = [{"data": [1], "info": info}, {"data": [2], "info": {**info, "more_records": False}}]
    assert read("zoho", "crm/v8/Leads", pages, request_params={"fields": "Email"}) == [1, 2]
    assert queries(requests_mock) == ["fields=Email&per_page=200", "page_token=b&fields=Email&per_page=200"]


def test_zoho_books_has_one_array_per_list(read: Callable[..., list[Any]], requests_mock: Mocker) -> None:
    pages = [
        {"code": 0, "contacts": [1], "page_context": {"page": 1, "has_more_page": True}},
        {"code": 0, "contacts": [2], "page_context": {"page": 2, "has_more_page": False}},
    ]
    assert read("zoho", "books/v3/contacts", pages) == [1, 2]
    assert queries(requests_mock) == ["page=1&per_page=200", "page=2&per_page=200"]


def test_stripe_requests_the_rows_after_the_last_one(read: Callable[..., list[Any]], requests_mock: Mocker) -> None:
    pages = [{"data": [{"id": "a"}], "has_more": True}, {"data": [{"id": "b"}], "has_more": False}]
    assert read("stripe_connect", "v1/charges", pages) == [{"id": "a"}, {"id": "b"}]
    assert queries(requests_mock) == ["limit=100", "starting_after=a&limit=100"]


def test_zoom_ends_with_an_empty_token(read: Callable[..., list[Any]], requests_mock: Mocker) -> None:
    pages = [{"next_page_token": "b", "users": [1]}, {"next_page_token": "", "users": [2]}]
    assert read("zoom", "v2/users", pages) == [1, 2]
    assert queries(requests_mock) == ["page_size=300", "next_page_token=b&page_size=300"]


def test_a_range_of_google_sheets_without_values_has_no_rows(read: Callable[..., list[Any]]) -> None:
    endpoint = "v4/spreadsheets/1/values/A1:B2"
    assert read("google_sheets", endpoint, [{"range": "A1:B2", "values": [["a", "b"], ["c"]]}]) == [["a", "b"], ["c"]]
    assert read("google_sheets", endpoint, [{"range": "A1:B2"}]) == []


def test_a_list_of_microsoft_graph_without_a_link_is_complete(read: Callable[..., list[Any]]) -> None:
    assert read("microsoft_graph", "v1.0/users", [{"value": [*range(100)]}]) == [*range(100)]


def test_hubspot_may_return_exactly_one_full_page(read: Callable[..., list[Any]]) -> None:
    page = {"results": [{"id": number} for number in range(100)]}
    assert len(read("hubspot", "crm/v3/objects/contacts", [page])) == 100
    with pytest.raises(ApiError, match="which can be a full page"):
        read("hubspot", "crm/v3/owners", [page])
