"""Lists of GitHub, HubSpot and Marketo, which a task fetches without a paginator: its connection names the vendor.

The responses have the shapes of the vendors' documentation, which the vendor files name.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from tests.connections import TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker
    from requests_mock.request import Request

GITHUB = "https://api.github.com"
HUBSPOT = "https://api.hubapi.com"
MARKETO = "https://284-RPR-133.mktorest.com"
HOSTS = {"github": GITHUB, "hubspot": HUBSPOT, "marketo": f"{MARKETO}/rest"}


@pytest.fixture(autouse=True)
def _connections(define_connection: Callable[..., None], variables: dict[str, str], requests_mock: Mocker) -> None:
    for vendor, host in HOSTS.items():
        define_connection(
            f"my_{vendor}",
            host=host,
            vendor=vendor,
            grant_type="client_credentials",
            token_method="POST",
            body_format="form",
        )
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})


def fetch(tmp_path: Path, vendor: str, endpoint: str, **parameters: Any) -> tuple[bytes, dict[str, Any]]:
    """Return the content of the file that a task writes, and the result of the task."""
    path = tmp_path / "rows.jsonl"
    task = OAuthExtractOperator(
        task_id="fetch", oauth_conn_id=f"my_{vendor}", endpoint=endpoint, path=str(path), **parameters
    )
    result = task.execute({})
    return path.read_bytes(), result


def sent(requests_mock: Mocker) -> list[Request]:
    return [request for request in requests_mock.request_history if request.url != TOKEN_URL]


def queries(requests_mock: Mocker) -> list[str]:
    return [request.query for request in sent(requests_mock)]


def test_the_log_names_the_paginator_of_the_vendor_once(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    requests_mock.get(f"{HUBSPOT}/crm/v3/objects/contacts", json={"results": [{"id": "1"}]})
    caplog.set_level("INFO", logger="airflow_provider_oauth.hooks.lists")
    hook = OAuthHook("my_hubspot")

    for _ in range(2):
        list(hook.paginate("crm/v3/objects/contacts"))

    assert [record.getMessage() for record in caplog.records if record.name.endswith("hooks.lists")] == [
        "Connection 'my_hubspot': the vendor file of HubSpot splits crm/v3/objects/contacts into pages with "
        "CursorPaginator."
    ]


# --- GitHub


def test_issues_of_github(tmp_path: Path, requests_mock: Mocker) -> None:
    url = f"{GITHUB}/repositories/71/issues?per_page=100&page=2"
    requests_mock.get(
        f"{GITHUB}/repos/octocat/Spoon-Knife/issues",
        text='[{"id": 1, "title": "One"},\n {"id": 2, "title": "Two"}]',
        headers={"Link": f'<{url}>; rel="next", <{url}>; rel="last"'},
    )
    requests_mock.get(url, text='[{"id": 3}]', headers={"Link": f'<{GITHUB}/x?page=1>; rel="prev"'})

    content, result = fetch(tmp_path, "github", "repos/octocat/Spoon-Knife/issues")

    assert content == b'{"id": 1, "title": "One"}\n{"id": 2, "title": "Two"}\n{"id": 3}\n'
    assert (result["rows"], result["pages"]) == (3, 2)
    assert queries(requests_mock) == ["per_page=100", "per_page=100&page=2"]


def test_a_search_of_github_has_its_rows_in_an_object(tmp_path: Path, requests_mock: Mocker) -> None:
    requests_mock.get(
        f"{GITHUB}/search/issues",
        json={"total_count": 1, "incomplete_results": False, "items": [{"id": 1}]},
    )

    content, result = fetch(tmp_path, "github", "search/issues", data={"q": "bug"})

    assert (content, result["rows"], result["pages"]) == (b'{"id": 1}\n', 1, 1)
    assert queries(requests_mock) == ["q=bug&per_page=100"]


# --- HubSpot


def test_contacts_of_hubspot(tmp_path: Path, requests_mock: Mocker) -> None:
    link = f"{HUBSPOT}/crm/v3/objects/contacts?after=2"
    requests_mock.get(
        f"{HUBSPOT}/crm/v3/objects/contacts",
        [
            {"json": {"results": [{"id": "1"}, {"id": "2"}], "paging": {"next": {"after": "2", "link": link}}}},
            {"json": {"results": [{"id": "3"}]}},
        ],
    )

    content, result = fetch(tmp_path, "hubspot", "crm/v3/objects/contacts")

    assert content == b'{"id": "1"}\n{"id": "2"}\n{"id": "3"}\n'
    assert (result["rows"], result["pages"]) == (3, 2)
    assert queries(requests_mock) == ["limit=100", "after=2&limit=100"]


def test_a_search_of_hubspot_is_a_post_with_the_cursor_in_the_body(tmp_path: Path, requests_mock: Mocker) -> None:
    requests_mock.post(
        f"{HUBSPOT}/crm/v3/objects/contacts/search",
        [
            {"json": {"total": 3, "results": [{"id": "1"}, {"id": "2"}], "paging": {"next": {"after": "2"}}}},
            {"json": {"total": 3, "results": [{"id": "3"}]}},
        ],
    )
    body = {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "HAS_PROPERTY"}]}]}

    content, result = fetch(tmp_path, "hubspot", "crm/v3/objects/contacts/search", method="POST", json=body)

    assert content == b'{"id": "1"}\n{"id": "2"}\n{"id": "3"}\n'
    assert (result["rows"], result["pages"]) == (3, 2)
    assert [request.json() for request in sent(requests_mock)] == [
        {**body, "limit": 200},
        {**body, "limit": 200, "after": "2"},
    ]
    assert queries(requests_mock) == ["", ""]


def test_properties_of_hubspot_have_no_pages(tmp_path: Path, requests_mock: Mocker) -> None:
    requests_mock.get(f"{HUBSPOT}/crm/v3/properties/contacts", json={"results": [{"name": str(n)} for n in range(250)]})

    _, result = fetch(tmp_path, "hubspot", "crm/v3/properties/contacts")

    assert (result["rows"], result["pages"]) == (250, 1)
    assert queries(requests_mock) == [""]


# --- Marketo


def marketo(rows: list[dict[str, Any]], token: str, *, more: bool) -> dict[str, Any]:
    return {"requestId": "a9ae#1", "success": True, "nextPageToken": token, "moreResult": more, "result": rows}


def test_lead_changes_of_marketo_end_when_there_are_no_more_results(tmp_path: Path, requests_mock: Mocker) -> None:
    requests_mock.get(
        f"{MARKETO}/rest/v1/activities/leadchanges.json",
        [
            {"json": marketo([{"id": 1078}], "GIYDA===", more=True)},
            {"json": marketo([{"id": 1079}, {"id": 1080}], "GIYDB===", more=False)},
        ],
    )

    content, result = fetch(
        tmp_path, "marketo", "v1/activities/leadchanges.json", data={"nextPageToken": "FIRST", "fields": "firstName"}
    )

    assert content == b'{"id": 1078}\n{"id": 1079}\n{"id": 1080}\n'
    assert (result["rows"], result["pages"]) == (3, 2)
    assert [request.qs["nextpagetoken"] for request in sent(requests_mock)] == [["first"], ["giyda==="]]


def test_emails_of_marketo_are_requested_by_offset(tmp_path: Path, requests_mock: Mocker) -> None:
    page = {"success": True, "warnings": [], "errors": [], "requestId": "17576#1"}
    requests_mock.get(
        f"{MARKETO}/rest/asset/v1/emails.json",
        [{"json": page | {"result": [{"id": n} for n in range(200)]}}, {"json": page | {"result": [{"id": 200}]}}],
    )

    content, result = fetch(tmp_path, "marketo", "asset/v1/emails.json")

    assert [json.loads(line)["id"] for line in content.splitlines()] == list(range(201))
    assert (result["rows"], result["pages"]) == (201, 2)
    assert queries(requests_mock) == ["offset=0&maxreturn=200", "offset=200&maxreturn=200"]


def test_a_page_of_marketo_without_result_has_no_rows(tmp_path: Path, requests_mock: Mocker) -> None:
    empty = {"requestId": "a9ae#1", "success": True, "nextPageToken": "GIYDB===", "moreResult": True}
    requests_mock.get(
        f"{MARKETO}/rest/v1/activities.json",
        [
            {"json": empty},
            {"json": marketo([{"id": 1}], "GIYDC===", more=True)},
            {"json": empty | {"moreResult": False}},
        ],
    )

    content, result = fetch(tmp_path, "marketo", "v1/activities.json", data={"nextPageToken": "FIRST"})

    assert content == b'{"id": 1}\n'
    assert (result["rows"], result["pages"]) == (1, 3)


def test_a_full_last_page_of_marketos_assets_is_followed_by_a_page_without_result(
    tmp_path: Path, requests_mock: Mocker
) -> None:
    page = {"success": True, "warnings": ["No assets found for the given search criteria."], "requestId": "1"}
    requests_mock.get(
        f"{MARKETO}/rest/asset/v1/emails.json",
        [{"json": page | {"result": [{"id": n} for n in range(200)]}}, {"json": page}],
    )

    _, result = fetch(tmp_path, "marketo", "asset/v1/emails.json")

    assert (result["rows"], result["pages"]) == (200, 2)


def test_an_error_of_marketo_with_status_200_is_not_an_empty_list(tmp_path: Path, requests_mock: Mocker) -> None:
    error = {"requestId": "e42b#1", "success": False, "errors": [{"code": "603", "message": "Access denied"}]}
    requests_mock.get(f"{MARKETO}/rest/v1/leads.json", json=error)

    with pytest.raises(ApiError):
        fetch(tmp_path, "marketo", "v1/leads.json")

    assert not (tmp_path / "rows.jsonl").exists()


# --- what a vendor supplies


def test_a_vendor_supplies_its_limits() -> None:
    hook = OAuthHook("my_github")
    assert (hook.budget, hook.rate_limit_timeout) == (None, 3600)


def test_the_task_can_set_another_paginator(tmp_path: Path, requests_mock: Mocker) -> None:
    requests_mock.get(f"{HUBSPOT}/x", [{"json": {"results": [{"id": 1}]}}, {"json": {"results": []}}])

    fetch(tmp_path, "hubspot", "x", paginator=PageNumberPaginator())

    assert queries(requests_mock) == ["page=1", "page=2"]


def test_without_the_vendor_a_list_has_one_page_and_a_warning(
    tmp_path: Path, define_connection: Callable[..., None], requests_mock: Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    define_connection("plain", host=HUBSPOT)
    requests_mock.get(f"{HUBSPOT}/x", json={"results": [{"id": 1}], "paging": {"next": {"after": "2"}}})
    path = tmp_path / "rows.jsonl"

    OAuthExtractOperator(task_id="fetch", oauth_conn_id="plain", endpoint="x", path=str(path)).execute({})

    assert path.read_bytes() == b'{"id": 1}\n'
    assert 'set paginator=CursorPaginator(path="paging.next.after", param="after")' in caplog.text


def test_the_vendors_advice_and_message_are_in_its_errors(tmp_path: Path, requests_mock: Mocker) -> None:
    requests_mock.get(f"{GITHUB}/repos/a/b/issues", status_code=404, json={"message": "Not Found"})

    with pytest.raises(ApiError) as raised:
        fetch(tmp_path, "github", "repos/a/b/issues")

    assert "Not Found" in str(raised.value)
    assert "GitHub also responds with 404 if the user or the app may not read private data" in str(raised.value)
