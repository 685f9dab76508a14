"""The types of columns, inferred from all rows."""

from __future__ import annotations

import ast
import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.extract.rows import InvalidPage
from airflow_provider_oauth.extract.storage import NewFile
from airflow_provider_oauth.extract.writers import inference
from airflow_provider_oauth.extract.writers.inference import TypeInference
from airflow_provider_oauth.extract.writers.inferred_file import InferredFile
from airflow_provider_oauth.extract.writers.row_file import JsonLinesFile
from tests.full_disk import full_disk
from tests.unit.extract.writers.files import Memory, lines, table, written

if TYPE_CHECKING:
    from collections.abc import Sequence


def inferred(values: Sequence[str]) -> str:
    """Return the type of a column with these values in JSON, which must not depend on their order or the batches."""
    rows = [b'{"v":' + value.encode() + b"}" for value in values]
    types = set()
    for batches in ([rows], [rows[::-1]], [[row] for row in rows], [[row] for row in rows[::-1]]):
        columns = TypeInference()
        for batch in batches:
            columns.add(batch)
        types.add(columns.columns["v"])
    (found,) = types
    return found


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (["1", "-5", "null"], "int64"),
        (["9223372036854775807", "-9223372036854775808"], "int64"),
        (["1", "9007199254740993"], "int64"),
        (["-0"], "int64"),
        (["9223372036854775808"], "string"),
        (["1", "10000000000000000000"], "string"),
        (["1.5", "2.10", "null"], "float64"),
        (["1.0"], "float64"),
        (["1e3", "2E-5"], "float64"),
        (["0.30000000000000004"], "float64"),
        (["0.10000000000000001"], "float64"),
        (["0.123456789012345678901"], "string"),
        (["1e400"], "string"),
        (["1", "1.5"], "float64"),
        (["9007199254740992", "1.5"], "float64"),
        (["9007199254740993", "1.5"], "string"),
        (["10000000000000000000", "1.5"], "float64"),
        (["10000000000000000001", "1.5"], "string"),
        (["-9223372036854775810", "1.5"], "string"),
        (["1" + "0" * 23, "1.5"], "string"),
        (['"a"', "null", '""'], "string"),
        (['"1"', "1"], "string"),
        (['"\\ud83d"', '"a"'], "json"),
        (['"\\ud83d"', "1"], "json"),
        (["true", "false", "null"], "boolean"),
        (["true", "1"], "string"),
        (["null"], "string"),
        (["{}", "[1]", "null"], "json"),
        (["{}", "1"], "string"),
        (["[]", '"a"'], "string"),
    ],
)
def test_the_type_is_the_one_that_keeps_all_values(values: list[str], name: str) -> None:
    assert inferred(values) == name


def test_columns_are_in_the_order_in_which_they_occur_first() -> None:
    columns = TypeInference()
    columns.add(lines({"b": 1}, {"a": "x", "b": 2}))
    columns.add(lines({"c": True, "a": None}, {}))
    assert columns.columns == {"b": "int64", "a": "string", "c": "boolean"}
    assert list(columns.columns) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (b"1", "row 3 is not an object"),
        (b'{"z":1,"z":2}', "contains a key twice"),
        (b'{"\\ud83d":1}', "row 3 is an object with a field whose name has half of a surrogate pair"),
    ],
)
def test_a_row_without_columns_is_an_error(row: bytes, text: str) -> None:
    columns = TypeInference()
    columns.add(lines({"a": 1}))
    with pytest.raises(InvalidPage, match=text):
        columns.add(lines({"b": 1}, row))


def test_too_many_columns_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "MAX_COLUMNS", 3)
    columns = TypeInference()
    columns.add(lines({"a": 1, "b": 1, "c": 1}))
    with pytest.raises(InvalidPage, match="has rows with more than 3 different fields"):
        columns.add(lines({"d": 1}))


ROWS: list[Any] = [
    {"id": 1, "price": 1.5, "name": "a,b"},
    {"id": 2, "price": 2, "tags": ["x"], "mixed": "1"},
    {"id": None, "mixed": {"a": 1}, "ok": True},
]


def columns_in_log(caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    (message,) = (record.getMessage() for record in caplog.records if "Inferred" in record.getMessage())
    assert "from all 3 rows" in message
    assert "\n" not in message
    found: dict[str, str] = ast.literal_eval(message.partition("columns=")[2])
    return found


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_log_has_columns_that_result_in_the_same_file(suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    content = written(suffix, lines(*ROWS[:2]), lines(ROWS[2]))
    columns = columns_in_log(caplog)
    assert columns == {
        "id": "int64",
        "price": "float64",
        "name": "string",
        "tags": "json",
        "mixed": "string",
        "ok": "boolean",
    }
    again = written(suffix, lines(*ROWS), columns=columns)
    if suffix == ".csv":
        assert content == again
        assert content == (b'id,price,name,tags,mixed,ok\n1,1.5,"a,b",,,\n2,2,,"[""x""]",1,\n,,,,"{""a"":1}",true\n')
    else:
        assert table(content) == table(again)
        assert table(content).to_pylist()[2] == {
            "id": None,
            "price": None,
            "name": None,
            "tags": None,
            "mixed": '{"a":1}',
            "ok": True,
        }


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_that_are_all_empty_objects_are_an_error(suffix: str) -> None:
    with pytest.raises(InvalidPage, match="has only rows without fields"):
        written(suffix, lines({}, {}))


def test_a_list_without_rows_and_columns_cannot_be_a_file_in_parquet() -> None:
    with pytest.raises(InvalidPage, match="has no rows, so the columns of the Parquet file are unknown"):
        written(".parquet")


def test_rows_that_are_not_needed_can_be_discarded_on_a_full_disk() -> None:
    """Otherwise this error would replace the error because of which they are discarded."""
    with full_disk(0):
        file = InferredFile(lambda _: JsonLinesFile(NewFile(Memory(), "rows")), needs_columns=False)
        file.write(lines({"a": 1}))
        file.close()
