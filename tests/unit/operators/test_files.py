"""The file that an extract writes, its result, and what the task stores in XCom and in asset events."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError, OAuthError
from airflow_provider_oauth.extract.paginators import OffsetPaginator
from airflow_provider_oauth.operators.extract import ExtractOperator, OAuthExtractOperator
from tests.connections import TOKEN_URL
from tests.fake_clock import FakeClock
from tests.unit.operators.results import counts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker

API = "https://api.example.com/v1"
LIST = f"{API}/items"


@pytest.fixture(autouse=True)
def connection(define_connection: Callable[..., None], variables: dict[str, str], requests_mock: Mocker) -> None:
    define_connection("my_api", host=API)
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "items.jsonl"


def operator(cls: type[OAuthExtractOperator] = OAuthExtractOperator, **changes: Any) -> OAuthExtractOperator:
    return cls(**({"task_id": "read", "oauth_conn_id": "my_api", "endpoint": "items"} | changes))


# --- the result


def test_the_result_has_path_rows_pages_bytes_and_times(
    requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    monkeypatch.setattr(ExtractOperator, "clock", FakeClock(datetime(2026, 1, 31, 12, tzinfo=UTC)))
    requests_mock.get(LIST, json=[{"id": 1}, {"id": 2}])
    assert operator(path=str(path)).execute({}) == {
        "path": str(path),
        "rows": 2,
        "pages": 1,
        "bytes": len(b'{"id": 1}\n') * 2,
        "started": "2026-01-31T12:00:00+00:00",
        "ended": "2026-01-31T12:00:00+00:00",
    }


def test_bytes_is_the_size_of_the_compressed_file(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(LIST, json=[{"id": n} for n in range(100)])
    file = tmp_path / "items.jsonl.gz"
    assert operator(path=str(file)).execute({})["bytes"] == file.stat().st_size
    assert gzip.decompress(file.read_bytes()).count(b"\n") == 100


def test_a_total_that_differs_is_in_the_result(requests_mock: Mocker, path: Path) -> None:
    requests_mock.get(LIST, [{"json": {"items": [1, 2], "total": 4}}, {"json": {"items": [], "total": 4}}])
    result = operator(path=str(path), paginator=OffsetPaginator(total="total", size=2)).execute({})
    assert (result["rows"], result["total"]) == (2, 4)


def test_the_events_of_assets_have_rows_and_bytes(requests_mock: Mocker, path: Path) -> None:
    requests_mock.get(LIST, json=[1, 2])
    asset, events = Asset("items"), OutletEventAccessors()
    task = operator(path=str(path), outlets=[asset, AssetAlias("alias")])
    task.execute({"outlet_events": events})  # type: ignore[typeddict-item]
    assert events[asset].extra == {"rows": 2, "bytes": 4}
    assert len(events) == 1


# --- rows


def test_rows_stay_as_the_api_wrote_them_also_if_xcom_fields_decodes_them(requests_mock: Mocker, path: Path) -> None:
    requests_mock.get(LIST, content=b'[{"price":  1.10,\n "big": 1E400, "name": "Z\\u00fcrich"}]')
    assert operator(path=str(path), xcom_fields="name").execute({}) == ["Zürich"]
    assert path.read_bytes() == b'{"price":  1.10, "big": 1E400, "name": "Z\\u00fcrich"}\n'


def test_a_number_that_is_too_large_for_python_is_not_stored_in_xcom(requests_mock: Mocker) -> None:
    requests_mock.get(LIST, content=b'[{"big": 1E400}]')
    with pytest.raises(ConfigurationError, match="a number that is too large for Python"):
        operator(xcom_fields="big").execute({})


@pytest.mark.parametrize("row", [b"7" * 5000, b"[" * 100_000 + b"]" * 100_000], ids=["digits", "nesting"])
def test_a_row_that_python_cannot_decode_for_xcom_fields_fails_the_task(
    requests_mock: Mocker, path: Path, row: bytes
) -> None:
    requests_mock.get(LIST, content=b"[" + row + b"]")
    with pytest.raises(ApiError, match="has a row that Python cannot decode|nested too deeply"):
        operator(path=str(path), xcom_fields="@").execute({})
    assert not path.exists()


def test_excluded_fields_are_neither_in_the_file_nor_in_xcom(requests_mock: Mocker, path: Path) -> None:
    requests_mock.get(LIST, content=b'[{"id": 1.0, "ssn": "1-2", "n": {"ssn": 3}}, {"id": 2}]')
    assert operator(path=str(path), exclude=["ssn"], xcom_fields="@").execute({}) == [
        {"id": 1.0, "n": {"ssn": 3}},
        {"id": 2},
    ]
    assert path.read_bytes() == b'{"id":1.0,"n":{"ssn": 3}}\n{"id": 2}\n'


def test_exclude_can_be_one_name(requests_mock: Mocker, path: Path) -> None:
    requests_mock.get(LIST, json=[{"id": 1, "ssn": 2, "s": 3}])
    operator(path=str(path), exclude="ssn").execute({})
    assert json.loads(path.read_bytes()) == {"id": 1, "s": 3}


def test_an_excluded_field_that_no_row_has_is_a_warning(
    requests_mock: Mocker, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    requests_mock.get(LIST, json=[{"id": 1, "ssn": 2}])
    operator(path=str(path), exclude=["ssn", "snn"]).execute({})
    assert "exclude contains the fields ['snn'], but no row has them" in caplog.text


@pytest.mark.parametrize("row", [b"[1]", b'{"a": 1, "a": 2}'])
def test_a_row_from_which_fields_cannot_be_removed_fails_the_task(
    requests_mock: Mocker, path: Path, row: bytes
) -> None:
    requests_mock.get(LIST, content=b"[" + row + b"]")
    with pytest.raises(ApiError, match="the response of https://api.example.com/v1/items has a row that .*exclude"):
        operator(path=str(path), exclude=["ssn"]).execute({})
    assert not path.exists()


def test_a_transformed_row_does_not_have_excluded_fields(requests_mock: Mocker, path: Path) -> None:
    class Tagging(OAuthExtractOperator):
        def transform_row(self, row: Any) -> Any:
            return {**row, "tag": "ü"}

    requests_mock.get(LIST, json=[{"id": 1, "ssn": 2}])
    assert counts(operator(Tagging, path=str(path), exclude=["ssn"]).execute({}))["rows"] == 1
    assert path.read_text() == '{"id":1,"tag":"ü"}\n'


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_transformed_row_with_a_number_outside_the_range_of_float64_fails_the_task(
    requests_mock: Mocker, tmp_path: Path, suffix: str
) -> None:
    class Same(OAuthExtractOperator):
        def transform_row(self, row: Any) -> Any:
            return row

    requests_mock.get(LIST, content=b'[{"id": 1e400}]')
    target = tmp_path / f"items{suffix}"
    with pytest.raises(ApiError, match="has a row with a number outside the range of float64"):
        operator(Same, path=str(target)).execute({})
    assert not target.exists()


@pytest.mark.parametrize(("limit", "pages", "is_limited"), [(1, 1, True), (2, 1, True), (3, 2, True), (9, 2, False)])
def test_limit_stops_the_task(
    requests_mock: Mocker, path: Path, limit: int, pages: int, is_limited: bool, caplog: pytest.LogCaptureFixture
) -> None:
    requests_mock.get(LIST, [{"json": [1, 2]}, {"json": [3]}])
    result = operator(path=str(path), paginator=OffsetPaginator(size=2), limit=limit).execute({})
    rows = min(limit, 3)
    assert counts(result) == {"rows": rows, "pages": pages, "path": str(path)}
    assert path.read_text() == "1\n2\n3\n"[: 2 * rows]
    assert result.get("limit") == (limit if is_limited else None)
    assert ("Stopped after" in caplog.text) == is_limited


@pytest.mark.parametrize("parameter", [{"limit": 0}, {"limit": -1}, {"on_empty": "drop"}])
def test_an_invalid_parameter_is_refused_when_the_operator_is_created(parameter: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"'my_api': {next(iter(parameter))} is"):
        operator(**parameter)


# --- lists without rows


@pytest.mark.parametrize("earlier", [None, "earlier"])
@pytest.mark.parametrize(("on_empty", "error"), [("skip", AirflowSkipException), ("fail", ApiError)])
def test_a_list_without_rows_can_skip_or_fail_the_task_and_an_earlier_file_stays(
    requests_mock: Mocker, path: Path, on_empty: str, error: type[Exception], earlier: str | None
) -> None:
    requests_mock.get(LIST, json=[])
    if earlier:
        path.write_text(earlier)
    with pytest.raises(error, match=f"on_empty is '{on_empty}'"):
        operator(path=str(path), on_empty=on_empty).execute({})
    assert [each.read_text() for each in path.parent.glob("*.jsonl*")] == ([earlier] if earlier else [])


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_list_without_rows_is_an_empty_file_by_default(requests_mock: Mocker, path: Path, suffix: str) -> None:
    requests_mock.get(LIST, json=[])
    file = path.with_name(path.name + suffix)
    path.with_name(file.name).write_text("earlier")
    result = operator(path=str(file)).execute({})
    assert result["rows"] == 0
    assert result["bytes"] == file.stat().st_size
    assert file.read_bytes()[:7] != b"earlier"


@pytest.mark.parametrize("on_empty", ["skip", "fail"])
def test_on_empty_does_not_matter_if_there_are_rows(requests_mock: Mocker, path: Path, on_empty: str) -> None:
    requests_mock.get(LIST, json=[1])
    assert operator(path=str(path), on_empty=on_empty).execute({})["rows"] == 1


# --- XCom


def test_more_than_1000_rows_in_xcom_fail_the_task(requests_mock: Mocker, path: Path) -> None:
    requests_mock.get(LIST, json=list(range(1000)))
    assert len(operator(xcom_fields="@").execute({})) == 1000
    requests_mock.get(LIST, json=list(range(1001)))
    with pytest.raises(ConfigurationError, match="selects more than 1,000 rows, .* Set path .* or set xcom_limit"):
        operator(xcom_fields="@", path=str(path)).execute({})
    assert not path.exists()


def test_more_than_48_kilobytes_in_xcom_fail_the_task_at_the_first_row_above(requests_mock: Mocker) -> None:
    rows = ["x" * 997] * 48  # with quotes and a comma, 1,000 bytes each
    requests_mock.get(LIST, json=rows[:47])
    assert len(operator(xcom_fields="@").execute({})) == 47
    requests_mock.get(LIST, json=[*rows, "not read"])
    with pytest.raises(ConfigurationError, match="more than 48,000 bytes, at row 48, which"):
        operator(xcom_fields="@").execute({})


def test_xcom_limit_replaces_both_limits(requests_mock: Mocker) -> None:
    requests_mock.get(LIST, json=list(range(2000)))
    assert len(operator(xcom_fields="@", xcom_limit=20_000).execute({})) == 2000
    with pytest.raises(ConfigurationError, match="more than 10 bytes, at row 5"):
        operator(xcom_fields="@", xcom_limit=10).execute({})


# --- storage


def test_an_error_of_the_storage_names_connection_path_and_reason(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(LIST, json=[1])
    (tmp_path / "file").write_text("")
    path = f"{tmp_path}/file/items.jsonl"
    with pytest.raises(OAuthError) as caught:
        operator(path=path).execute({})
    assert str(caught.value).startswith(f"Connection 'my_api': the file '{path}' cannot be stored. ")
    assert "Errno" in str(caught.value)
    assert requests_mock.call_count == 0
