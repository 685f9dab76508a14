"""Extracts into CSV and Parquet files."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import pyarrow.parquet
import pytest
from backports import zstd

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError, OAuthError
from airflow_provider_oauth.extract.paginators import OffsetPaginator
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from tests.connections import TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker

API = "https://api.example.com/v1"
LIST = f"{API}/items"
ROWS = b'[{"id": 1, "name": "Ada", "ssn": 7}, {"id": 2, "name": null, "ssn": 8}]'
COLUMNS = {"id": "int64", "name": "string", "ssn": "int64"}
CSV = b"id,name,ssn\n1,Ada,7\n2,,8\n"
SUFFIX = pytest.mark.parametrize("suffix", [".csv", ".parquet"])


@pytest.fixture(autouse=True)
def connection(define_connection: Callable[..., None], variables: dict[str, str], requests_mock: Mocker) -> None:
    define_connection("my_api", host=API)
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})
    requests_mock.get(LIST, content=ROWS)


def operator(cls: type[OAuthExtractOperator] = OAuthExtractOperator, **changes: Any) -> OAuthExtractOperator:
    return cls(**({"task_id": "read", "oauth_conn_id": "my_api", "endpoint": "items"} | changes))


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV or Parquet file, with all values of CSV as text."""
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
        return rows
    header, *lines = path.read_text().splitlines()
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


@pytest.mark.parametrize("columns", [None, COLUMNS, list(COLUMNS)])
@pytest.mark.parametrize(
    ("suffix", "decompress"), [(".csv", bytes), (".csv.gz", gzip.decompress), (".csv.zst", zstd.decompress)]
)
def test_a_file_in_csv_can_be_compressed(
    tmp_path: Path, suffix: str, decompress: Callable[[bytes], bytes], columns: Any
) -> None:
    path = tmp_path / f"items{suffix}"
    result = operator(path=str(path), columns=columns).execute({})
    assert decompress(path.read_bytes()) == CSV
    assert (result["rows"], result["pages"], result["bytes"]) == (2, 1, path.stat().st_size)


@pytest.mark.parametrize("columns", [None, COLUMNS])
def test_a_file_in_parquet(tmp_path: Path, columns: Any) -> None:
    path = tmp_path / "items.parquet"
    result = operator(path=str(path), columns=columns).execute({})
    assert read(path) == [{"id": 1, "name": "Ada", "ssn": 7}, {"id": 2, "name": None, "ssn": 8}]
    assert result["bytes"] == path.stat().st_size
    assert [each.name for each in tmp_path.glob("*items*")] == ["items.parquet"]


@SUFFIX
@pytest.mark.parametrize("columns", [None, {"id": "int64", "name": "string", "tag": "string"}])
def test_exclude_limit_xcom_fields_and_transform_row_work_with_all_formats(
    tmp_path: Path, suffix: str, columns: Any
) -> None:
    class Tagging(OAuthExtractOperator):
        def transform_row(self, row: Any) -> Any:
            return {**row, "tag": "ü"}

    path = tmp_path / f"items{suffix}"
    task = operator(Tagging, path=str(path), columns=columns, exclude=["ssn"], limit=1, xcom_fields="id")
    assert task.execute({}) == [1]
    assert [{key: str(value) for key, value in row.items()} for row in read(path)] == [
        {"id": "1", "name": "Ada", "tag": "ü"}
    ]


@SUFFIX
@pytest.mark.parametrize("columns", [None, {"id": "int64"}])
def test_rows_of_several_pages_are_one_file(requests_mock: Mocker, tmp_path: Path, suffix: str, columns: Any) -> None:
    pages = [[{"id": 1}, {"id": 2}], [{"id": 3}, {"id": 4}], [{"id": 5}]]
    requests_mock.get(LIST, [{"json": page} for page in pages])
    path = tmp_path / f"items{suffix}"
    operator(path=str(path), columns=columns, paginator=OffsetPaginator(size=2)).execute({})
    assert [int(row["id"]) for row in read(path)] == [1, 2, 3, 4, 5]


@SUFFIX
def test_a_value_that_does_not_fit_fails_the_task_with_response_row_and_column(
    requests_mock: Mocker, tmp_path: Path, suffix: str
) -> None:
    requests_mock.get(LIST, [{"json": [{"id": 1}, {"id": 2}]}, {"json": [{"id": 1.5}]}])
    path = tmp_path / f"items{suffix}"
    path.write_text("earlier")
    with pytest.raises(ApiError) as caught:
        operator(path=str(path), columns={"id": "int64"}, paginator=OffsetPaginator(size=2)).execute({})
    assert str(caught.value) == (
        "Connection 'my_api': the response of https://api.example.com/v1/items has a value that does not fit its "
        "column: in row 3, column 'id' is a number with decimals or an exponent, but the type is int64. Change the "
        "type in columns; json fits every value."
    )
    assert path.read_text() == "earlier"
    assert [each.name for each in tmp_path.glob("*items*")] == [path.name]


@SUFFIX
def test_a_column_that_no_row_has_is_a_warning(tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    columns = {**COLUMNS, "nmae": "string"}
    operator(path=str(tmp_path / f"items{suffix}"), columns=columns).execute({})
    assert "columns contains ['nmae'], but no row has these fields" in caplog.text


@SUFFIX
def test_without_columns_the_log_has_them(tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    operator(path=str(tmp_path / f"items{suffix}")).execute({})
    assert f"set this parameter: columns={COLUMNS!r}" in caplog.text


@SUFFIX
def test_a_list_without_rows_has_the_columns(
    requests_mock: Mocker, tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    requests_mock.get(LIST, json=[])
    path = tmp_path / f"items{suffix}"
    assert operator(path=str(path), columns=COLUMNS).execute({})["rows"] == 0
    assert read(path) == []
    if suffix == ".csv":
        assert path.read_bytes() == b"id,name,ssn\n"
    else:
        assert pyarrow.parquet.read_schema(path).names == list(COLUMNS)
    assert "no row has" not in caplog.text


def test_a_list_without_rows_and_columns(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(LIST, json=[])
    operator(path=str(tmp_path / "items.csv")).execute({})
    assert (tmp_path / "items.csv").read_bytes() == b""
    with pytest.raises(ApiError, match="the list has no rows, so the columns of the Parquet file are unknown"):
        operator(path=str(tmp_path / "items.parquet")).execute({})
    assert not (tmp_path / "items.parquet").exists()


def test_csv_escape_is_passed_on(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(LIST, json=[{"id": 1, "name": "=1+1"}])
    path = tmp_path / "items.csv"
    operator(path=str(path), csv_escape=True).execute({})
    assert path.read_bytes() == b'id,name\n1,"\'=1+1"\n'
    operator(path=str(path)).execute({})
    assert path.read_bytes() == b"id,name\n1,=1+1\n"


def test_a_full_temporary_folder_is_an_error_of_the_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(OAuthError, match="cannot be stored. .*FileNotFoundError"):
        operator(path=str(tmp_path / "items.csv")).execute({})
    assert list(tmp_path.iterdir()) == []


# --- parameters


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"columns": {"id": "int"}}, "columns has the type 'int' for 'id'"),
        ({"columns": "id"}, "columns is not a mapping"),
        ({"extra_columns": "drop"}, "extra_columns is 'drop'"),
    ],
)
def test_an_invalid_parameter_is_refused_when_the_operator_is_created(parameters: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'my_api': {text}"):
        operator(path="/data/items.csv", **parameters)


@pytest.mark.parametrize(
    ("suffix", "parameters", "text"),
    [
        (".jsonl", {"columns": COLUMNS}, "columns is set, but path .* is not a CSV or Parquet file"),
        (".csv", {"extra_columns": "ignore"}, "extra_columns is set without columns"),
        (".parquet", {"csv_escape": True}, "csv_escape is set, but path .* is not a CSV file"),
        (".parquet", {"columns": ["id"]}, "columns has names without types"),
        (".csv.gz", {"columns": {"id": ["int64"]}}, "columns has nested types"),
    ],
)
def test_a_parameter_that_does_not_fit_the_path_is_refused_before_a_request_is_sent(
    requests_mock: Mocker, tmp_path: Path, suffix: str, parameters: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"'my_api': {text}"):
        operator(path=f"{tmp_path}/items{suffix}", **parameters).execute({})
    assert requests_mock.call_count == 0


def test_columns_without_a_file_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="columns is set, but path None is not a CSV or Parquet file"):
        operator(xcom_fields="@", columns=COLUMNS).execute({})


def test_without_pyarrow_the_error_names_the_extra(
    requests_mock: Mocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigurationError, match=r"not installed. Install airflow-provider-oauth\[parquet\]"):
        operator(path=f"{tmp_path}/items.parquet").execute({})
    assert requests_mock.call_count == 0


def test_dag_files_do_not_import_pyarrow() -> None:
    code = "import sys, airflow_provider_oauth.operators.extract as e; sys.exit('pyarrow' in sys.modules)"
    before = "import sys, airflow.sdk; sys.exit('pyarrow' in sys.modules)"
    if subprocess.run([sys.executable, "-c", before], check=False).returncode:
        pytest.skip("Airflow itself imports pyarrow")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
