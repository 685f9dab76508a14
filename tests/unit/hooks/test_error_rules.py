"""Error rules of hooks: repeated requests, and the end of lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_oauth.exceptions import ApiConnectionError, ApiError
from airflow_provider_oauth.extract.error_rules import ErrorRule
from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.hooks.oauth import OAuthHook
from tests.connections import TOKEN_URL, airflow_connection
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from requests_mock import Mocker

ITEMS = "https://api.example.com/items"
PAGES = PageNumberPaginator(size=2)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    clock.install(monkeypatch)
    return clock


@pytest.fixture
def hook(requests_mock: Mocker, request: pytest.FixtureRequest) -> OAuthHook:
    tokens = [{"json": {"access_token": f"fake-token-{i}", "expires_in": 3600}} for i in range(3)]
    requests_mock.post(TOKEN_URL, tokens)
    hook = OAuthHook("shop")
    hook._connection = airflow_connection("shop", login=request.node.name)
    return hook


def rows(hook: OAuthHook, paginator: Any = PAGES, **options: Any) -> list[Any]:
    reader = hook.read_pages(ListRequest(endpoint="items", paginator=paginator, **options))
    return [row for page in reader for row in page.rows]


def test_a_list_survives_a_503_and_a_broken_connection(requests_mock: Mocker, hook: OAuthHook) -> None:
    requests_mock.get(ITEMS, [{"json": [1, 2]}, {"status_code": 503}, {"exc": requests.ConnectionError}, {"json": [3]}])
    assert rows(hook) == [1, 2, 3]
    assert hook.counts.retries == 2


def test_a_single_request_is_not_retried_by_default(requests_mock: Mocker, hook: OAuthHook) -> None:
    requests_mock.get(ITEMS, [{"exc": requests.ConnectionError}, {"status_code": 503}, {"text": "ok"}])
    with pytest.raises(ApiConnectionError):
        hook.run("items")
    with pytest.raises(ApiError, match="^503:"):
        hook.run("items")
    assert hook.run("items").text == "ok"


def test_a_post_that_reads_a_list_is_retried_unless_repeatable_is_false(requests_mock: Mocker, hook: OAuthHook) -> None:
    responses: list[dict[str, Any]] = [{"status_code": 503}, {"json": [1]}]
    requests_mock.post(ITEMS, responses)
    assert rows(hook, None, method="POST", json={}) == [1]
    hook.repeatable = False
    requests_mock.post(ITEMS, responses)
    with pytest.raises(ApiError, match="The POST request was not repeated, because the API may have carried it out"):
        rows(hook, None, method="POST", json={})


def test_the_error_of_a_limit_has_both_numbers(requests_mock: Mocker, hook: OAuthHook) -> None:
    requests_mock.get(ITEMS, status_code=429, headers={"Retry-After": "3600"})
    with pytest.raises(ApiError, match="requires a wait of 3600 s, but rate_limit_timeout permits 300 s"):
        rows(hook)


@pytest.mark.parametrize("action", ["fail", "wait", "retry"])
def test_a_200_that_is_an_error_is_not_a_list_and_shows_no_body(
    requests_mock: Mocker, hook: OAuthHook, action: Any
) -> None:
    hook.error_rules = [ErrorRule(action, when="success == `false`")]
    requests_mock.get(ITEMS, json={"success": False, "rows": [], "secret": "fake-body"})
    for call in (lambda: hook.run("items"), lambda: rows(hook)):
        with pytest.raises(ApiError, match="^200:OK") as caught:
            call()
        assert "fake-body" not in str(caught.value)
        assert "fake-token" not in str(caught.value)


def test_stop_ends_a_list_after_its_first_page_only(requests_mock: Mocker, hook: OAuthHook) -> None:
    hook.error_rules = [ErrorRule("stop", status=400, when="code == 'beyond'")]
    beyond = {"status_code": 400, "json": {"code": "beyond"}}
    requests_mock.get(ITEMS, [{"json": [1, 2]}, beyond])
    assert rows(hook) == [1, 2]
    requests_mock.get(ITEMS, [beyond])
    with pytest.raises(ApiError, match="ends a list only after its first page"):
        rows(hook)
    hook.error_rules = [ErrorRule("stop", status=400, when="code == 'beyond'", first_page=True)]
    assert rows(hook) == []
    requests_mock.get(ITEMS, [{"json": [1, 2]}, {"status_code": 400, "json": {"code": "other"}}])
    with pytest.raises(ApiError, match="^400:"):
        rows(hook)


def test_ignore_makes_the_first_page_a_list_without_rows_and_is_counted(requests_mock: Mocker, hook: OAuthHook) -> None:
    hook.error_rules = [ErrorRule("ignore", status=404)]
    requests_mock.get(ITEMS, status_code=404)
    assert rows(hook) == []
    assert hook.counts.summary() == {"ignored": 1}
    requests_mock.get(ITEMS, [{"json": [1, 2]}, {"status_code": 404}])
    with pytest.raises(ApiError, match="applies only to the first page of a list"):
        rows(hook)
    requests_mock.get(ITEMS, status_code=404)
    with pytest.raises(ApiError, match="^404:"):
        hook.run("items")


def test_a_renewed_token_is_sent_with_the_repeated_request(requests_mock: Mocker, hook: OAuthHook) -> None:
    hook.error_rules = [ErrorRule("renew", when="code == '601'")]
    requests_mock.get(ITEMS, [{"json": {"code": "601"}}, {"json": [1]}])
    assert rows(hook, None) == [1]
    sent = [each.headers["Authorization"] for each in requests_mock.request_history if each.url == ITEMS]
    assert len(set(sent)) == 2


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_renewal_is_counted_once_however_many_pages_were_refused(
    requests_mock: Mocker, hook: OAuthHook, concurrency: int
) -> None:
    hook.error_rules = [ErrorRule("renew", status=418)]

    def answer(request: Any, context: Any) -> list[int]:
        number = int(request.qs["page"][0])
        if number > 3 and request.headers["Authorization"].endswith("0"):
            context.status_code = 418
            return []
        return [number] if number < 20 else []

    requests_mock.get(ITEMS, json=answer)
    reader = hook.read_pages(ListRequest(endpoint="items", paginator=PageNumberPaginator()), concurrency=concurrency)
    assert [row for page in reader for row in page.rows] == list(range(1, 20))
    assert hook.counts.summary() == {"renewals": 1}


def test_a_renewal_that_did_not_happen_is_not_counted(requests_mock: Mocker, hook: OAuthHook) -> None:
    hook.error_rules = [ErrorRule("renew", status=418)]
    requests_mock.get(ITEMS, status_code=418)
    for _ in range(2):  # a process renews a token only once per minute
        with pytest.raises(ApiError, match="^418:"):
            rows(hook)
    assert hook.counts.summary() == {"renewals": 1}
