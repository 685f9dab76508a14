"""The ``Retry-After`` header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_oauth.protocol.retry_after import retry_after
from tests.fake_clock import START


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("Thu, 01 Jan 2026 00:01:30 GMT", 90),
        ("Thu, 01 Jan 2026 02:00:00 +0200", 0),
        ("Thu, 01 Jan 2026 00:01:30 -0000", 90),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("30.5", 30.5),
        ("2.0", 2),
        ("1767225690", 90),  # seconds since the epoch
        ("1767225690.5", 90.5),
        ("1767225690500", 90.5),  # milliseconds
        ("1444931833", 0),
        ("2026-01-01T00:01Z", 60),  # Jira sends no seconds
        ("2026-01-01T01:01:00+01:00", 60),
        ("2026-01-01T00:01:30", 90),
        ("2026-01-01", None),
        ("2026-13-01T00:00Z", None),
        ("1.5.2", None),
        ("1e3", None),
        ("١", None),
        ("9" * 400, None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Thu, 01 Jan 2026 00:00:00 +99999999999999999999", None),
        ("Thu, 99 Jan 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(value, START) == seconds


WORDS = st.sampled_from(
    [
        "Mon,",
        "1",
        "31",
        "Jan",
        "2026",
        "9" * 20,
        "00:00:00",
        "0:0",
        "::",
        "GMT",
        "+0000",
        "-99999",
        ",",
        "(",
        '"',
        "\x00",
    ]
)


@given(st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=7).map(" ".join)))
def test_any_retry_after_is_a_valid_number_of_seconds_or_none(value: str) -> None:
    seconds = retry_after(value, START)
    assert seconds is None or 0 <= seconds < float("inf")
