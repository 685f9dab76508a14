"""Marks of rows: the greatest value, rows before the value that was sent, and errors instead of missed rows."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_oauth.extract.incremental import Incremental
from airflow_provider_oauth.extract.row_marks import RowMarks
from airflow_provider_oauth.extract.rows import InvalidPage

SINCE = "2024-01-31T12:00:00Z"
TEXT = SINCE.encode()


def incremental(**changes: Any) -> Incremental:
    return Incremental(**{"field": "updatedAt", "param": "since", "initial": "2024-01-01T00:00:00Z", **changes})


def marks(since: str = SINCE, state: dict[str, Any] | None = None, **changes: Any) -> RowMarks:
    return RowMarks(incremental(**changes), since, "shop", state)


def lines(*values: Any) -> list[bytes]:
    """Return rows whose ``updatedAt`` has these values."""
    return [json.dumps({"id": index, "updatedAt": value}).encode() for index, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "greatest"),
    [
        (["2024-01-31T12:00:00Z"], "2024-01-31T12:00:00Z"),
        (["2024-01-31T12:00:00Z", "2024-01-31T12:00:02Z", "2024-01-31T12:00:01Z"], "2024-01-31T12:00:02Z"),
        (["2024-01-31T12:00:00.9Z", "2024-01-31T12:00:00.10Z"], "2024-01-31T12:00:00.9Z"),
        (["2024-01-31T12:00:00Z", "2024-01-31T13:30:00+02:00"], "2024-01-31T12:00:00Z"),
        (["2024-01-31T12:00:00Z", "2024-01-31T10:30:00-0200"], "2024-01-31T10:30:00-0200"),
        (["2024-02-29T00:00:00Z", "2024-02-28T00:00:00Z"], "2024-02-29T00:00:00Z"),
    ],
)
def test_the_greatest_value_is_kept_as_the_api_wrote_it(values: list[str], greatest: str) -> None:
    found = marks()
    found.read(lines(*values))
    assert found.greatest == greatest
    for start in range(len(values)):
        found = marks()
        for value in values[start:] + values[:start]:
            found.read(lines(value))
        assert found.greatest == greatest


@pytest.mark.parametrize(
    ("changes", "since", "rows", "greatest"),
    [
        ({"field": "a.b"}, SINCE, [b'{"a":{"b":"%s"},"b":1}' % TEXT], SINCE),
        ({"field": '"a.b"."c d"'}, SINCE, [b'{"a.b":{"c d":"%s"}}' % TEXT], SINCE),
        ({}, SINCE, [b'{"updated\\u0041t":"2024\\u002d01-31T12:00:00Z"}'], SINCE),
        ({}, SINCE, [b'{"name":"\\ud83d","updatedAt":"%s"}' % TEXT], SINCE),
        ({}, SINCE, [b'{"n":' + b"9" * 5000 + b',"updatedAt":"%s"}' % TEXT], SINCE),
        ({}, SINCE, [b'{"updatedAt":"1","updatedAt":"%s"}' % TEXT], SINCE),
        ({}, SINCE, [b'{"updatedAt":"1","n":"\\ud83d","updatedAt":"%s"}' % TEXT], SINCE),
        ({"format": "epoch"}, "0", [b'{"updatedAt": 1706702400.10 }'], "1706702400.10"),
        ({"format": "epoch"}, "0", [b'{"updatedAt":1.5e3}', b'{"updatedAt":"1501"}'], "1501"),
        ({"format": "epoch"}, "0", [b'{"updatedAt":"1500"}', b'{"updatedAt":1499.99}'], "1500"),
        ({"format": "epoch_ms"}, "0", [b'{"updatedAt":1706702400123}'], "1706702400123"),
        ({"format": "int"}, "0", [b'{"updatedAt":%d}' % 10**40, b'{"updatedAt":%d}' % (10**40 - 1)], str(10**40)),
        ({"format": "int"}, "0", [b'{"updatedAt":%d}' % (2**53 + 1), b'{"updatedAt":%d}' % 2**53], str(2**53 + 1)),
        ({"format": "int"}, "0", [b'{"updatedAt":-5}', b'{"updatedAt":-6}'], "-5"),
        ({"format": "%Y%m%d", "timezone": "UTC"}, "20240101", [b'{"updatedAt":20240131}'], "20240131"),
        ({"format": "%Y%j", "timezone": "UTC"}, "2024001", [b'{"updatedAt":2024031}', *lines("2024030")], "2024031"),
    ],
)  # fmt: skip
def test_the_field_is_read_exactly(changes: dict[str, Any], since: str, rows: list[bytes], greatest: str) -> None:
    found = marks(since, **{"initial": since, **changes})
    assert found.read(rows) == rows
    assert found.greatest == greatest


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"{}", "whose 'updatedAt' is missing"),
        (b'{"UpdatedAt":"2024-01-31T12:00:00Z"}', "whose 'updatedAt' is missing"),
        (b"[1]", "whose 'updatedAt' is missing"),
        (b'["2024-01-31T12:00:00Z"]', "whose 'updatedAt' is missing"),
        (b'"text"', "whose 'updatedAt' is missing"),
        (b"7", "whose 'updatedAt' is missing"),
        (b'{"updatedAt":null}', "whose 'updatedAt' is null"),
        (b'{"updatedAt":true}', "whose 'updatedAt' is true or false"),
        (b'{"updatedAt":{}}', "whose 'updatedAt' is an object"),
        (b'{"updatedAt":["2024-01-31T12:00:00Z"]}', "whose 'updatedAt' is an array"),
        (b'{"updatedAt":1706702400}', "whose 'updatedAt' is a number, so new rows could be missed"),
        (b'{"updatedAt":""}', "whose 'updatedAt' cannot be compared: '' is not a date or time in ISO 8601"),
        (b'{"updatedAt":"2024-01-31T12:00:00"}', "cannot be compared: '2024-01-31T12:00:00' has no offset from UTC"),
        (b'{"updatedAt":"2024-01-31T24:00:00Z"}', "cannot be compared: '2024-01-31T24:00:00Z' is not a time"),
        (b'{"updatedAt":"\\ud83d"}', r"cannot be compared: '\ud83d' is not a date or time"),
    ],
)  # fmt: skip
def test_a_row_whose_value_cannot_be_compared_is_an_error_that_names_the_row(row: bytes, problem: str) -> None:
    found = marks()
    found.read(lines(SINCE, SINCE, SINCE))
    with pytest.raises(InvalidPage) as caught:
        found.read([*lines(SINCE), row, *lines(SINCE)])
    assert str(caught.value).startswith("has a row, number 5, whose 'updatedAt' ")
    assert problem in str(caught.value)


@pytest.mark.parametrize("format", ["epoch", "epoch_ms", "int"])
@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b'{"updatedAt":true}', "is true or false"),
        (b'{"updatedAt":null}', "is null"),
        (b'{"updatedAt":[1]}', "is an array"),
        (b'{"updatedAt":" 1"}', "cannot be compared: ' 1' is not a number"),
        (b'{"updatedAt":1e999}', "cannot be compared: '1e999' has too many digits"),
        (b"{}", "is missing"),
    ],
)
def test_a_row_without_a_number_is_an_error(format: str, row: bytes, problem: str) -> None:
    with pytest.raises(InvalidPage, match=f"has a row, number 2, whose 'updatedAt' {problem}"):
        marks("0", format=format, initial=0).read([b'{"updatedAt":1}', row])
    with pytest.raises(InvalidPage, match=f"has a row, number 1, whose 'updatedAt' {problem}"):
        marks("0", format=format, initial=0).read([row, row])


def test_nan_is_an_error() -> None:
    with pytest.raises(InvalidPage, match="has a row, number 1, whose 'updatedAt' is NaN or Infinity"):
        marks("0", format="epoch", initial=0).read([b'{"updatedAt":NaN}'])


def test_a_nested_field_of_a_row_without_the_object_is_missing() -> None:
    for row in (b'{"a":null}', b'{"a":[]}', b'{"a":"b"}', b'{"a":{"c":1}}'):
        with pytest.raises(InvalidPage, match="whose 'a.b' is missing"):
            marks(field="a.b").read([row])


def test_a_row_that_is_nested_too_deeply_is_an_error() -> None:
    row = b'{"n":' + b"[" * 200_000 + b"]" * 200_000 + b',"updatedAt":"2024-01-31T12:00:00Z"}'
    with pytest.raises(
        InvalidPage, match="has a row, number 1, that is nested too deeply for Python, so its 'updatedAt' cannot be"
    ):
        marks().read([row])


def test_rows_before_the_value_that_was_sent_are_counted_and_written() -> None:
    found = marks()
    rows = lines("2024-01-31T11:59:59.999Z", SINCE, "2024-01-31T13:00:00+01:00", "2024-01-31T13:00:00.0+01:01")
    assert found.read(rows) is rows
    assert (found.rows, found.older, found.dropped) == (4, 2, 0)


def test_with_client_side_rows_before_the_value_are_dropped() -> None:
    found = marks(client_side=True, param=None)
    values = ["2024-01-31T11:59:59Z", SINCE, "2024-01-31T12:00:01Z", "2024-01-31T00:00:00Z"]
    assert found.read(lines(*values)) == lines(*values)[1:3]
    assert (
        found.read(lines("2024-01-31T11:59:59.9Z", "2024-01-31T12:00:00+00:00"))
        == lines("", "2024-01-31T12:00:00+00:00")[1:]
    )
    assert found.read(lines("2024-01-31T11:00:00Z", "2024-01-31T11:00:01Z")) == []
    assert (found.rows, found.older, found.dropped) == (8, 5, 5)
    assert found.greatest == "2024-01-31T12:00:01Z"


def test_of_equal_values_the_first_is_kept() -> None:
    for values in (["2024-01-31T12:00:00Z", "2024-01-31T14:00:00+02:00"], ["2024-01-31T14:00:00+02:00", SINCE]):
        found, other = marks(), marks()
        found.read(lines(*values))
        for value in values:
            other.read(lines(value))
        assert found.greatest == other.greatest == values[0]


def test_a_page_without_rows_changes_nothing() -> None:
    found = marks(descending=True)
    assert found.read([]) == []
    assert not found.end_page()
    assert (found.greatest, found.rows) == (None, 0)


def test_with_descending_reading_can_stop_after_a_page_of_older_rows() -> None:
    found = marks(descending=True)
    pages = [
        (["2024-01-31T12:00:02Z", "2024-01-31T12:00:01Z"], False),
        (["2024-01-31T12:00:01Z", SINCE], False),
        ([SINCE, "2024-01-31T11:59:59Z"], False),
        (["2024-01-31T11:59:58Z", "2024-01-31T11:59:58Z"], True),
        ([], False),
    ]
    for values, is_last in pages:
        found.read(lines(*values))
        assert found.end_page() == is_last


def test_a_page_that_is_read_in_several_batches_is_one_page() -> None:
    found = marks(descending=True)
    found.read(lines(SINCE))
    found.read(lines("2024-01-31T11:00:00Z"))
    assert not found.end_page()
    found.read(lines("2024-01-31T11:00:00Z"))
    found.read(lines("2024-01-31T10:00:00Z"))
    assert found.end_page()


def test_a_page_of_one_older_row_is_enough_to_stop() -> None:
    found = marks(descending=True)
    found.read(lines("2024-01-31T11:59:59Z"))
    assert found.end_page()


def test_without_descending_reading_does_not_stop() -> None:
    found = marks()
    found.read(lines("2024-01-31T11:00:00Z"))
    assert not found.end_page()


@pytest.mark.parametrize(
    ("batches", "row"),
    [
        ([["2024-01-31T12:00:01Z", "2024-01-31T12:00:02Z"]], 2),
        ([["2024-01-31T12:00:03Z", "2024-01-31T12:00:01Z", "2024-01-31T14:00:02+02:00"]], 3),
        ([["2024-01-31T12:00:03Z"], ["2024-01-31T12:00:04Z"]], 2),
        ([["2024-01-31T12:00:03Z", "2024-01-31T12:00:03Z", "2024-01-31T12:00:01Z", "2024-01-31T12:00:02Z"]], 4),
        ([["2024-01-31T12:00:03Z", "2024-01-31T12:00:01Z"], ["2024-01-31T12:00:02Z"]], 3),
    ],
)
def test_rows_that_are_not_in_descending_order_are_an_error(batches: list[list[str]], row: int) -> None:
    found = marks(descending=True)
    for batch in batches[:-1]:
        found.read(lines(*batch))
    with pytest.raises(
        InvalidPage, match=f"has rows that are not in descending order of 'updatedAt': row number {row} is"
    ):
        found.read(lines(*batches[-1]))


def test_the_first_row_of_a_page_may_be_one_of_the_page_before() -> None:
    """Rows that are added while pages are read move other rows to the next page."""
    found = marks(descending=True)
    found.read(lines("2024-01-31T12:00:03Z", "2024-01-31T12:00:01Z"))
    found.end_page()
    found.read(lines("2024-01-31T12:00:02Z", "2024-01-31T12:00:01Z"))
    found.end_page()
    with pytest.raises(InvalidPage, match="row number 5 is after the row before it"):
        found.read(lines("2024-01-31T12:00:04Z"))


def test_in_an_hour_that_the_zone_repeats_the_order_is_not_checked() -> None:
    found = marks("2024-10-01T00:00:00", descending=True, timezone="Europe/Berlin", initial="2024-01-01")
    found.read(lines("2024-10-27T03:00:00", "2024-10-27T02:10:00", "2024-10-27T02:50:00", "2024-10-27T01:59:00"))
    with pytest.raises(InvalidPage, match="row number 5 is after the row before it"):
        found.read(lines("2024-10-27T01:59:59"))


def test_a_later_attempt_continues_with_the_state() -> None:
    first = marks(client_side=True, descending=True)
    first.read(lines("2024-01-31T12:00:02Z", "2024-01-31T11:00:00Z"))
    first.end_page()
    state = json.loads(json.dumps(first.state()))
    counts = {"rows": 2, "older": 1, "dropped": 1, "pages": 1, "before_sent": 1}
    assert state == {"greatest": "2024-01-31T12:00:02Z", "is_ascending": True, **counts}
    second = marks(state=state, client_side=True, descending=True)
    assert second.state() == state
    with pytest.raises(InvalidPage, match="row number 3 is after the row before it"):
        second.read(lines("2024-01-31T12:00:03Z"))
    second.read(lines("2024-01-31T12:00:01Z"))
    assert (second.greatest, second.rows, second.older) == ("2024-01-31T12:00:02Z", 3, 1)


NOW = datetime(2024, 1, 31, 12, 0, 10, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "value", "mark"),
    [
        ({}, "2024-01-31T12:00:10Z", "2024-01-31T12:00:10Z"),
        ({}, "2024-01-31T12:00:10.500Z", "2024-01-31T12:00:10.500Z"),
        ({}, "2024-01-31T14:00:11.000+02:00", "2024-01-31T14:00:10.500+02:00"),
        ({}, "2099-01-31T12:00Z", "2024-01-31T12:00Z"),
        ({"timezone": "UTC"}, "2024-01-31", "2024-01-31"),
        ({"timezone": "UTC"}, "2024-02-01", "2024-01-31"),
        ({"format": "epoch", "initial": 0}, "1706702411", "1706702410"),
        ({"format": "epoch_ms", "initial": 0}, "1706702410501", "1706702410500"),
        ({"format": "int", "initial": 0}, "9" * 50, "9" * 50),
    ],
)
def test_the_mark_is_the_greatest_value_but_not_after_the_start_of_the_run(
    changes: dict[str, Any], value: str, mark: str
) -> None:
    found = marks(str(changes.get("initial", SINCE)), **changes)
    found.read(lines(value))
    assert found.next_mark(NOW, NOW + timedelta(days=365 * 100)) == mark


def test_without_rows_there_is_no_mark() -> None:
    assert marks().next_mark(NOW, NOW) is None


def test_a_value_in_the_future_is_logged_as_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    found = marks()
    found.read(lines("2099-01-31T12:00:00Z"))
    assert found.next_mark(NOW, NOW + timedelta(minutes=5)) == "2024-01-31T12:00:10Z"
    assert caplog.messages == [
        "Connection 'shop': 'updatedAt' of a row is '2099-01-31T12:00:00Z', which is in the future: it is now "
        "2024-01-31T12:05:10.500000+00:00. The stored mark is not after the start of the run, so that later rows are "
        "not missed. Check this row, the API's clock, and format and timezone of Incremental."
    ]


def test_a_value_between_the_start_of_the_run_and_now_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    found = marks()
    found.read(lines("2024-01-31T12:05:10.5Z"))
    assert found.next_mark(NOW, NOW + timedelta(minutes=5)) == "2024-01-31T12:00:10.5Z"
    assert not caplog.messages


@pytest.mark.parametrize(
    ("older", "newer", "warns"), [(1, 1, False), (2, 1, True), (1, 0, True), (0, 1, False), (0, 0, False)]
)
def test_more_older_rows_than_newer_ones_are_a_warning(
    older: int, newer: int, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    found = marks()
    found.read(lines(*["2024-01-30T00:00:00Z"] * older, *[SINCE] * newer))
    found.warn()
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * warns
    if warns:
        assert caplog.messages[0].startswith(
            f"Connection 'shop': {older} of {older + newer} rows are before 2024-01-31T12:00:00Z, which was sent as "
            "'since'. The API seems to ignore this parameter."
        )


@pytest.mark.parametrize(
    ("pages", "changes", "is_warned"),
    [
        ([[1, 2], [2, 3]], {}, False),
        ([[1, 3], [2, 4]], {}, True),
        ([[2, 1], [3, 4]], {}, True),
        ([[2, 1]], {}, False),
        ([[2, 1], []], {}, False),
        ([[1, 3], [2, 4]], {"lookback": 100}, False),
        ([[4, 3], [2, 1]], {"descending": True}, False),
        ([[1, 3], [2, 4]], {"format": "epoch"}, False),
    ],
)
def test_numbers_on_several_pages_that_are_not_in_ascending_order_are_a_warning(
    caplog: pytest.LogCaptureFixture, pages: list[list[int]], changes: dict[str, Any], is_warned: bool
) -> None:
    values = {"format": "int", "initial": 0, **changes}
    found = marks("0", **values)
    for page in pages:
        found = marks("0", json.loads(json.dumps(found.state())), **values)  # in another attempt
        found.read(lines(*page))
        found.end_page()
    found.warn()
    assert ("gets a new number while the pages are read can be missed" in caplog.text) == is_warned


@pytest.mark.parametrize(("value", "is_warned"), [("2024-01-31T00:00:00Z", False), ("2024-01-30T23:59:59Z", True)])
def test_rows_after_the_rounded_value_that_was_sent_are_no_warning(
    caplog: pytest.LogCaptureFixture, value: str, is_warned: bool
) -> None:
    found = marks(value="ge {mark:%Y-%m-%d}", timezone="UTC")
    found.read(lines(value, value, SINCE))
    found.warn()
    assert (found.older, bool(caplog.text)) == (2, is_warned)


def test_without_a_parameter_older_rows_are_expected(caplog: pytest.LogCaptureFixture) -> None:
    found = marks(param=None, client_side=True)
    found.read(lines("2024-01-30T00:00:00Z"))
    found.warn()
    assert not caplog.messages


VALUES = st.datetimes(datetime.fromisoformat("2024-01-31T11:59:00"), datetime.fromisoformat("2024-01-31T12:01:00"))
TEXTS = st.one_of(
    VALUES.map(lambda value: f"{value:%Y-%m-%dT%H:%M:%S}Z"),
    VALUES.map(lambda value: f"{value:%Y-%m-%dT%H:%M:%S.%f}+00:00"),
    VALUES.map(lambda value: f"{value + timedelta(hours=2):%Y-%m-%d %H:%M:%S.%f}+0200"),
)


@given(st.lists(st.lists(TEXTS | VALUES.map(lambda value: f"{value:%Y-%m-%dT%H:%M:%S}Z"), max_size=10), max_size=5))
def test_pages_are_counted_as_single_rows_are(pages: list[list[str]]) -> None:
    found, start = marks(client_side=True), datetime.fromisoformat(SINCE)
    kept = [line for page in pages for line in found.read(lines(*page))]
    rows = [(text, line) for page in pages for text, line in zip(page, lines(*page), strict=True)]
    newer = [line for text, line in rows if datetime.fromisoformat(text) >= start]
    assert kept == newer
    assert (found.rows, found.dropped) == (len(rows), len(rows) - len(newer))
    if rows:
        greatest = max(datetime.fromisoformat(text) for text, _ in rows)
        assert found.greatest is not None
        assert datetime.fromisoformat(found.greatest) == greatest


@given(st.lists(TEXTS, min_size=1, max_size=10))
def test_the_order_is_checked_as_for_single_rows(texts: list[str]) -> None:
    times = [datetime.fromisoformat(text) for text in texts]
    found = marks(descending=True)
    if times == sorted(times, reverse=True):
        found.read(lines(*texts))
    else:
        with pytest.raises(InvalidPage, match="not in descending order"):
            found.read(lines(*texts))
