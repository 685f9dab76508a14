"""Rows are sliced out of the JSON of a response as the API wrote them."""

from __future__ import annotations

import json
import sys
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_oauth.extract.records_path import records_paths
from airflow_provider_oauth.extract.rows import InvalidPage, slice_rows
from airflow_provider_oauth.extract.text import utf8

if TYPE_CHECKING:
    from collections.abc import Sequence

SPACE = st.text(" \t\n\r", max_size=3)
#: Spellings that a decoder would change.
NUMBER = st.sampled_from(
    ["0", "-0", "1.10", "1E400", "-1.0e-07", "123456789012345678901234567890", "9" * 5000, "0.1000"]
)
CHARACTER = st.one_of(
    st.characters(exclude_characters='"\\', exclude_categories=["Cs", "Cc"]),
    st.sampled_from(
        ['\\"', "\\\\", "\\/", "\\n", "\\u00e9", "\\uD83D\\uDE00", "\\ud800", "\\udc00x", "[", "]", "{", "}"]
    ),
)
STRING = st.lists(CHARACTER, max_size=4).map(lambda parts: f'"{"".join(parts)}"')


@st.composite
def array(draw: st.DrawFn, elements: Sequence[str]) -> str:
    return (
        "["
        + ",".join(f"{draw(SPACE)}{each}{draw(SPACE)}" for each in elements)
        + draw(SPACE if not elements else st.just(""))
        + "]"
    )


@st.composite
def json_object(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    # A key can occur twice.
    members = draw(st.lists(st.tuples(st.one_of(st.just('"id"'), STRING), values), max_size=3))
    parts = [f"{draw(SPACE)}{key}{draw(SPACE)}:{draw(SPACE)}{value}{draw(SPACE)}" for key, value in members]
    return "{" + ",".join(parts) + "}"


SCALAR = st.one_of(NUMBER, STRING, st.sampled_from(["true", "false", "null"]))
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(json_object(inner), st.lists(inner, max_size=3).flatmap(array)),
    max_leaves=6,
)
ROW = json_object(VALUE)


@given(rows=st.lists(ROW, max_size=4), where=st.sampled_from([None, "data", "a.data", "@"]), data=st.data())
def test_rows_are_the_bytes_that_were_sent(rows: list[str], where: str | None, data: st.DataObject) -> None:
    page = data.draw(array(rows))
    for key in reversed(where.split(".") if where not in (None, "@") else []):  # type: ignore[union-attr]
        before, after = data.draw(VALUE), data.draw(VALUE)
        page = f'{{"before":{before},{data.draw(SPACE)}"{key}":{data.draw(SPACE)}{page},"after": {after}}}'
    content = f"{data.draw(SPACE)}{page}{data.draw(SPACE)}".encode()
    expected = [row.replace("\n", "").replace("\r", "").encode() for row in rows]
    assert list(slice_rows(content, records_paths(where)).lines) == expected


def rows_of(content: str | bytes, path: str | Sequence[str] | None = None, *, allow_nan: bool = False) -> list[bytes]:
    body = content if isinstance(content, bytes) else content.encode()
    return list(slice_rows(body, records_paths(path), allow_nan=allow_nan).lines)


@pytest.mark.parametrize(
    ("content", "path", "rows"),
    [
        ('{"edges":[{"node":{"a":1}},{"node":null}]}', "edges[].node", [b'{"a":1}', b"null"]),
        ('{"g":{"a":[1],"b":[2,3]}}', "g.*", [b"[1]", b"[2,3]"]),
        ('{"g":{"a":[1],"b":[2,3]}}', "g.*[]", [b"1", b"2", b"3"]),
        ('{"a.b":{"c[]":[1]}}', '"a.b"."c[]"', [b"1"]),
        ('{"id":1}', ["items", "data", "@"], [b'{"id":1}']),
        ('{"data":[5],"items":[6]}', ["items", "data"], [b"6"]),
        ('{"items":null,"data":[5]}', ["items", "data"], [b"5"]),
        ('{"data":[]}', "data", []),
        ('{"data":["\\ud800"]}', "data", [b'"\\ud800"']),
        ('{"k":' + "[" * 500 + "]" * 500 + "}", "k", [b"[" * 499 + b"]" * 499]),
    ],
)
def test_records_path_leads_to_the_rows(content: str, path: str | list[str], rows: list[bytes]) -> None:
    assert rows_of(content, path) == rows


@pytest.mark.parametrize(
    ("content", "path", "problem"),
    [
        ('{"edges":[{"node":1},{}]}', "edges[].node", "an element has no 'node'"),
        ('{"g":[{"a":[1]}]}', "g[].a", "has arrays at records_path 'g\\[\\].a'"),
        ('{"items":null}', ["items", "@"], "has null at 'items' instead of an array"),
        ("3", "@", "is neither an object nor an array"),
        ('{"data":[{"a":NaN}]}', "data", "contains NaN or Infinity"),
        ("[1]x", None, "is not JSON"),
        # These documents have no rows at the path, but the reason is that they are not complete.
        ('{"data":[', "[]", "is not JSON"),
        ('[{"data":[', "data", "is not JSON"),
        ("[NaN]", "data", "contains NaN or Infinity"),
    ],
)
def test_other_responses_are_errors(content: str, path: str | list[str], problem: str) -> None:
    with pytest.raises(InvalidPage, match=problem):
        rows_of(content, path)


@pytest.mark.parametrize("path", ["data", "data[].row", "data[].*"])
def test_a_page_needs_little_memory_besides_its_rows(path: str) -> None:
    content = json.dumps({"data": [{"row": {"id": n, "text": "x" * 40}} for n in range(2000)]}).encode()
    tracemalloc.start()
    try:
        rows = slice_rows(content, records_paths(path))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = sum(map(sys.getsizeof, rows.lines)) + sys.getsizeof(rows.lines)
    assert kept < 1.2 * size


def test_nan_becomes_null_and_is_counted() -> None:
    content = b'{"meta":NaN,"data":[{"a":NaN,"b":"NaN"},{"c":-Infinity}]}'
    rows = slice_rows(content, records_paths("data"), allow_nan=True)
    assert (list(rows.lines), rows.replaced) == ([b'{"a":null,"b":"NaN"}', b'{"c":null}'], 2)


@pytest.mark.parametrize(
    ("encoding", "content_type"),
    [
        ("utf-8", "text/html"),
        ("utf-8-sig", "application/json; charset=utf-8"),
        ("utf-16", "application/json"),
        ("utf-16-le", ""),
        ("utf-32", "application/json"),
        ("iso-8859-1", "application/json; charset=ISO-8859-1"),
    ],
)
def test_a_response_becomes_utf_8(encoding: str, content_type: str) -> None:
    text = '[{"ort": "Zürich"}]'
    assert utf8(text.encode(encoding), content_type) == text.encode()


@pytest.mark.parametrize("charset", ["foo", "hex", "undefined"])
def test_an_unknown_charset_is_an_error(charset: str) -> None:
    with pytest.raises(InvalidPage, match=f"has the charset '{charset}', which is unknown"):
        utf8(b"[1]", f"application/json; charset={charset}")


def test_invalid_bytes_and_incomplete_gzip_are_errors() -> None:
    with pytest.raises(InvalidPage, match="is not valid utf-8 at byte 2"):
        utf8(b'["\xfc"]', "")
    with pytest.raises(InvalidPage, match="is not valid gzip"):
        utf8(b"\x1f\x8b\x08\x00", "")


@given(SCALAR)
def test_the_writer_of_these_tests_writes_json(text: str) -> None:
    json.loads(text, parse_int=str)
