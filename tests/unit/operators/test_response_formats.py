"""``OAuthExtractOperator`` with responses in JSON Lines and CSV."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.extract.formats import CsvFormat, JsonLinesFormat
from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.protocol.clock import Clock
from tests.connections import TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker

API = "https://api.example.com/v1"


@pytest.fixture(autouse=True)
def connection(
    define_connection: Callable[..., None],
    variables: dict[str, str],
    requests_mock: Mocker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    define_connection("my_api", host=API)
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})
    monkeypatch.setattr(Clock, "sleep", lambda *_: None)


class Broken(io.BytesIO):
    """A body whose connection breaks after its bytes."""

    def read(self, *size: Any) -> bytes:
        if data := super().read(*size):
            return data
        raise urllib3.exceptions.ProtocolError("reset")


def read(path: Path, row_format: JsonLinesFormat | CsvFormat, **parameters: Any) -> dict[str, Any]:
    task = OAuthExtractOperator(
        task_id="read",
        oauth_conn_id="my_api",
        endpoint="export",
        path=str(path),
        response_format=row_format,
        **parameters,
    )
    result: dict[str, Any] = task.execute({})
    return result


def test_csv_is_written_as_json_lines(requests_mock: Mocker, tmp_path: Path) -> None:
    api = requests_mock.get(f"{API}/export", content=gzip.compress(b"id,name\n1,a\n2,b\n"))
    result = read(tmp_path / "rows.jsonl", CsvFormat())
    assert (tmp_path / "rows.jsonl").read_bytes() == b'{"id":"1","name":"a"}\n{"id":"2","name":"b"}\n'
    assert (result["rows"], result["pages"]) == (2, 1)
    assert api.last_request.headers["Accept-Encoding"] == "gzip"


def test_a_connection_that_breaks_in_the_body_is_repeated_as_a_whole(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(f"{API}/export", [{"body": Broken(b'{"a":1}\n')}, {"content": b'{"a": 1.10}\n{"a":2}\n'}])
    assert read(tmp_path / "rows.jsonl", JsonLinesFormat())["rows"] == 2
    assert (tmp_path / "rows.jsonl").read_bytes() == b'{"a": 1.10}\n{"a":2}\n'


@pytest.mark.parametrize("body", [b'{"a":1}\nbroken\n', gzip.compress(b'{"a":1}\n' * 1000, mtime=0)[:-9]])
def test_an_error_in_the_response_leaves_no_file(requests_mock: Mocker, tmp_path: Path, body: bytes) -> None:
    requests_mock.get(f"{API}/export", content=body)
    with pytest.raises(ApiError, match="line 2 is not JSON|is not valid gzip"):
        read(tmp_path / "rows.jsonl", JsonLinesFormat())
    assert not (tmp_path / "rows.jsonl").exists()


def test_limit_and_exclude_work_with_streamed_rows(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(f"{API}/export", content=b"id,ssn\n1,x\n2,y\n")
    result = read(tmp_path / "rows.jsonl", CsvFormat(), limit=1, exclude=["ssn"])
    assert (tmp_path / "rows.jsonl").read_bytes() == b'{"id":"1"}\n'
    assert result["rows"] == 1


def test_a_csv_response_without_rows_needs_the_header_that_the_paginator_names(
    requests_mock: Mocker, tmp_path: Path
) -> None:
    paginator = PageNumberPaginator(total="header:X-Total")
    requests_mock.get(f"{API}/export", text="id,name\n")
    with pytest.raises(ApiError, match="has no 'header:X-Total', where the paginator looks for total"):
        read(tmp_path / "rows.jsonl", CsvFormat(), paginator=paginator)
    requests_mock.get(f"{API}/export", text="id,name\n", headers={"X-Total": "0"})
    assert read(tmp_path / "rows.jsonl", CsvFormat(), paginator=paginator)["rows"] == 0
