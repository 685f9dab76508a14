"""Parquet files: the values, and what pyarrow itself would lose without an error."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from airflow_provider_oauth.extract.rows import InvalidPage
from airflow_provider_oauth.extract.storage import NewFile, StorageError
from airflow_provider_oauth.extract.writers import parquet_file
from airflow_provider_oauth.extract.writers.file_format import file_format
from tests.unit.extract.writers.files import Memory, lines, table, written

COLUMNS = {
    "i": "int64",
    "f": "float64",
    "d": "decimal(5,2)",
    "s": "string",
    "b": "boolean",
    "day": "date",
    "at": "timestamp",
    "j": "json",
    "o": {"a": "int64", "l": ["string"]},
    "l": [{"x": "float64"}],
}
#: A row in which every column has a value.
FULL = (
    b'{"i":9223372036854775807,"f":1.10,"d":1.1000,"s":"Z\xc3\xbcrich","b":true,"day":"2026-01-31",'
    b'"at":"2026-01-31T12:00:00.123456+01:00","j":{"a": [1.10]},"o":{"a":1,"l":["u",null]},"l":[{"x":1},null,{}]}'
)


def test_each_type_has_its_values() -> None:
    content = table(written(".parquet", lines(FULL), columns=COLUMNS))
    assert content.to_pylist() == [
        {
            "i": 2**63 - 1,
            "f": 1.1,
            "d": Decimal("1.10"),
            "s": "Zürich",
            "b": True,
            "day": date(2026, 1, 31),
            "at": datetime(2026, 1, 31, 11, 0, 0, 123456, tzinfo=UTC),
            "j": '{"a": [1.10]}',
            "o": {"a": 1, "l": ["u", None]},
            "l": [{"x": 1.0}, None, {"x": None}],
        }
    ]
    assert [str(each.type) for each in content.schema][:8] == [
        "int64",
        "double",
        "decimal128(5, 2)",
        "string",
        "bool",
        "date32[day]",
        "timestamp[us, tz=UTC]",
        "string",
    ]


@pytest.mark.parametrize("row", [b"{}", b"null"])
def test_null_and_absent_fields_are_null(row: bytes) -> None:
    empty = b"{}" if row == b"{}" else json.dumps(dict.fromkeys(COLUMNS)).encode()
    rows = table(written(".parquet", lines(empty, FULL, empty), columns=COLUMNS)).to_pylist()
    assert rows[0] == rows[2] == dict.fromkeys(COLUMNS)
    assert rows[1]["o"] == {"a": 1, "l": ["u", None]}


def test_empty_objects_and_arrays_are_not_null() -> None:
    rows = table(written(".parquet", lines({"o": {}, "l": []}), columns=COLUMNS)).to_pylist()
    assert (rows[0]["o"], rows[0]["l"]) == ({"a": None, "l": None}, [])


@pytest.mark.parametrize("item", [["string"], {"tags": ["string"]}])
def test_arrays_inside_arrays_can_be_empty_in_all_rows(item: object) -> None:
    rows = lines({"l": []}, {"l": None}, {"l": []})
    assert table(written(".parquet", rows, columns={"l": [item]}))["l"].to_pylist() == [[], None, []]


def test_a_list_without_rows_is_a_schema() -> None:
    content = table(written(".parquet", columns={"id": "int64"}))
    assert content.to_pylist() == []
    assert content.schema == pyarrow.schema([("id", pyarrow.int64())])


def test_a_column_of_type_string_has_numbers_and_nested_values_as_the_api_wrote_them() -> None:
    rows = lines(b'{"v":"a"}', b'{"v":1.10}', b'{"v":[1.10, {}]}', b'{"v":true}', b'{"v":null}')
    content = table(written(".parquet", rows, columns={"v": "string"}))
    assert content["v"].to_pylist() == ["a", "1.10", "[1.10, {}]", "true", None]


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "1.10",
        "-0.0",
        "0.1",
        "0.30000000000000004",
        "0.10000000000000001",
        "1e22",
        "1" + "0" * 22,
        "5e-324",
        "0e5",
        "9007199254740994",
    ],
)
def test_a_number_whose_digits_float64_keeps_fits(number: str) -> None:
    rows = lines(b'{"f":' + number.encode() + b"}")
    assert table(written(".parquet", rows, columns={"f": "float64"}))["f"].to_pylist() == [float(number)]


# --- what pyarrow loses without an error


def test_pyarrow_itself_stores_1_5_as_1_and_here_it_is_an_error() -> None:
    assert pyarrow.array([1.5], pyarrow.int64()).to_pylist() == [1]
    with pytest.raises(InvalidPage, match="in row 2, column 'i' is a number with decimals or an exponent"):
        written(".parquet", lines({"i": 1}, {"i": 1.5}), columns=COLUMNS)


def test_pyarrow_itself_drops_new_members_of_objects_and_here_they_are_an_error() -> None:
    known = pyarrow.struct([("a", pyarrow.int64())])
    assert pyarrow.array([{"a": 1, "new": 2}], known).to_pylist() == [{"a": 1}]
    with pytest.raises(InvalidPage, match="in row 1, column 'o' is an object with the field 'new', which columns does"):
        written(".parquet", lines({"o": {"a": 1, "new": 2}}), columns=COLUMNS)


def test_pyarrow_itself_drops_new_fields_of_rows_and_here_they_are_an_error() -> None:
    schema = pyarrow.schema([("a", pyarrow.int64())])
    assert pyarrow.Table.from_pylist([{"a": 1, "new": 2}], schema=schema).to_pylist() == [{"a": 1}]
    with pytest.raises(InvalidPage, match="row 1 is an object with the field 'new', which columns does not have"):
        written(".parquet", lines({"i": 1, "new": 2}), columns=COLUMNS)


def test_other_fields_and_members_can_be_ignored() -> None:
    rows = lines({"a": {"x": 1, "y": 2}, "new": 2})
    content = written(".parquet", rows, columns={"a": {"x": "int64"}}, extra_columns="ignore")
    assert table(content).to_pylist() == [{"a": {"x": 1}}]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (b'{"i":1.0}', "column 'i' is a number with decimals or an exponent, but the type is int64"),
        (b'{"i":true}', "column 'i' is a boolean, but"),
        (b'{"i":-9223372036854775809}', "column 'i' is a number outside the range of the type, but"),
        (b'{"f":9007199254740993}', "column 'f' is a number with more digits than float64 has, but"),
        (b'{"f":-9223372036854775810}', "column 'f' is a number with more digits than float64 has, but"),
        (b'{"f":0.1234567890123456789}', "column 'f' is a number with more digits than float64 has, but"),
        (b'{"f":1e400}', "column 'f' is a number outside the range of the type, but"),
        (b'{"f":1e-400}', "column 'f' is a number with more digits than float64 has, but"),
        (b'{"f":"1"}', "column 'f' is text, but the type is float64"),
        (b'{"d":1.234}', r"column 'd' is a number with too many digits, but the type is decimal\(5,2\)"),
        (b'{"d":1000}', "column 'd' is a number with too many digits, but"),
        (b'{"d":1e999999}', "column 'd' is a number with too many digits, but"),
        (b'{"d":"NaN"}', "column 'd' is text, but"),
        (b'{"d":"x"}', "column 'd' is text, but"),
        (b'{"d":"1_0"}', "column 'd' is text, but"),
        (b'{"d":" 1"}', "column 'd' is text, but"),
        (b'{"d":"\xef\xbc\x91"}', "column 'd' is text, but"),
        (b'{"s":"\\ud83d"}', "column 's' is text with half of a surrogate pair, which UTF-8 cannot contain, but"),
        (b'{"b":0}', "column 'b' is an integer, but the type is boolean"),
        (b'{"day":"2026-02-30"}', "column 'day' is text, but the type is date"),
        (b'{"day":"2026-01-31T00:00:00Z"}', "column 'day' is text, but the type is date"),
        (b'{"at":"2026-01-31T12:00:00"}', "column 'at' is text, but the type is timestamp"),
        (b'{"at":1700000000}', "column 'at' is an integer, but the type is timestamp"),
        (b'{"at":"2026-01-31T12:00:00.1234567Z"}', "column 'at' is a time with fractions of a microsecond, but"),
        (b'{"at":"2026-01-31T12:00:00.123456\\u0037Z"}', "column 'at' is a time with fractions of a microsecond, but"),
        (b'{"o":[1]}', "column 'o' is an array, but the type is an object"),
        (b'{"o":"x"}', "column 'o' is text, but the type is an object"),
        (b'{"o":{"a":1,"a":2}}', "column 'o' is an object that contains a key twice, but"),
        (b'{"o":{"a":1.5}}', "column 'o.a' is a number with decimals or an exponent, but the type is int64"),
        (b'{"o":{"l":["x","\\ud83d"]}}', r"column 'o.l\[1\]' is text with half of a surrogate pair"),
        (b'{"l":{}}', "column 'l' is an object, but"),
        (b'{"l":[{"x":1},{"x":"q"}]}', r"column 'l\[1\].x' is text, but the type is float64"),
        (b'{"l":[7]}', r"column 'l\[0\]' is an integer, but the type is an object"),
    ],
)
def test_a_value_that_does_not_fit_is_an_error_with_row_and_column(row: bytes, text: str) -> None:
    with pytest.raises(InvalidPage, match=f"in row 4, {text}"):
        written(".parquet", lines({}), lines(FULL, {}, row, FULL), columns=COLUMNS)


# --- size and storage


def test_rows_are_written_in_row_groups_of_limited_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "BATCH_SIZE", 500)
    monkeypatch.setattr(parquet_file, "ROW_GROUP_SIZE", 1000)
    batches = [lines(*({"id": n, "name": "x" * 100} for n in range(start, start + 5))) for start in range(0, 50, 5)]
    content = written(".parquet", *batches, columns={"id": "int64", "name": "string"})
    assert table(content)["id"].to_pylist() == list(range(50))
    file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content))
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [10] * 5


def test_an_error_of_the_storage_stays_one() -> None:
    class Full(Memory):
        def write(self, data: Any, /) -> None:
            if len(self.content) > 4:
                raise OSError("disk full")
            super().write(data)

    chosen = file_format("my_api", "/x.parquet", columns={"id": "int64"}, extra_columns="error", csv_escape=False)
    with chosen.open(NewFile(Full(), "rows")) as file:
        file.write(lines({"id": 1}))
        with pytest.raises(StorageError, match="disk full"):
            file.finish()


def test_a_file_that_is_not_finished_gets_no_footer() -> None:
    memory = Memory()
    chosen = file_format("my_api", "/x.parquet", columns={"id": "int64"}, extra_columns="error", csv_escape=False)
    with chosen.open(NewFile(memory, "rows")) as file:
        file.write(lines({"id": 1}))
    assert memory.content == b"PAR1"


def test_an_unknown_member_of_an_object_is_an_error_that_says_how_to_add_or_ignore_it() -> None:
    with pytest.raises(InvalidPage) as caught:
        written(".parquet", lines({"o": {"a": 1, "new": 2}}), columns={"o": {"a": "int64"}})
    assert str(caught.value) == (
        "has a value that does not fit its column: in row 1, column 'o' is an object with the field 'new', which "
        "columns does not have. Add the field to the type in columns, or set extra_columns to 'ignore'"
    )
