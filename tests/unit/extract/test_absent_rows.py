"""A ``records_path`` that ends with ``?``: some APIs omit an empty array."""

from __future__ import annotations

import pytest

from airflow_provider_oauth.extract.records_path import records_paths
from airflow_provider_oauth.extract.rows import InvalidPage, slice_rows, without_rows


def lines(content: bytes, *paths: str) -> list[bytes]:
    return list(slice_rows(content, records_paths(paths)).lines)


@pytest.mark.parametrize("content", [b'{"success": true}', b'{"result": null}', b'{"result": []}', b"{}"])
def test_a_response_without_the_last_key_has_no_rows(content: bytes) -> None:
    assert lines(content, "result?") == []
    assert slice_rows(content, records_paths("result?")).at == ("result",)


def test_a_response_with_the_key_has_its_rows() -> None:
    assert lines(b'{"result": [1, {"a": 2}]}', "result?") == [b"1", b'{"a": 2}']


@pytest.mark.parametrize("content", [b"[]", b'"x"', b"null", b"{}", b'{"data": null}', b'{"data": []}'])
def test_only_the_last_key_may_be_absent(content: bytes) -> None:
    with pytest.raises(InvalidPage):
        lines(content, "data.items?")
    assert lines(b'{"data": {}}', "data.items?") == []


@pytest.mark.parametrize("content", [b'{"result": {}}', b'{"result": 0}', b'{"result": "no"}'])
def test_a_value_that_is_not_an_array_is_an_error(content: bytes) -> None:
    with pytest.raises(InvalidPage, match="no array at 'result\\?'"):
        lines(content, "result?")


def test_without_the_question_mark_an_absent_key_is_an_error() -> None:
    with pytest.raises(InvalidPage, match="has no 'result'"):
        lines(b'{"success": true}', "result")


def test_another_path_that_the_response_has_is_used_first() -> None:
    assert lines(b'{"data": [1]}', "items?", "data") == [b"1"]
    assert lines(b"{}", "items?", "data") == []


def test_a_quoted_key_can_end_with_a_question_mark() -> None:
    assert lines(b'{"ok?": [1]}', '"ok?"') == [b"1"]
    assert lines(b"{}", '"ok?"?') == []


def test_text_that_msgspec_rejects_is_read_in_the_same_way() -> None:
    assert lines(b'{"name": "\\ud800"}', "result?") == []
    assert lines(b'{"name": "\\ud800", "result": [1]}', "result?") == [b"1"]


@pytest.mark.parametrize("path", ["?", "@?", "edges[]?", "groups.*?"])
def test_only_a_path_of_keys_can_be_optional(path: str) -> None:
    with pytest.raises(ValueError, match="is not valid at"):
        records_paths(path)


def test_a_response_without_its_rows_can_still_be_searched() -> None:
    assert without_rows(slice_rows(b'{"moreResult": true}', records_paths("result?")), keep_ends=False) == {
        "moreResult": True
    }
