"""Responses in JSON Lines and CSV: the rows, and errors instead of lost or wrong rows."""

from __future__ import annotations

import csv
import gc
import gzip
import io
import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract import formats, spool
from airflow_provider_oauth.extract.engine import PageReader
from airflow_provider_oauth.extract.formats import CsvFormat, JsonLinesFormat
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderJsonPaginator,
    HeaderLinkPaginator,
    JsonLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.extract.spool import SpooledResponse, spooler
from airflow_provider_oauth.extract.streamed_page import StreamedPage, page_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_oauth.extract.page_request import PageRequest
    from airflow_provider_oauth.extract.paginators import Paginator

URL = "https://api.example.com/export"
JSON_LINES, CSV = JsonLinesFormat(), CsvFormat()


def raw_response(body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url = status, f"{URL}?secret=1"
    response.headers.update({"Content-Length": str(len(body))} if headers is None else headers)
    response.raw = urllib3.HTTPResponse(io.BytesIO(body), response.headers, preload_content=False)
    return response


def page(
    body: bytes | str,
    row_format: JsonLinesFormat | CsvFormat,
    headers: dict[str, str] | None = None,
    *,
    allow_nan: bool = False,
) -> StreamedPage:
    content = body if isinstance(body, bytes) else body.encode()
    request = ListRequest(endpoint="export", response_format=row_format, allow_nan=allow_nan)
    found = page_of(spooler("shop")(raw_response(content, headers)), request, "shop")
    assert isinstance(found, StreamedPage)
    return found


def lines(body: bytes | str, row_format: JsonLinesFormat | CsvFormat, headers: dict[str, str] | None = None) -> Any:
    found = page(body, row_format, headers)
    try:
        return list(found.lines)
    finally:
        found.close()


def problem(body: bytes | str, row_format: JsonLinesFormat | CsvFormat, headers: dict[str, str] | None = None) -> str:
    with pytest.raises(ApiError) as caught:
        lines(body, row_format, headers)
    assert str(caught.value).startswith(f"Connection 'shop': the response of {URL} ")
    assert "fake-cell" not in str(caught.value)
    return str(caught.value)


def test_json_lines_are_kept_as_the_api_wrote_them() -> None:
    body = b'{"a": 1.10, "a": 1E400, "b": 123456789012345678901234567890}\r\n\n  {"x":"\\ud800","y":"\\u00e9"} \n[1]'
    assert lines(body, JSON_LINES) == [
        b'{"a": 1.10, "a": 1E400, "b": 123456789012345678901234567890}',
        b'{"x":"\\ud800","y":"\\u00e9"}',
        b"[1]",
    ]


@pytest.mark.parametrize("separator", ["\u2028", "\u0085", "\u2029"])
def test_only_a_line_feed_ends_a_line_of_json_lines(separator: str) -> None:
    row = f'{{"text":"a{separator}b"}}'
    assert lines(f"{row}\n{row}", JSON_LINES) == [row.encode()] * 2


@pytest.mark.parametrize("row_format", [JSON_LINES, CSV])
@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf"])
def test_a_response_without_content_has_no_rows(row_format: JsonLinesFormat | CsvFormat, body: bytes) -> None:
    assert lines(body, row_format) == []


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ('{"a":1}\n{"a":fake-cell}\n', 2),
        ('{"a":1}\n\n{"a":', 3),
        ('{\n "a": "fake-cell"\n}', 1),
        ("<html>fake-cell", 1),
        ('{"a":1} {"a":2}', 1),
        ('{"a":1},\n', 1),
    ],
)
def test_a_line_that_is_not_json_is_an_error_with_its_number(body: str, number: int) -> None:
    assert f"is not valid JSON Lines: line {number} is not JSON. Check the endpoint." in problem(body, JSON_LINES)


def test_one_json_array_instead_of_json_lines_is_an_error() -> None:
    assert "is one JSON array, not JSON Lines. Remove response_format." in problem('[{"a":1},{"a":2}]', JSON_LINES)


def test_nan_in_json_lines_is_an_error_or_null() -> None:
    body = '{"a":NaN,"b":"NaN \\" Infinity"}\n{"a":1}\n[-Infinity,Infinity]'
    assert "line 1 contains NaN or Infinity" in problem(body, JSON_LINES)
    found = page(body, JSON_LINES, allow_nan=True)
    assert list(found.lines) == [b'{"a":null,"b":"NaN \\" Infinity"}', b'{"a":1}', b"[null,null]"]
    assert (found.count, found.replaced) == (3, 3)
    found.close()


def test_csv_rows_become_objects_of_strings() -> None:
    body = 'id,na me,note\r\n007,"Zürich, CH","say ""hi""\r\nthere"\r\n,1.10,\r\n\r\n'
    assert lines(body, CSV) == [
        '{"id":"007","na me":"Zürich, CH","note":"say \\"hi\\"\\r\\nthere"}'.encode(),
        b'{"id":"","na me":"1.10","note":""}',
    ]


def test_csv_can_have_another_dialect() -> None:
    dialect = CsvFormat(delimiter=";", quotechar="'", escapechar="\\", doublequote=False, skip_lines=2)
    assert lines("Report, 2026\n\nid;name\n1;'a;\\'b'\n", dialect) == [b'{"id":"1","name":"a;\'b"}']
    assert lines('a\tb\n"\t"x"\n', CsvFormat(delimiter="\t", quotechar=None)) == [b'{"a":"\\"","b":"\\"x\\""}']


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("a,b\n1,2\nfake-cell\n", "the row at line 3 has 1 cells, but there are 2 column names"),
        ('a,b\n"1\n\n",2\n1,2,fake-cell\n', "the row at line 5 has 3 cells, but there are 2 column names"),
        ("a,,c\n1,2,3\n", "in line 1, column 2 has no name"),
        ("a, \n", "in line 1, column 2 has no name"),
        ("a,b,a\n1,2,3\n", "in line 1, the column names 'a' occur more than once"),
        ('a,b\n1,"fake-cell\n', "the row at line 2 cannot be read"),
        ('a,b\n1,2\n"1"fake-cell,2\n', "the row at line 3 cannot be read"),
        ("a\n1\n\n2\n", "line 3 is empty, and there is only one column"),
        ("<!DOCTYPE html>\n", "is HTML, XML or JSON, not CSV. Check the endpoint and response_format."),
        ('{"error": "fake-cell"}', "is HTML, XML or JSON, not CSV"),
        ('{\n  "error": "fake-cell"}', "is HTML, XML or JSON, not CSV"),
        ("[]", "is HTML, XML or JSON, not CSV"),
    ],
)
def test_csv_that_would_lose_cells_is_an_error_with_the_line_number(body: str, text: str) -> None:
    assert text in problem(body, CSV)


def test_the_line_number_of_an_error_counts_skipped_lines() -> None:
    assert "the row at line 4 has 1 cells" in problem("title\n\na,b\n1\n", CsvFormat(skip_lines=2))


def test_empty_lines_at_the_end_are_no_rows_of_a_single_column() -> None:
    assert lines('a\n1\n""\n\n\n', CSV) == [b'{"a":"1"}', b'{"a":""}']


def test_a_column_name_may_begin_with_a_bracket() -> None:
    assert lines("[Order ID],<x>\n1,2\n", CSV) == [b'{"[Order ID]":"1","<x>":"2"}']


def test_a_long_cell_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = csv.field_size_limit()
    try:
        csv.field_size_limit(131_072)
        assert json.loads(lines(f"a,b\n1,{'x' * 200_000}\n", CSV)[0])["b"] == "x" * 200_000
        monkeypatch.setattr(formats, "MAX_CELL_SIZE", 10)
        csv.field_size_limit(10)
        assert "the row at line 2 cannot be read (field larger than field limit (10))" in problem("a\n12345678901", CSV)
    finally:
        csv.field_size_limit(limit)


# Without NUL: as one of the first four bytes, it is a sign of UTF-16 or UTF-32.
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@given(
    names=st.lists(CELL.filter(str.strip), min_size=1, max_size=4, unique=True),
    data=st.data(),
    delimiter=st.sampled_from(",;\t|"),
    terminator=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_all_csv_rows_that_a_writer_writes_are_read(
    names: list[str], data: st.DataObject, delimiter: str, terminator: str, encoding: str
) -> None:
    rows = data.draw(st.lists(st.lists(CELL, min_size=len(names), max_size=len(names)), max_size=4))
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=terminator, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    body = file.getvalue().encode(encoding)
    found = [json.loads(line) for line in lines(body, CsvFormat(delimiter=delimiter))]
    assert found == [dict(zip(names, row, strict=True)) for row in rows]


@pytest.mark.parametrize("row_format", [JSON_LINES, CSV])
@pytest.mark.parametrize(
    ("encode", "content_type"),
    [
        ("utf-8", "text/html"),
        ("utf-8-sig", "text/plain; charset=utf-8"),
        ("utf-16", ""),
        ("utf-32", "text/csv"),
        ("iso-8859-1", "text/csv; charset=ISO-8859-1"),
        ("cp1252", 'text/csv; charset="windows-1252"'),
    ],
)
def test_the_charset_of_rows_is_that_of_the_response(
    row_format: JsonLinesFormat | CsvFormat, encode: str, content_type: str
) -> None:
    body = '{"ort":"Zürich"}\n{"ort":"Zürich"}\n' if row_format is JSON_LINES else "ort\nZürich\nZürich\n"
    headers = {"Content-Type": content_type, "Content-Length": str(len(body.encode(encode)))}
    assert lines(body.encode(encode), row_format, headers) == ['{"ort":"Zürich"}'.encode()] * 2


def test_invalid_bytes_and_unknown_charsets_are_errors() -> None:
    assert "is not valid utf-8 soon after line 0. Check the charset" in problem(b"a,b\n1,\xfc\n", CSV)
    assert "has the charset 'hex', which is unknown" in problem(b"a", CSV, {"Content-Type": "text/csv; charset=hex"})


@pytest.mark.parametrize("times", [1, 2])
def test_gzip_is_recognized_by_content(times: int) -> None:
    body = b'{"a":1}\n' * 3
    for _ in range(times):
        body = gzip.compress(body[:8]) + gzip.compress(body[8:])
    assert lines(body, JSON_LINES, {"Content-Encoding": "gzip"}) == [b'{"a":1}'] * 3
    assert lines(body, JSON_LINES) == [b'{"a":1}'] * 3


@pytest.mark.parametrize("damage", [lambda body: body[:-9], lambda body: body[:20], lambda body: body[:-1] + b"\0\1"])
def test_incomplete_or_damaged_gzip_is_an_error_before_the_first_row(damage: Callable[[bytes], bytes]) -> None:
    body = damage(gzip.compress(b'{"a":1}\n' * 1000))
    with pytest.raises(ApiError, match="is not valid gzip: the data is incomplete or damaged"):
        spooler("shop")(raw_response(body, {"Content-Encoding": "gzip"}))


def test_another_content_encoding_than_gzip_is_an_error() -> None:
    with pytest.raises(ApiError, match="has the Content-Encoding 'br', but the request accepts only gzip"):
        spooler("shop")(raw_response(b"x", {"Content-Encoding": "br"}))


def test_a_full_disk_is_an_error_that_names_the_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool.tempfile, "TemporaryFile", FullDisk)
    folder = tempfile.gettempdir()
    with pytest.raises(ApiError, match=f"cannot be stored in the temporary folder {folder}: No space left on device"):
        spooler("shop")(raw_response(b"x"))


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (urllib3.exceptions.ProtocolError("reset"), requests.exceptions.ChunkedEncodingError),
        (urllib3.exceptions.SSLError("reset"), requests.exceptions.ConnectionError),
    ],
)
def test_a_connection_that_breaks_in_the_body_is_an_error_of_the_request(
    raised: Exception, expected: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(*_: Any, **__: Any) -> Iterator[bytes]:
        yield b'{"a":1}\n'
        raise raised

    response = raw_response(b"")
    monkeypatch.setattr(response.raw, "stream", stream)
    with pytest.raises(expected):
        spooler("shop")(response)


def test_error_responses_are_not_stored() -> None:
    response = raw_response(b"busy", status=503)
    assert spooler("shop")(response) is response
    assert response.content == b"busy"


def test_a_response_without_a_length_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    lines(b'{"a":1}', JSON_LINES, {"Transfer-Encoding": "chunked"})
    lines(gzip.compress(b'{"a":1}'), JSON_LINES, {})
    assert not caplog.messages
    lines(b'{"a":1}', JSON_LINES, {})
    assert f"the response of {URL} has neither Content-Length nor an end mark, so it is unknown" in caplog.text


def test_rows_can_be_read_again_and_are_counted_if_they_were_not_read() -> None:
    found = page(b'{"a":1}\n{"a":2}\n', JSON_LINES)
    assert next(found.lines) == b'{"a":1}'
    assert found.count == 2
    assert list(found.rows) == [{"a": 1}, {"a": 2}]
    assert list(zip(found.rows, found.rows, strict=True)) == [({"a": 1}, {"a": 1}), ({"a": 2}, {"a": 2})]
    assert found.response.content == b'{"a":1}\n{"a":2}\n'
    found.close()


def test_an_invalid_line_after_the_rows_that_were_used_is_an_error() -> None:
    found = page(b'{"a":1}\nbroken\n', JSON_LINES)
    assert next(found.rows) == {"a": 1}
    with pytest.raises(ApiError, match="line 2 is not JSON"):
        _ = found.count
    found.close()


@pytest.mark.parametrize("use", ["content", "text", "sliced"])
def test_the_whole_response_is_not_available(use: str) -> None:
    found = page(b"a\n1\n", CSV)
    with pytest.raises(ApiError, match=f"is CSV, whose rows are read one by one, so a paginator cannot use {use}"):
        getattr(found, use)
    with pytest.raises(ApiError, match="cannot use the JMESPath 'next'"):
        found.search("next")
    assert found.without_rows == {}
    found.close()


@pytest.mark.parametrize(
    ("paginator", "text"),
    [
        (CursorPaginator(path="next"), r"CursorPaginator looks for path='next' in the response, but a response in CSV"),
        (JsonLinkPaginator(), "JsonLinkPaginator looks for path='next'"),
        (PageNumberPaginator(last="meta.pages"), "PageNumberPaginator looks for last='meta.pages'"),
        (OffsetPaginator(total="total"), "OffsetPaginator looks for total='total'"),
        (HeaderLinkPaginator(more="has_more"), "HeaderLinkPaginator looks for more='has_more'"),
    ],
)
def test_a_paginator_that_reads_the_response_is_refused(paginator: Paginator, text: str) -> None:
    request = ListRequest(endpoint="export", paginator=paginator, response_format=CSV)
    with pytest.raises(ConfigurationError, match=text):
        PageReader(lambda _: raw_response(b""), request, "shop")


def test_records_path_and_unknown_formats_are_refused() -> None:
    request = ListRequest(endpoint="export", records_path="data", response_format=CSV)
    with pytest.raises(ConfigurationError, match="records_path is set, but a response in CSV has only rows"):
        PageReader(lambda _: raw_response(b""), request, "shop")
    unknown: Any = "csv"
    with pytest.raises(ConfigurationError, match=r"response_format is 'csv'. Set it to \"json\", JsonLinesFormat\(\)"):
        PageReader(lambda _: raw_response(b""), ListRequest(endpoint="", response_format=unknown), "shop")


@pytest.mark.parametrize(
    "dialect",
    [
        {"delimiter": ""},
        {"delimiter": "ab"},
        {"delimiter": '"'},
        {"quotechar": "\n"},
        {"escapechar": ","},
        {"skip_lines": -1},
        {"quotechar": 1},
    ],
)
def test_an_invalid_dialect_is_an_error_when_it_is_created(dialect: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="CsvFormat: "):
        CsvFormat(**dialect)


class Api:
    """Returns the given bodies one after the other, and records the queries."""

    def __init__(self, *bodies: bytes | requests.Response) -> None:
        self.responses = [body if isinstance(body, requests.Response) else raw_response(body) for body in bodies]
        self.queries: list[dict[str, Any]] = []
        self.spooled: list[SpooledResponse] = []

    def __call__(self, request: PageRequest) -> requests.Response:
        self.queries.append(dict(request.query))
        response = spooler("shop")(self.responses.pop(0))
        assert isinstance(response, SpooledResponse)
        self.spooled.append(response)
        return response


def is_open(response: SpooledResponse) -> bool:
    return not response._body.closed


def rows(api: Api, paginator: Paginator, row_format: JsonLinesFormat | CsvFormat = JSON_LINES) -> list[Any]:
    reader = PageReader(api, ListRequest(endpoint="export", paginator=paginator, response_format=row_format), "shop")
    found = [row for each in reader for row in each.rows]
    assert not any(map(is_open, api.spooled))
    assert reader.list_counts.rows == len(found)
    return found


def test_pages_by_number_end_with_a_shorter_page() -> None:
    api = Api(b"a\n1\n2\n", b"a\n3\n")
    assert rows(api, PageNumberPaginator(size_param="n", size=2), CSV) == [{"a": "1"}, {"a": "2"}, {"a": "3"}]
    assert api.queries == [{"page": 1, "n": 2}, {"page": 2, "n": 2}]


def test_the_offset_of_the_next_page_counts_the_rows_of_this_one() -> None:
    api = Api(b'{"a":1}\n{"a":2}\n', b"")
    assert rows(api, OffsetPaginator(size=2)) == [{"a": 1}, {"a": 2}]
    assert [query["offset"] for query in api.queries] == [0, 2]


def test_headers_lead_to_the_next_page() -> None:
    first = raw_response(b'{"a":1}', {"X-Next-Page": "2", "Content-Length": "7"})
    api = Api(first, raw_response(b'{"a":2}', {"X-Next-Page": "", "Content-Length": "7"}))
    assert rows(api, CursorPaginator(path="header:X-Next-Page", param="page")) == [{"a": 1}, {"a": 2}]
    first = raw_response(b'{"a":1}', {"x-pagination": '{"CurrentPage":1,"HasNext":false}', "Content-Length": "7"})
    assert rows(Api(first), HeaderJsonPaginator()) == [{"a": 1}]


def test_a_repeated_page_is_an_error_unless_the_api_repeats_the_last_one() -> None:
    with pytest.raises(ApiError, match="has the same rows as the previous page"):
        rows(Api(b'{"a":1}', b'{"a":1}'), PageNumberPaginator())
    api = Api(b'{"a":1}', b'{"a":2}', b'{"a":2}')
    assert rows(api, PageNumberPaginator(repeats_last_page=True)) == [{"a": 1}, {"a": 2}]


def test_the_temporary_file_is_deleted_if_reading_stops() -> None:
    api = Api(b'{"a":1}', b'{"a":2}')
    pages = iter(PageReader(api, ListRequest(endpoint="", paginator=PageNumberPaginator(), response_format=JSON_LINES)))
    next(pages)
    assert is_open(api.spooled[0])
    del pages
    gc.collect()
    assert not is_open(api.spooled[0])


def test_a_temporary_file_has_no_name(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = page(b'{"a":1}', JSON_LINES)
    assert os.listdir(tmp_path) == []
    found.close()
