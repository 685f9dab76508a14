"""The metric of the rows that an extract has fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_oauth.exceptions import ApiError, OAuthError
from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.extract.storage import NewFile, StorageError
from airflow_provider_oauth.hooks import repetition
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.protocol.metrics import EXTRACT_ROWS
from tests.connections import TOKEN_URL
from tests.reports import Reports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker

LIST = "https://api.example.com/v1/items"


@pytest.fixture
def reports(
    define_connection: Callable[..., None],
    variables: dict[str, str],
    requests_mock: Mocker,
    monkeypatch: pytest.MonkeyPatch,
) -> Reports:
    """What the tasks of a test report, with the connection ``shop``."""
    define_connection("shop", host="https://api.example.com/v1")
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})
    found = Reports()
    monkeypatch.setattr(repetition, "reporter", lambda conn_id: found)
    return found


def extract(path: Path | None, **changes: Any) -> None:
    output = {"xcom_fields": "id"} if path is None else {"path": str(path)}
    values = {"task_id": "extract", "oauth_conn_id": "shop", "endpoint": "items"} | output | changes
    OAuthExtractOperator(**values).execute({})


def rows(reports: Reports) -> list[tuple[str, str, float]]:
    return [each for each in reports.all if each[0] == EXTRACT_ROWS.name]


@pytest.mark.parametrize("name", ["items.jsonl", "items.csv", None])
def test_the_rows_that_were_stored_or_returned_are_reported(
    reports: Reports, requests_mock: Mocker, tmp_path: Path, name: str | None
) -> None:
    requests_mock.get(LIST, json=[{"id": 1}, {"id": 2}])
    extract(tmp_path / name if name else None)
    assert rows(reports) == [(EXTRACT_ROWS.name, "success", 2)]


def test_the_rows_of_a_task_that_fails_are_reported_as_failed(
    reports: Reports, requests_mock: Mocker, tmp_path: Path
) -> None:
    requests_mock.get(LIST, [{"json": [{"id": 1}, {"id": 2}]}, {"status_code": 404}])
    with pytest.raises(ApiError):
        extract(tmp_path / "items.jsonl", paginator=PageNumberPaginator(size=2))
    assert rows(reports) == [(EXTRACT_ROWS.name, "failed", 2)]


def test_the_rows_of_a_file_that_cannot_be_published_are_reported_as_failed(
    reports: Reports, requests_mock: Mocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: NewFile, *args: object) -> None:
        raise StorageError("the disk is full")

    requests_mock.get(LIST, json=[{"id": 1}])
    monkeypatch.setattr(NewFile, "write", full)
    with pytest.raises(OAuthError, match="the disk is full"):
        extract(tmp_path / "items.jsonl")
    assert rows(reports) == [(EXTRACT_ROWS.name, "failed", 1)]


@pytest.mark.parametrize("on_empty", ["write", "skip"])
def test_a_list_without_rows_is_not_reported(
    reports: Reports, requests_mock: Mocker, tmp_path: Path, on_empty: str
) -> None:
    requests_mock.get(LIST, json=[])
    try:
        extract(tmp_path / "items.jsonl", on_empty=on_empty)
    except AirflowSkipException:
        assert on_empty == "skip"
    assert rows(reports) == []
