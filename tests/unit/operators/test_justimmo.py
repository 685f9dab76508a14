"""The operators for Justimmo: the current user, and realties."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.operators.justimmo import JustimmoCurrentUserOperator, JustimmoListRealtiesOperator
from tests.unit.operators.results import counts
from tests.unit.operators.task_runs import context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker
    from requests_mock.adapter import _Matcher
    from requests_mock.request import Request

    from airflow_provider_oauth.operators.extract import ExtractOperator

API = "https://api.justimmo.at"
REALTIES = f"{API}/v1/realties"
ME = {"id": 1234, "tenant": {"id": 5678}}


@pytest.fixture(autouse=True)
def connection(define_connection: Callable[..., None], variables: dict[str, str], requests_mock: Mocker) -> _Matcher:
    define_connection("justimmo_default", conn_type="justimmo", tenant_id="1", user_id="2")
    return requests_mock.post(
        "https://auth.justimmo.at/access_token", json={"access_token": "fake-token", "expires_in": 2678400}
    )


def execute(cls: type[ExtractOperator], **parameters: Any) -> Any:
    return cls(task_id="read", **parameters).execute({})


def sent(requests_mock: Mocker) -> list[Request]:
    requests = [request for request in requests_mock.request_history if request.hostname == "api.justimmo.at"]
    assert {(request.method, request.headers["Authorization"]) for request in requests} == {
        ("GET", "Bearer fake-token")
    }
    return requests


def headers_sent(requests_mock: Mocker) -> set[tuple[str | None, str | None]]:
    return {
        (request.headers.get("X-Justimmo-TenantId"), request.headers.get("X-Justimmo-UserId"))
        for request in sent(requests_mock)
    }


def test_the_current_user_is_returned_as_documented(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/oauth/user/current", json=ME)
    assert execute(JustimmoCurrentUserOperator) == ME
    assert [request.url for request in sent(requests_mock)] == [f"{API}/oauth/user/current"]


def test_the_current_user_can_be_written_to_a_file_and_returned_in_part(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(f"{API}/oauth/user/current", json=ME)
    path = tmp_path / "me.jsonl"
    assert execute(JustimmoCurrentUserOperator, path=str(path), xcom_fields="tenant.id") == 5678
    assert json.loads(path.read_text()) == ME


def test_a_token_without_a_user_is_an_error_that_suggests_another_grant_type(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/oauth/user/current", status_code=403, json={"message": "No user"})
    with pytest.raises(ApiError, match="Message from Justimmo: 'No user'.*Refresh token"):
        execute(JustimmoCurrentUserOperator)


def test_the_current_user_in_a_folder_of_parts(tmp_path: Path, requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/oauth/user/current", json=ME)
    task = JustimmoCurrentUserOperator(task_id="read", path=f"{tmp_path}/")
    assert task.execute(context())["parts"] == 1


@pytest.mark.parametrize("cls", [JustimmoCurrentUserOperator, JustimmoListRealtiesOperator])
@pytest.mark.parametrize(
    ("parameters", "headers"),
    [
        ({}, ("1", "2")),
        ({"tenant_id": 7}, ("7", "2")),
        ({"tenant_id": "7", "user_id": "8"}, ("7", "8")),
        ({"tenant_id": "", "user_id": None}, ("1", "2")),
        ({"tenant_id": 0}, ("0", "2")),
    ],
)
def test_tenant_and_user_of_the_task_take_precedence_over_the_connections(
    requests_mock: Mocker, cls: type[ExtractOperator], parameters: dict[str, Any], headers: tuple[str, str]
) -> None:
    requests_mock.get(f"{API}/oauth/user/current", json=ME)
    requests_mock.get(REALTIES, json=[])
    execute(cls, **parameters)
    assert headers_sent(requests_mock) == {headers}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda rows: rows,
        lambda rows: {"items": rows, "filters": []},
        lambda rows: {"data": rows, "links": []},
        lambda rows: {"items": None, "data": rows},
    ],
)
def test_realties_are_found_in_every_known_envelope_and_end_with_a_short_page(
    requests_mock: Mocker, tmp_path: Path, wrap: Callable[[list[Any]], Any]
) -> None:
    first, second = [{"id": n} for n in range(100)], [{"id": 100}]
    requests_mock.get(REALTIES, [{"json": wrap(first)}, {"json": wrap(second)}])
    path = tmp_path / "realties.jsonl"
    returned = execute(JustimmoListRealtiesOperator, path=str(path), data={"status": "active"}, tenant_id=9)
    assert counts(returned) == {"rows": 101, "pages": 2, "path": str(path)}
    assert [request.url for request in sent(requests_mock)] == [
        f"{REALTIES}?offset={offset}&limit=100&status=active" for offset in (0, 100)
    ]
    assert headers_sent(requests_mock) == {("9", "2")}
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == list(range(101))


def test_with_a_total_short_pages_do_not_end_the_list(requests_mock: Mocker) -> None:
    pages = [{"json": {"data": [{"id": n}], "pagination": {"total": 3}}} for n in range(3)]
    requests_mock.get(REALTIES, pages)
    assert execute(JustimmoListRealtiesOperator, xcom_fields="id") == [0, 1, 2]
    assert len(sent(requests_mock)) == 3


def test_requests_are_repeated_for_300_seconds_after_429(requests_mock: Mocker) -> None:
    requests_mock.get(REALTIES, [{"status_code": 429, "headers": {"Retry-After": "0"}}, {"json": [{"id": 1}]}])
    task = JustimmoListRealtiesOperator(task_id="read", xcom_fields="id")
    assert task.make_hook().rate_limit_timeout == 300
