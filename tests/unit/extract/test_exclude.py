"""Fields that are removed from rows."""

from __future__ import annotations

import pytest

from airflow_provider_oauth.extract.exclude import FieldFilter
from airflow_provider_oauth.extract.rows import InvalidPage


@pytest.mark.parametrize(
    ("line", "without"),
    [
        (b'{"id":1,"ssn":"1-2"}', b'{"id":1}'),
        (b'{"ssn":"1-2"}', b"{}"),
        (b'{ "id" : 1.10, "ssn": 2, "big" : 1E400 }', b'{"id":1.10,"big":1E400}'),
        (b'{"s\\u0073n":"1-2","n":{"ssn": 1}}', b'{"n":{"ssn": 1}}'),  # only the row's own keys
        (b'{"ssn":1,"name":"Z\xc3\xbcrich","esc":"\\u00fc"}', b'{"name":"Z\xc3\xbcrich","esc":"\\u00fc"}'),
        (b'{"ssn":1,"a\\"\\n":2}', b'{"a\\"\\n":2}'),
        (b'{"ssn":1,"cut":"\\ud83d"}', b'{"cut":"\\ud83d"}'),  # msgspec rejects an unpaired surrogate
        (b'{"ssn":1,"\\ud83d":2}', b'{"\\ud83d":2}'),
        (b'{"ssn":1,"long":' + b"7" * 5000 + b"}", b'{"long":' + b"7" * 5000 + b"}"),
        (b'{ "id" : 1 }', b'{ "id" : 1 }'),  # has none of the fields
        (b"{}", b"{}"),
    ],
)
def test_fields_are_removed_and_all_others_stay_as_they_were_written(line: bytes, without: bytes) -> None:
    assert FieldFilter(["ssn"]).without(line) == without


@pytest.mark.parametrize("line", [b'{"a":1,"a":2}', b'{"ssn":1,"a":1,"\\u0061":2}', b'{"ssn":"\\ud83d","a":1,"a":1}'])
def test_a_key_that_occurs_twice_is_an_error_because_a_value_would_be_lost(line: bytes) -> None:
    with pytest.raises(InvalidPage, match="a key twice"):
        FieldFilter(["ssn"]).without(line)


def test_a_key_that_occurs_twice_in_a_nested_object_stays() -> None:
    assert FieldFilter(["ssn"]).without(b'{"ssn":1,"n":{"a":1,"a":2}}') == b'{"n":{"a":1,"a":2}}'


@pytest.mark.parametrize("line", [b"[1]", b'"text"', b"null", b"1"])
def test_a_row_that_is_not_an_object_is_an_error(line: bytes) -> None:
    with pytest.raises(InvalidPage, match="not an object"):
        FieldFilter(["ssn"]).without(line)


def test_fields_that_no_row_has_are_known() -> None:
    fields = FieldFilter(["ssn", "snn", "ssn"])
    fields.without(b'{"ssn":1}')
    fields.without(b'{"id":1}')
    assert fields.missing == {"snn"}
