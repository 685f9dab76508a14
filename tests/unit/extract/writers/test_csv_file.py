"""CSV files, byte by byte."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from airflow_provider_oauth.extract.rows import InvalidPage
from tests.unit.extract.writers.files import lines, written

NAMES = ["id", "name"]
TYPES = {"id": "int64", "name": "string"}


@pytest.mark.parametrize("columns", [NAMES, TYPES])
def test_the_first_line_has_the_names_and_each_row_is_a_line(columns: Any) -> None:
    rows = lines({"id": 1, "name": "Ada"}, {"name": "Zoë", "id": 2})
    assert written(".csv", rows, columns=columns) == "id,name\n1,Ada\n2,Zoë\n".encode()


def test_null_and_absent_fields_are_empty_and_empty_text_is_two_quotation_marks() -> None:
    rows = lines({"id": None, "name": None}, {"id": 1, "name": ""}, {})
    assert written(".csv", rows, columns=NAMES) == b'id,name\n,\n1,""\n,\n'


@pytest.mark.parametrize("number", ["1", "-0", "1.10", "1E400", "12345678901234567890", "0.10000000000000000000001"])
@pytest.mark.parametrize("other", [b"null", b'"text"', b"2"], ids=["null", "text", "number"])
def test_numbers_stay_as_the_api_wrote_them(number: str, other: bytes) -> None:
    rows = lines(b'{"id":' + number.encode() + b',"name":1}', b'{"id":' + other + b',"name":2}')
    assert written(".csv", rows, columns=NAMES).splitlines()[1] == number.encode() + b",1"


def test_numbers_of_typed_columns_stay_as_the_api_wrote_them() -> None:
    columns = {"i": "int64", "f": "float64", "d": "decimal(5,2)", "b": "boolean"}
    rows = lines(b'{"i":-0,"f":1.10,"d":1.100,"b":true}', b'{"i":null,"f":1e3,"d":"2.5","b":false}')
    assert written(".csv", rows, columns=columns) == b"i,f,d,b\n-0,1.10,1.100,true\n,1e3,2.5,false\n"


def test_dates_and_times_stay_as_the_api_wrote_them() -> None:
    columns = {"day": "date", "at": "timestamp"}
    rows = lines({"day": "2026-01-31", "at": "2026-01-31T12:00:00+01:00"}, {"day": None})
    assert written(".csv", rows, columns=columns) == b"day,at\n2026-01-31,2026-01-31T12:00:00+01:00\n,\n"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("a,b", '"a,b"'),
        ('say "hi"', '"say ""hi"""'),
        ("two\nlines", '"two\nlines"'),
        ("carriage\rreturn", '"carriage\rreturn"'),
        (" spaces ", " spaces "),
        ("null", "null"),
        ("'", "'"),
        ("a;b\tc", "a;b\tc"),
        ("\x00", "\x00"),
        ("Zürich 😀", "Zürich 😀"),
    ],
)
@pytest.mark.parametrize("name", ["plain", None, 1, "a,b"])
def test_text_is_quoted_where_rfc_4180_requires_it(text: str, cell: str, name: object) -> None:
    content = written(".csv", lines({"id": text, "name": 1}, {"id": name, "name": 2}), columns=NAMES).decode()
    assert content.startswith(f"id,name\n{cell},1\n")
    rows = list(csv.reader(io.StringIO(content, newline="")))
    assert rows[1:] == [[text, "1"], ["" if name is None else str(name), "2"]]


def test_names_are_quoted_as_text() -> None:
    columns = ["a,b", 'c"d', "", "e"]
    rows = lines({"a,b": 1, 'c"d': 2, "": 3, "e": 4})
    assert written(".csv", rows, columns=columns) == b'"a,b","c""d","",e\n1,2,3,4\n'


@pytest.mark.parametrize("type_name", ["string", "json"])
def test_nested_values_are_json_text_as_the_api_wrote_it(type_name: str) -> None:
    rows = lines(b'{"id":1,"tags":{"a": [1.10,"x"]}}', b'{"id":2,"tags":[]}', b'{"id":3,"tags":null}')
    columns = {"id": "int64", "tags": type_name}
    assert written(".csv", rows, columns=columns) == b'id,tags\n1,"{""a"": [1.10,""x""]}"\n2,[]\n3,\n'


def test_a_column_of_type_json_has_text_as_json() -> None:
    rows = lines({"id": 1, "v": "x"}, {"id": 2, "v": 1}, b'{"id":3,"v":"\\ud83d"}')
    assert written(".csv", rows, columns={"id": "int64", "v": "json"}) == b'id,v\n1,"""x"""\n2,1\n3,"""\\ud83d"""\n'


@pytest.mark.parametrize("sign", ["=", "+", "-", "@"])
def test_text_that_begins_like_a_formula_is_not_changed_by_default(sign: str) -> None:
    assert written(".csv", lines({"id": f"{sign}1", "name": "x"}), columns=NAMES) == f"id,name\n{sign}1,x\n".encode()


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
@pytest.mark.parametrize("other", ["text", 5, None])
def test_csv_escape_puts_an_apostrophe_before_text_and_quotes_it(sign: str, other: object) -> None:
    rows = lines({"id": f'{sign}A"1', "name": -2}, {"id": other, "name": -1.5})
    assert written(".csv", rows, columns=NAMES, csv_escape=True) == (
        f'id,name\n"\'{sign}A""1",-2\n{"" if other is None else other},-1.5\n'.encode()
    )


def test_csv_escape_applies_to_names_and_not_to_numbers() -> None:
    columns = {"=a": "int64", "b": "float64"}
    assert written(".csv", lines({"=a": -1, "b": -1.5}), columns=columns, csv_escape=True) == b'"\'=a",b\n-1,-1.5\n'
    prices = lines({"a": "-1.50", "b": "-x"})
    columns = {"a": "decimal(18,2)", "b": "string"}
    assert written(".csv", prices, columns=columns, csv_escape=True) == b'a,b\n-1.50,"\'-x"\n'


def test_a_list_without_rows_is_a_header() -> None:
    assert written(".csv", columns=NAMES) == b"id,name\n"


def test_a_list_without_rows_and_columns_is_an_empty_file() -> None:
    assert written(".csv") == b""


def test_null_in_the_only_column_is_an_error_because_programs_skip_empty_lines() -> None:
    rows = lines({"id": 1}, {"id": None})
    with pytest.raises(InvalidPage, match="has null in row 3, but a CSV file with only one column cannot contain"):
        written(".csv", lines({"id": 0}), rows, columns=["id"])
    assert written(".csv", lines({"id": ""}), columns=["id"]) == b'id\n""\n'


# --- rows that do not fit


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (b"[1]", "row 4 is not an object"),
        (b"7", "row 4 is not an object"),
        (b'{"id":1,"id":2}', "row 4 is an object that contains a key twice"),
        (b'{"id":1,"\\u0069d":2}', "row 4 is an object that contains a key twice"),
        (b'{ "id" : 1, "name" : "\\ud83d", "id" : 2 }', "row 4 is an object that contains a key twice"),
        (b'{"id":1,"nam":2}', "row 4 is an object with the field 'nam', which columns does not have"),
        (b'{"id":1.5}', "row 4, column 'id' is a number with decimals or an exponent, but the type is int64"),
        (b'{"id":"secret"}', "row 4, column 'id' is text, but the type is int64"),
        (b'{"id":9223372036854775808}', "row 4, column 'id' is a number outside the range of the type"),
        (b'{"name":"\\ud83d"}', "row 4, column 'name' is text with half of a surrogate pair"),
    ],
)
def test_an_error_names_row_and_column_but_never_the_value(row: bytes, text: str) -> None:
    with pytest.raises(InvalidPage, match=text) as caught:
        written(".csv", lines({"id": 1}, {"id": 2}), lines({"id": 3}, row), columns=TYPES)
    assert "secret" not in str(caught.value)


def test_other_fields_can_be_ignored() -> None:
    rows = lines({"id": 1, "x": 2, "name": "a"}, {"id": 2, "y": {"id": 3}})
    assert written(".csv", rows, columns=NAMES, extra_columns="ignore") == b"id,name\n1,a\n2,\n"


def test_a_key_that_occurs_twice_is_an_error_even_if_other_fields_are_ignored() -> None:
    with pytest.raises(InvalidPage, match="row 1 is an object that contains a key twice"):
        written(".csv", lines(b'{"id":1,"x":2,"id":3}'), columns=NAMES, extra_columns="ignore")


@pytest.mark.parametrize(
    "row",
    [
        b'{"id":1,"name":{"a":1,"a":2}}',
        b'{ "id" : 1 ,\t"name" : { "a" : 1,  "a":2 } }',
        b'{"name":{"a":1,"a":2},"\\u0069d":1}',
        b'{"name":{"a":1,"a":2,"c":"\\ud83d"},"id":1}',
    ],
)
def test_rows_are_split_the_same_however_they_are_written(row: bytes) -> None:
    content = written(".csv", lines({"id": 0, "name": "x"}, row, b"{}", b"{ }"), columns=NAMES)
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    assert [each[0] for each in rows] == ["id", "0", "1", "", ""]
    assert rows[2][1] in row.decode()
    assert rows[2][1].count('"a"') == 2  # nested objects stay as they are


def test_a_name_can_have_any_character() -> None:
    rows = lines({'a"b': 1, "c\\d": "x", "\n": 2}, {"c\\d": None})
    assert written(".csv", rows, columns=['a"b', "c\\d", "\n"]) == b'"a""b",c\\d,"\n"\n1,x,2\n,,\n'


@pytest.mark.parametrize("value", [b"NaN", b"[-Infinity]"])
def test_nan_and_infinity_are_an_error(value: bytes) -> None:
    with pytest.raises(InvalidPage, match="has a row with NaN or Infinity"):
        written(".csv", lines(b'{"id":' + value + b"}"), columns=["id"])


def test_a_row_that_is_nested_too_deeply_for_python_is_an_error() -> None:
    row = b'{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(InvalidPage, match="has a row that is nested too deeply for Python"):
        written(".csv", lines(row), columns=["id"])
