"""Errors and limits of GitHub, HubSpot and Marketo: what the rules in the vendor files do when a list is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.hooks import settings
from airflow_provider_oauth.hooks.oauth import OAuthHook
from tests.connections import TOKEN_URL
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests_mock import Mocker

URLS = {
    "github": "https://api.github.com/repos/a/b/issues",
    "hubspot": "https://api.hubapi.com/crm/v3/objects/contacts",
    "marketo": "https://284-RPR-133.mktorest.com/rest/v1/leads.json",
}
#: A list with one row.
ROW: dict[str, dict[str, Any]] = {
    "github": {"json": [{"id": 1}]},
    "hubspot": {"json": {"results": [{"id": 1}]}},
    "marketo": {"json": {"requestId": "a#1", "success": True, "result": [{"id": 1}]}},
}
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    real = settings.RateLimiter
    monkeypatch.setattr(settings, "RateLimiter", lambda budget: real(budget, clock))
    return clock


@pytest.fixture
def read(
    define_connection: Callable[..., None], variables: dict[str, str], requests_mock: Mocker, clock: FakeClock
) -> Callable[..., list[Any]]:
    """Return a function that reads a vendor's list, whose first responses it gets."""
    requests_mock.post(
        TOKEN_URL, [{"json": {"access_token": f"fake-token-{n}", "expires_in": 3600}} for n in range(1, 4)]
    )

    def rows(vendor: str, *responses: dict[str, Any]) -> list[Any]:
        url = URLS[vendor]
        host = url.partition("/r" if vendor != "hubspot" else "/crm")[0]
        define_connection("shop", host=host, vendor=vendor, grant_type="client_credentials", token_method="POST")
        requests_mock.get(url, [*responses, ROW[vendor]])
        return [row for page in OAuthHook("shop").paginate(url) for row in page.rows]

    return rows


def failure(code: str, message: str) -> dict[str, Any]:
    return {"json": {"requestId": "e42b#1", "success": False, "errors": [{"code": code, "message": message}]}}


# --- GitHub


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("headers", "body", "waited"),
    [
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1767225690"}, {"message": "API rate limit exceeded"}, 90),
        ({"Retry-After": "17", "X-RateLimit-Remaining": "4000", "X-RateLimit-Reset": "1767225690"}, SECONDARY, 17),
        ({"X-RateLimit-Remaining": "4000", "X-RateLimit-Reset": "1767225690"}, SECONDARY, 60),
        ({}, SECONDARY, 60),
    ],
    ids=["primary", "secondary", "secondary without Retry-After", "secondary without headers"],
)
def test_a_limit_of_github_is_waited_for(
    read: Callable[..., list[Any]],
    clock: FakeClock,
    status: int,
    headers: dict[str, str],
    body: dict[str, str],
    waited: int,
) -> None:
    assert read("github", {"status_code": status, "headers": headers, "json": body}) == [{"id": 1}]
    assert clock.slept == [waited]


def test_a_403_of_github_without_a_limit_is_an_error(read: Callable[..., list[Any]], clock: FakeClock) -> None:
    refused = {
        "status_code": 403,
        "headers": {"X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": "1767225690"},
        "json": {"message": "Resource not accessible by integration"},
    }
    with pytest.raises(ApiError, match="Resource not accessible by integration"):
        read("github", refused)
    assert clock.slept == []


# --- HubSpot


@pytest.mark.parametrize(
    ("response", "waited"),
    [
        ({"status_code": 429, "json": {"status": "error", "policyName": "TEN_SECONDLY_ROLLING"}}, 10),
        ({"status_code": 429, "json": {"status": "error", "policyName": "SECONDLY"}}, 1),
        ({"status_code": 429, "json": {"status": "error", "message": "You have reached your secondly limit."}}, 1),
        ({"status_code": 429, "headers": {"Retry-After": "3"}}, 3),
        ({"status_code": 423}, 2),
        ({"status_code": 477, "headers": {"Retry-After": "60"}}, 60),
    ],
)
def test_a_temporary_error_of_hubspot_is_waited_for(
    read: Callable[..., list[Any]], clock: FakeClock, response: dict[str, Any], waited: int
) -> None:
    assert read("hubspot", response) == [{"id": 1}]
    assert clock.slept == [waited]


def test_the_daily_limit_of_hubspot_is_not_waited_for(read: Callable[..., list[Any]], clock: FakeClock) -> None:
    used_up = {"status_code": 429, "json": {"message": "You have reached your daily limit.", "policyName": "DAILY"}}
    with pytest.raises(ApiError, match="You have reached your daily limit"):
        read("hubspot", used_up)
    assert clock.slept == []


# --- Marketo, whose errors have status 200


@pytest.mark.parametrize("code", ["601", "602"])
def test_an_expired_token_of_marketo_is_renewed(
    read: Callable[..., list[Any]], requests_mock: Mocker, code: str
) -> None:
    assert read("marketo", failure(code, "Access token expired")) == [{"id": 1}]

    sent = [request.headers["Authorization"] for request in requests_mock.request_history if request.method == "GET"]
    assert sent == ["Bearer fake-token-1", "Bearer fake-token-2"]


@pytest.mark.parametrize(("code", "waited"), [("606", 20), ("615", 5)])
def test_a_limit_of_marketo_is_waited_for(
    read: Callable[..., list[Any]], clock: FakeClock, code: str, waited: int
) -> None:
    assert read("marketo", failure(code, "Max rate limit exceeded")) == [{"id": 1}]
    assert clock.slept == [waited]


@pytest.mark.parametrize("code", ["502", "604", "608", "611", "614", "713", "719"])
def test_a_temporary_error_of_marketo_is_retried(read: Callable[..., list[Any]], clock: FakeClock, code: str) -> None:
    assert read("marketo", failure(code, "System error")) == [{"id": 1}]
    assert len(clock.slept) == 1


@pytest.mark.parametrize("code", ["603", "607", "610", "709", "1003"])
def test_any_other_error_of_marketo_fails_with_its_message(
    read: Callable[..., list[Any]], clock: FakeClock, code: str
) -> None:
    with pytest.raises(ApiError, match="Access denied"):
        read("marketo", failure(code, "Access denied"))
    assert clock.slept == []


def test_an_error_of_marketo_on_a_later_page_is_found_as_well(read: Callable[..., list[Any]], clock: FakeClock) -> None:
    first = {"json": {"success": True, "nextPageToken": "A===", "moreResult": True, "result": [{"id": 0}]}}
    assert read("marketo", first, failure("606", "Max rate limit exceeded")) == [{"id": 0}, {"id": 1}]
    assert clock.slept == [20]
