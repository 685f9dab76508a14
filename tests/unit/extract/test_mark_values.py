"""Values of marks: they compare exactly, and are written in the notation of the API."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_oauth.extract.mark_values import MarkValues, Position, values_of

ISO, UTC_ISO, BERLIN = values_of("iso"), values_of("iso", "UTC"), values_of("iso", "Europe/Berlin")
EPOCH, EPOCH_MS, INTEGERS = values_of("epoch"), values_of("epoch_ms"), values_of("int")


def seconds(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    return calendar.timegm((year, month, day, hour, minute, second))


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("2024-01-31T12:00:00Z", seconds(2024, 1, 31, 12)),
        ("2024-01-31t12:00:00z", seconds(2024, 1, 31, 12)),
        ("2024-01-31 12:00:00Z", seconds(2024, 1, 31, 12)),
        ("2024-01-31T12:00Z", seconds(2024, 1, 31, 12)),
        ("20240131T120000Z", seconds(2024, 1, 31, 12)),
        ("20240131 1200+0100", seconds(2024, 1, 31, 11)),
        ("2024-01-31T12:00:00+02:00", seconds(2024, 1, 31, 10)),
        ("2024-01-31T12:00:00+0200", seconds(2024, 1, 31, 10)),
        ("2024-01-31T12:00:00+02", seconds(2024, 1, 31, 10)),
        ("2024-01-31 12:00:00 -0530", seconds(2024, 1, 31, 17, 30)),
        ("2024-01-31T23:59:59-00:00", seconds(2024, 1, 31, 23, 59, 59)),
        ("2024-02-29T00:00:00Z", seconds(2024, 2, 29)),
        ("1969-12-31T23:59:59.75Z", Decimal("-0.25")),
        ("2024-01-31T12:00:00,5Z", seconds(2024, 1, 31, 12) + Decimal("0.5")),
        ("0001-01-01T00:00:00+14:00", -62135596800 - 14 * 3600),
        ("9999-12-31T23:59:59.999999999-12:00", Decimal("253402343999.999999999")),
        ("2024-01-31T12:00:00." + "0" * 179 + "Z", seconds(2024, 1, 31, 12)),
        ("2024-01-31T12:00:00." + "123456789" * 10 + "Z", Decimal(f"{seconds(2024, 1, 31, 12)}." + "123456789" * 10)),
    ],
)
def test_iso_8601_is_read_exactly(text: str, position: Position) -> None:
    assert ISO.position(text) == position


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "now",
        "2024",
        "2024-01",
        "2024-W05-3T00:00:00Z",
        "2024-031T00:00:00Z",
        "2024-1-31T12:00:00Z",
        "2024-0131T12:00:00Z",
        "2024-01-31T12Z",
        "2024-01-31T12:0000Z",
        "2024-01-31T12:00:00.Z",
        "2024-01-31T12:00:00Z ",
        "2024-01-31T12:00:00Z\n",
        "2024-01-31T12:00:00  Z",
        "2024-01-31_12:00:00Z",
        "2024-01-31T12:00:00+24:00",
        "2024-01-31T12:00:00+02:60",
        "2024-01-31T12:00:00+2",
        "2024-01-31T12:00:00 UTC",
        "2024-01-31T12:00:00+02:00[Europe/Berlin]",
        "+02024-01-31T12:00:00Z",
        "-2024-01-31T12:00:00Z",
        "٢٠٢٤-01-31T12:00:00Z",
        "2024-01-31T12:00:00." + "1" * 180 + "Z",
        "1706702400",
        "2024-01-31Z",
    ],
)
def test_what_is_not_iso_8601_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not a date or time in ISO 8601, such as 2024-01-31T12:00:00Z"):
        UTC_ISO.position(text)


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-01T24:00:00Z",
        "2016-12-31T23:59:60Z",
        "2024-01-01T00:60:00Z",
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2024-01-00T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "0000-01-01T00:00:00Z",
    ],
)
def test_a_time_that_does_not_exist_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time that exists"):
        ISO.position(text)


@pytest.mark.parametrize("text", ["2024-01-31T12:00:00", "2024-01-31", "20240131"])
def test_a_value_without_an_offset_is_an_error_without_a_time_zone(text: str) -> None:
    with pytest.raises(ValueError, match="has no offset from UTC, and timezone is not set"):
        ISO.position(text)


def test_errors_quote_at_most_40_characters_of_a_value() -> None:
    with pytest.raises(ValueError, match="…' is not a date") as caught:
        ISO.position("x" * 5000)
    assert str(caught.value).startswith(f"'{'x' * 39}…'")


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("2024-01-31", seconds(2024, 1, 30, 23)),
        ("2024-07-31T12:00:00", seconds(2024, 7, 31, 10)),
        ("2024-07-31T12:00:00Z", seconds(2024, 7, 31, 12)),
        ("2024-03-31T01:59:59", seconds(2024, 3, 31, 0, 59, 59)),
        ("2024-03-31T03:00:00", seconds(2024, 3, 31, 1)),
        ("2024-10-27T02:00:00", seconds(2024, 10, 27, 0)),
        ("2024-10-27T02:59:59", seconds(2024, 10, 27, 0, 59, 59)),
        ("2024-10-27T03:00:00", seconds(2024, 10, 27, 2)),
    ],
)
def test_a_value_without_an_offset_is_in_the_time_zone(text: str, position: int) -> None:
    assert BERLIN.position(text) == position


@pytest.mark.parametrize("text", ["2024-03-31T02:00:00", "2024-03-31T02:59:59.999", "2024-03-31 02:30"])
def test_a_time_that_the_zone_skips_is_an_error_because_the_zone_must_be_another_one(text: str) -> None:
    with pytest.raises(ValueError, match="does not exist in the zone Europe/Berlin, where clocks were turned forward"):
        BERLIN.position(text)


def test_a_date_whose_midnight_the_zone_skips_begins_when_clocks_are_turned_forward() -> None:
    assert values_of("iso", "America/Sao_Paulo").position("2018-11-04") == seconds(2018, 11, 4, 3)


@pytest.mark.parametrize(
    ("values", "text", "position"),
    [
        (EPOCH, "1706702400", 1706702400),
        (EPOCH, "1706702400.123456789", Decimal("1706702400.123456789")),
        (EPOCH, "-0.25", Decimal("-0.25")),
        (EPOCH, "1.7067024E9", 1706702400),
        (EPOCH, "17067024e+2", 1706702400),
        (EPOCH, "17067024005e-1", Decimal("1706702400.5")),
        (EPOCH_MS, "1706702400123", Decimal("1706702400.123")),
        (EPOCH_MS, "1706702400123.5", Decimal("1706702400.1235")),
        (EPOCH_MS, "-1", Decimal("-0.001")),
        (INTEGERS, "7", 7),
        (INTEGERS, "-7", -7),
        (INTEGERS, "007", 7),
        (INTEGERS, "1e3", 1000),
        (INTEGERS, "5.0", 5),
        (INTEGERS, "9" * 200, int("9" * 200)),
    ],
)
def test_numbers_are_read_exactly(values: MarkValues, text: str, position: Position) -> None:
    assert values.position(text) == position


@pytest.mark.parametrize("values", [EPOCH, EPOCH_MS, INTEGERS])
@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "1\n", "+1", "1.", ".5", "1_000", "0x10", "NaN", "Infinity", "true", "1e", "1,5", "١", "9" * 201],
)
def test_text_that_is_not_a_number_is_an_error(values: MarkValues, text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        values.position(text)
    with pytest.raises(ValueError, match="is not a number"):
        values.keys([text])


@pytest.mark.parametrize("text", ["1e201", "1e999", "1e-201", "0e-999", "0e999"])
def test_a_number_with_a_huge_exponent_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="has too many digits"):
        EPOCH.position(text)


def test_an_integer_has_no_decimals() -> None:
    with pytest.raises(ValueError, match=r"'7\.5' is not an integer"):
        INTEGERS.position("7.5")


@pytest.mark.parametrize(
    ("pattern", "text", "position"),
    [
        ("%d.%m.%Y %H:%M", "31.01.2024 12:30", seconds(2024, 1, 31, 12, 30)),
        ("%d.%m.%Y %H:%M", "1.2.2024 9:05", seconds(2024, 2, 1, 9, 5)),
        ("%Y%m%d%H%M%S", "20240131123001", seconds(2024, 1, 31, 12, 30, 1)),
        ("%Y-%m-%d", "2024-01-31", seconds(2024, 1, 31)),
        ("%m/%d/%y %I:%M:%S %p", "1/31/24 12:30:01 am", seconds(2024, 1, 31, 0, 30, 1)),
        ("%m/%d/%Y %I:%M %p", "01/31/2024 12:30 PM", seconds(2024, 1, 31, 12, 30)),
        ("%m/%d/%Y %I:%M %p", "01/31/2024 1:30 PM", seconds(2024, 1, 31, 13, 30)),
        ("%d/%m/%y", "31/01/69", seconds(1969, 1, 31)),
        ("%d/%m/%y", "31/01/68", seconds(2068, 1, 31)),
        ("%a, %d %b %Y %H:%M:%S GMT", "Wed, 31 Jan 2024 12:30:01 GMT", seconds(2024, 1, 31, 12, 30, 1)),
        ("%A %d %B %Y", "wednesday 31 may 2024", seconds(2024, 5, 31)),
        ("%Y-%j", "2024-366", seconds(2024, 12, 31)),
        ("%Y-%m-%d %H:%M:%S.%f UTC", "2024-01-31 12:30:01.5 UTC", seconds(2024, 1, 31, 12, 30, 1) + Decimal("0.5")),
        ("%Y-%m-%dT%H:%M:%S.%f%z", "2024-01-31T12:30:01.1234567+0100", Decimal("1706700601.1234567")),
        ("100%% %Y-%m-%d", "100% 2024-01-31", seconds(2024, 1, 31)),
        ("(%Y.%m.%d)", "(2024.01.31)", seconds(2024, 1, 31)),
    ],
)  # fmt: skip
def test_patterns_of_strptime_are_read_exactly(pattern: str, text: str, position: Position) -> None:
    assert values_of(pattern, "UTC").position(text) == position


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("%d.%m.%Y", "31-01-2024"),
        ("%d.%m.%Y", "31.01.24"),
        ("%d.%m.%Y", "31.01.2024 "),
        ("%d.%m.%Y", "32.01.2024"),
        ("%Y%m%d", "2024131"),
        ("%d.%m.%Y %I:%M %p", "31.01.2024 13:30 PM"),
        ("%d.%m.%Y %I:%M %p", "31.01.2024 0:30 AM"),
        ("%Y-%j", "2023-366"),
        ("%Y-%j", "2023-0"),
        ("%Y-%j", "9999-366"),
        ("%d %b %Y", "31 Foo 2024"),
    ],
)
def test_text_that_does_not_match_the_pattern_is_an_error(pattern: str, text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        values_of(pattern, "UTC").position(text)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("%Y-%m-%d %Z", "'%Z' in .* is not supported. Supported are %Y, %y, %m"),
        ("%s", "'%s' in '%s' is not supported"),
        ("%c", "is not supported"),
        ("%-d.%m.%Y", "'%-' in .* is not supported"),
        ("%Y-%m-%d%", "'%' in .* is not supported"),
        ("%Y-%m-%d %Y", "contains %Y twice"),
        ("%%", "is not the pattern of a complete date or time"),
        ("%H:%M:%S", "is not the pattern of a complete date or time"),
        ("%m-%d", "is not the pattern of a complete date or time"),
        ("%Y-%m", "is not the pattern of a complete date or time"),
        ("%Y-%d", "is not the pattern of a complete date or time"),
        ("%Y-%m-%d %y", "is not the pattern of a complete date or time"),
        ("%Y-%m-%d %b", "is not the pattern of a complete date or time"),
        ("%Y-%m-%d %j", "is not the pattern of a complete date or time"),
        ("%Y-%m-%d %M", "is not the pattern of a complete date or time"),
        ("%Y-%m-%d %H:%S", "is not the pattern of a complete date or time"),
        ("%Y-%m-%d %I:%M", "is not the pattern of a complete date or time"),
        ("%Y-%m-%d %H %p", "is not the pattern of a complete date or time"),
    ],
)
def test_a_pattern_that_would_make_strptime_guess_is_an_error(pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        values_of(pattern)


def test_other_formats_and_zones_are_errors() -> None:
    with pytest.raises(ValueError, match="format 'rfc' is not supported. Set it to iso, epoch, epoch_ms, int or a pat"):
        values_of("rfc")
    for zone in ("Berlin", "", "../etc/passwd", "Europe/\x00"):
        with pytest.raises(ValueError, match="is not known. Set it to UTC or to an IANA name such as Europe/Berlin"):
            values_of("iso", zone)


@pytest.mark.parametrize(
    ("values", "text", "unit"),
    [
        (UTC_ISO, "2024-01-31", "86400"),
        (ISO, "2024-01-31T12:00Z", "60"),
        (ISO, "2024-01-31T12:00:00Z", "1"),
        (ISO, "2024-01-31T12:00:00.000Z", "0.001"),
        (ISO, "2024-01-31T12:00:00.123456789+01:00", "0.000000001"),
        (EPOCH, "1706702400", "1"),
        (EPOCH, "1706702400.50", "0.01"),
        (EPOCH, "1.7E9", "1"),
        (EPOCH_MS, "1706702400123", "0.001"),
        (EPOCH_MS, "1706702400123.5", "0.0001"),
        (INTEGERS, "1000", "1"),
        (values_of("%Y-%m-%d %H", "UTC"), "2024-01-31 12", "3600"),
        (values_of("%Y-%m-%d %I %p", "UTC"), "2024-01-31 12 AM", "3600"),
        (values_of("%Y-%j", "UTC"), "2024-001", "86400"),
    ],
)
def test_the_unit_is_that_of_the_last_digit(values: MarkValues, text: str, unit: str) -> None:
    assert values.unit(text) == Decimal(unit)


@pytest.mark.parametrize(
    ("values", "text", "by", "earlier"),
    [
        (ISO, "2024-01-01T00:00:00Z", 1, "2023-12-31T23:59:59Z"),
        (ISO, "2024-03-01T00:00:00z", 86400, "2024-02-29T00:00:00z"),
        (ISO, "2024-01-01 00:00:00.000 +0200", Decimal("0.001"), "2023-12-31 23:59:59.999 +0200"),
        (ISO, "2024-01-01T00:00:00.000Z", Decimal("0.0001"), "2023-12-31T23:59:59.999Z"),  # rounded down
        (ISO, "2024-01-01T00:00:00,5-0530", 1, "2023-12-31T23:59:59,5-0530"),
        (ISO, "20240101T0000+00", 90, "20231231T2358+00"),
        (ISO, "1000-01-01T00:00:00Z", 1, "0999-12-31T23:59:59Z"),
        (ISO, "9999-12-31T23:59:59-12:00", 60, "9999-12-31T23:58:59-12:00"),
        (ISO, "2024-01-01T00:00:00." + "0" * 50 + "Z", Decimal("1E-50"), "2023-12-31T23:59:59." + "9" * 50 + "Z"),
        (UTC_ISO, "2024-03-01", 86400, "2024-02-29"),
        (UTC_ISO, "2024-03-01", 86401, "2024-02-28"),
        (UTC_ISO, "2024-03-01", 1, "2024-02-29"),
        (BERLIN, "2024-04-01", 86400, "2024-03-31"),  # a day of 23 hours is a day
        (BERLIN, "2024-10-28", 2 * 86400, "2024-10-26"),
        (BERLIN, "2024-03-31T03:00:00", 1, "2024-03-31T01:59:59"),
        (BERLIN, "2024-03-31T03:30:00", 86400, "2024-03-30T02:30:00"),
        (BERLIN, "2024-10-27T03:30:00", 7200 - 1, "2024-10-27T01:30:01"),  # one of the two hours, so the time before
        (BERLIN, "2024-10-27T02:30:00", 1, "2024-10-27T01:29:59"),
        (BERLIN, "2024-10-27T02:30:00", 0, "2024-10-27T01:30:00"),
        (BERLIN, "2024-10-27T02:30:00+02:00", 1, "2024-10-27T02:29:59+02:00"),
        (BERLIN, "2024-10-27T03:00:00", 0, "2024-10-27T03:00:00"),
        (EPOCH, "0", 1, "-1"),
        (EPOCH, "1706702400.50", Decimal("0.25"), "1706702400.25"),
        (EPOCH, "1706702400.5", Decimal("0.25"), "1706702400.2"),  # rounded down
        (EPOCH, "-0.5", Decimal("0.25"), "-0.8"),
        (EPOCH, "1.7E9", 1, "1699999999"),
        (EPOCH_MS, "1706702400123", Decimal("0.001"), "1706702400122"),
        (EPOCH_MS, "1706702400123", 1, "1706702399123"),
        (INTEGERS, "1000", 1, "999"),
        (INTEGERS, "1000", 1001, "-1"),
        (INTEGERS, "001000", 1, "000999"),
        (INTEGERS, "0", 1, "-1"),
        (INTEGERS, "1" + "0" * 100, 1, "9" * 100),
        (values_of("%d.%m.%Y %H:%M", "UTC"), "1.1.2024 0:05", 360, "31.12.2023 23:59"),
        (values_of("%d.%m.%Y %H:%M", "UTC"), "01.01.2024 00:05", 60, "01.01.2024 00:04"),
        (values_of("%m/%d/%y %I:%M %p", "UTC"), "01/01/00 12:00 am", 60, "12/31/99 11:59 pm"),
        (values_of("%a, %d %b %Y", "UTC"), "Mon, 01 Jan 2024", 86400, "Sun, 31 Dec 2023"),
        (values_of("%A %d %B %Y", "UTC"), "MONDAY 01 JANUARY 2024", 86400, "SUNDAY 31 DECEMBER 2023"),
        (values_of("%Y-%j", "UTC"), "2024-001", 86400, "2023-365"),
        (values_of("%Y-%m-%d %H:%M:%S.%f", "UTC"), "2024-01-01 00:00:00.123", 1, "2023-12-31 23:59:59.123"),
        (values_of("%Y-%m-%d %H:%M:%S.%f", "UTC"), "0999-01-01 00:00:00.123", 1, "0998-12-31 23:59:59.123"),
    ],
)  # fmt: skip
def test_an_earlier_value_has_the_same_notation(values: MarkValues, text: str, by: Position, earlier: str) -> None:
    assert values.earlier(text, by) == earlier


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (ISO, "2024-01-01t00:00z"),
        (UTC_ISO, "20240101"),
        (values_of("%d.%m.%Y %H:%M%z"), "1.1.2024 0:00Z"),
        (EPOCH, "1.7E9"),
        (EPOCH_MS, "1.7E12"),
        (INTEGERS, "1e3"),
    ],
)
def test_nothing_subtracted_is_the_same_text(values: MarkValues, text: str) -> None:
    assert values.earlier(text, 0) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [(ISO, "0001-01-01T00:00:00Z"), (UTC_ISO, "0001-01-01"), (BERLIN, "0001-01-01T00:00:00")],
)
def test_there_is_no_time_before_the_year_1(values: MarkValues, text: str) -> None:
    with pytest.raises(ValueError, match="not in the years 1 to 9999"):
        values.earlier(text, 86400)


@pytest.mark.parametrize("by", [0, 1, 60, 1799, 1800, 3600, 5400, 86400])
@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/Berlin", "2024-10-27T01:00:00Z"),
        ("America/New_York", "2024-11-03T06:00:00Z"),
        ("America/Havana", "2024-11-03T05:00:00Z"),
        ("Australia/Lord_Howe", "2024-04-06T15:00:00Z"),
    ],
)
def test_in_an_hour_that_a_zone_repeats_no_later_row_is_missed(zone: str, change: str, by: int) -> None:
    """Rows that were written after the mark are not before the earlier value, whatever the API takes it for."""
    values, info = values_of("iso", zone), ZoneInfo(zone)

    def written(moment: datetime) -> str:
        return moment.astimezone(info).replace(tzinfo=None).isoformat()

    def readings(text: str) -> set[float]:
        return {datetime.fromisoformat(text).replace(tzinfo=info, fold=fold).timestamp() for fold in (0, 1)}

    moments = [datetime.fromisoformat(change) + timedelta(minutes=10 * step) for step in range(-12, 13)]
    assert any(len(readings(written(moment))) == 2 for moment in moments), "the zone repeats this hour"
    for index, moment in enumerate(moments):
        mark = written(moment)
        earlier = values.earlier(mark, by)
        assert len(readings(earlier)) == 1, "the API cannot misunderstand the value"
        assert max(readings(earlier)) <= min(readings(mark)) - by
        for later in map(written, moments[index:]):
            assert earlier <= later, "an API that compares the text finds the row"
            assert values.position(earlier) <= values.position(later)


@pytest.mark.parametrize(
    ("values", "like", "text"),
    [
        (ISO, "2024-01-01T00:00:00Z", "2025-12-31T23:59:58Z"),
        (ISO, "2024-01-01T00:00:00.000Z", "2025-12-31T23:59:58.999Z"),
        (ISO, "2024-01-01T00:00:00.000000000Z", "2025-12-31T23:59:58.999999000Z"),
        (ISO, "2024-01-01T00:00Z", "2025-12-31T23:59Z"),
        (ISO, "2024-01-01 00:00:00 +0530", "2026-01-01 05:29:58 +0530"),
        (UTC_ISO, "2024-01-01", "2025-12-31"),
        (BERLIN, "2024-01-01", "2026-01-01"),
        (BERLIN, "2024-01-01T00:00:00", "2026-01-01T00:59:58"),
        (values_of("%m/%d/%Y %I:%M:%S %p", "America/New_York"), "1/1/2024 1:00:00 AM", "12/31/2025 6:59:58 PM"),
        (EPOCH, "0", "1767225598"),
        (EPOCH, "0.00", "1767225598.99"),
        (EPOCH_MS, "0", "1767225598999"),
        (EPOCH_MS, "0.0000", "1767225598999.9990"),
    ],
)
def test_a_moment_is_rounded_down_in_the_notation_of_another_value(values: MarkValues, like: str, text: str) -> None:
    moment = datetime(2025, 12, 31, 23, 59, 58, 999_999, tzinfo=UTC)
    assert values.at(moment, like) == text
    assert values.at(moment.astimezone(timezone(timedelta(hours=-5))), like) == text


def test_a_moment_before_1970_is_rounded_down_too() -> None:
    moment = datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)
    assert EPOCH.at(moment, "0") == "-1"
    assert ISO.at(moment, "2024-01-01T00:00:00Z") == "1969-12-31T23:59:59Z"


def test_integers_are_not_times() -> None:
    assert (INTEGERS.is_time, EPOCH.is_time, ISO.is_time) == (False, True, True)
    with pytest.raises(ValueError, match="integers are not times"):
        INTEGERS.at(datetime.now(UTC), "1")


@pytest.mark.parametrize(
    ("values", "text", "repeated"),
    [
        (BERLIN, "2024-10-27T01:59:59", 0),
        (BERLIN, "2024-10-27T02:00:00", 3600),
        (BERLIN, "2024-10-27T02:59:59.9", 3600),
        (BERLIN, "2024-10-27T03:00:00", 0),
        (BERLIN, "2024-10-27T02:00:00Z", 0),
        (BERLIN, "2024-03-31", 0),
        (values_of("iso", "Australia/Lord_Howe"), "2024-04-07T01:45:00", 1800),
        (UTC_ISO, "2024-10-27T02:00:00", 0),
        (ISO, "2024-10-27T02:00:00Z", 0),
        (EPOCH, "1", 0),
        (INTEGERS, "1", 0),
    ],
)
def test_the_times_that_a_zone_repeats_are_known(values: MarkValues, text: str, repeated: int) -> None:
    assert values.repeated(text) == repeated


# Properties, with values in many notations. The reference is computed with fractions and datetime.

FIRST, LAST = datetime.fromisoformat("0002-01-01"), datetime.fromisoformat("9998-12-31T23:59:59")
EPOCH_START = datetime.fromisoformat("1970-01-01")
WALLS = st.datetimes(min_value=FIRST, max_value=LAST).map(lambda wall: wall.replace(microsecond=0))
FRACTIONS = st.text("0123456789", max_size=25)
OFFSETS = st.sampled_from(["Z", "z", "+00:00", "-00:00", "+02:00", "-0530", "+14", " +0545", "-23:59"])


@st.composite
def iso_times(draw: st.DrawFn) -> tuple[str, Fraction]:
    """Return a time in ISO 8601, and its exact seconds since 1970."""
    wall, fraction, offset = draw(WALLS), draw(FRACTIONS), draw(OFFSETS)
    basic, separator = draw(st.booleans()), draw(st.sampled_from("Tt "))
    text = wall.strftime(f"%m%d{separator}%H%M%S" if basic else f"-%m-%d{separator}%H:%M:%S")
    text = f"{wall.year:04}{text}" + (f".{fraction}" if fraction else "") + offset
    digits = offset.strip().lstrip("+-").replace(":", "").strip("Zz").ljust(4, "0")
    minutes = (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if offset.strip().startswith("-") else 1)
    whole = Fraction((wall - EPOCH_START) // timedelta(seconds=1) - minutes * 60)
    return text, whole + (Fraction(int(fraction), 10 ** len(fraction)) if fraction else 0)


NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=None)


@given(iso_times(), iso_times())
def test_times_are_ordered_as_exact_arithmetic_orders_them(
    first: tuple[str, Fraction], second: tuple[str, Fraction]
) -> None:
    positions = ISO.position(first[0]), ISO.position(second[0])
    assert [Fraction(each) for each in positions] == [first[1], second[1]]
    assert (positions[0] < positions[1]) == (first[1] < second[1])


@given(iso_times(), st.decimals(min_value=0, max_value=10**7, places=12))
def test_an_earlier_time_is_the_exact_difference_rounded_down(time: tuple[str, Fraction], by: Decimal) -> None:
    text, seconds = time
    earlier = ISO.earlier(text, by)
    unit = Fraction(ISO.unit(text))
    assert Fraction(ISO.position(earlier)) == (seconds - Fraction(by)) // unit * unit
    assert len(earlier) == len(text)
    assert ISO.unit(earlier) == unit


@given(iso_times(), iso_times())
def test_a_written_time_is_at_most_one_unit_too_early(time: tuple[str, Fraction], like: tuple[str, Fraction]) -> None:
    written = ISO.write(ISO.position(time[0]), like[0])
    unit = Fraction(ISO.unit(like[0]))
    assert Fraction(ISO.position(written)) == time[1] // unit * unit


@given(NUMBERS, NUMBERS, st.sampled_from([EPOCH, EPOCH_MS]))
def test_numbers_are_ordered_as_exact_arithmetic_orders_them(
    first: Decimal, second: Decimal, values: MarkValues
) -> None:
    positions = values.position(str(first)), values.position(str(second))
    assert (positions[0] < positions[1]) == (first < second)
    scale = 1 if values is EPOCH else 1000
    assert Fraction(positions[0]) == Fraction(first) / scale


@given(st.integers(-(10**100), 10**100), st.integers(0, 10**100))
def test_integers_of_any_size_are_exact(number: int, by: int) -> None:
    assert INTEGERS.position(str(number)) == number
    assert INTEGERS.earlier(str(number), by) == str(number - by)


@st.composite
def pages(draw: st.DrawFn) -> tuple[MarkValues, list[str]]:
    """Return values of rows, most of them in one notation, and some that are almost in this notation."""
    kind = draw(st.sampled_from(["iso", "local", "date", "pattern", "epoch", "int"]))
    if kind == "epoch":
        texts = st.integers(-(10**20), 10**20).map(str) | NUMBERS.map(str)
        return draw(st.sampled_from([EPOCH, EPOCH_MS])), draw(st.lists(texts, min_size=1, max_size=20))
    if kind == "int":
        return INTEGERS, draw(st.lists(st.integers(-(10**20), 10**20).map(str), min_size=1, max_size=20))
    start = datetime.fromisoformat("2023-12-30")
    walls = st.datetimes(min_value=start, max_value=start + timedelta(days=63)) | WALLS
    if kind == "local":
        before = datetime.fromisoformat("2024-10-27T00:30:00")
        near = st.datetimes(before, before + timedelta(hours=4)).map(lambda wall: f"{wall:%Y-%m-%d %H:%M:%S}")
        return BERLIN, draw(st.lists(near, min_size=1, max_size=20))
    if kind == "date":
        return UTC_ISO, draw(st.lists(walls.map(lambda wall: wall.date().isoformat()), min_size=1, max_size=20))
    if kind == "pattern":
        pattern = draw(st.sampled_from(["%Y/%m/%d %H:%M", "%Y%m%d%H%M%S", "%d.%m.%Y"]))
        # Before the year 1000, %Y has fewer digits, which can also be the day or the month.
        texts = walls.map(lambda wall: wall.strftime(pattern.replace("%Y", f"{wall.year:04}")))
        return values_of(pattern, "UTC"), draw(st.lists(texts, min_size=1, max_size=20))
    decimals, offset = draw(st.integers(1, 6)), draw(OFFSETS)
    texts = walls.map(lambda wall: wall.isoformat(timespec="microseconds")[: 20 + decimals] + offset)
    others = st.sampled_from(["2024-02-29T00:00:00Z", "2024-01-01T00:00:00.5+01:00", "2024-01-01 00:00:00.5Z"])
    return ISO, draw(st.lists(texts, min_size=1, max_size=20)) + draw(st.lists(others, max_size=2))


@given(pages())
def test_keys_order_values_as_positions_do(page: tuple[MarkValues, list[str]]) -> None:
    values, texts = page
    keys, positions = values.keys(texts), [values.position(text) for text in texts]
    assert [values.position_of(key) for key in keys] == positions
    order = range(len(texts))
    assert sorted(order, key=keys.__getitem__) == sorted(order, key=positions.__getitem__)


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-01-01T00:00:00Z", "2024-01-31T23:59:59Z"],
        ["2024-01-01T00:00:00.123456789+02:00", "2024-12-31T00:00:00.000000000+02:00"],
        ["20240430T000000Z", "20240101T000000Z"],
    ],
)
def test_values_in_one_notation_are_compared_as_text(texts: list[str]) -> None:
    assert ISO.keys(texts) is texts


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (UTC_ISO, ["2024-01-01", "2024-01-31"]),
        (BERLIN, ["2024-03-31", "2024-10-27"]),
        (BERLIN, ["2024-03-31T01:59:59", "2024-03-31T03:00:00", "2024-10-27T01:59:59", "2024-10-27T03:00:00"]),
        (BERLIN, ["2024-10-27T02:00:00+02:00", "2024-10-27T02:30:00+02:00"]),
        (UTC_ISO, ["2024-01-01T00:00:00", "2024-12-31T23:59:59"]),
        (values_of("%Y%m%d", "UTC"), ["20240101", "20240131"]),
    ],
)
def test_values_without_an_offset_are_compared_as_text_in_hours_without_a_change(
    values: MarkValues, texts: list[str]
) -> None:
    assert values.keys(texts) is texts


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (ISO, ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00+00:00"]),
        (ISO, ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00z"]),
        (ISO, ["2024-01-01T00:00:00Z", "2024-01-01 00:00:00Z"]),
        (ISO, ["2024-01-01T00:00:00.1Z", "2024-01-01T00:00:00.12Z"]),
        (ISO, ["2024-01-01T00:00:00+01:00", "2024-01-01T00:00:00+02:00"]),
        (BERLIN, ["2024-01-01T00:00:00", "2024-10-27T02:00:00"]),
        (BERLIN, ["2024-01-01T00:00:00", "2024-10-27T02:59:59"]),
        (values_of("iso", "Australia/Lord_Howe"), ["2024-04-07T01:00:00", "2024-04-07T01:45:00"]),
        (values_of("%d.%m.%Y", "UTC"), ["01.01.2024", "02.01.2024"]),
        (values_of("%Y-%m-%d %I:%M %p", "UTC"), ["2024-01-01 01:00 PM", "2024-01-01 12:00 PM"]),
        (values_of("%Y-%m-%d", "UTC"), ["2024-1-01", "2024-1-02"]),
        (values_of("%Y %b %d", "UTC"), ["2024 Jan 01", "2024 Feb 01"]),
    ],
)
def test_other_values_are_compared_by_their_positions(values: MarkValues, texts: list[str]) -> None:
    assert values.keys(texts) == [values.position(text) for text in texts]


@pytest.mark.parametrize(
    "invalid",
    [
        "2024-01-01T24:00:00Z",
        "2024-02-30T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2024-01-00T00:00:00Z",
        "2024-01-32T00:00:00Z",
        "2024-01-01T23:60:00Z",
        "2024-01-01T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "2024-01-01T00:00:00Z\n2024-01-01T00:00:00Z",
        "",
    ],
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_an_invalid_value_among_others_is_an_error(invalid: str, position: int) -> None:
    texts = ["2024-01-01T00:00:00Z"] * 2
    texts.insert(position, invalid)
    with pytest.raises(ValueError, match="is not a"):
        ISO.keys(texts)


@pytest.mark.parametrize("minute", ["02:00", "02:59"])
def test_a_time_that_the_zone_skips_is_an_error_among_others(minute: str) -> None:
    with pytest.raises(ValueError, match="does not exist in the zone"):
        BERLIN.keys(["2024-03-31T01:00:00", f"2024-03-31T{minute}:00", "2024-03-31T03:00:00"])


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (ISO, ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z\n2024-01-01T00:00:00Z", ""]),
        (INTEGERS, ["1", "1\n1", "2"]),
        (EPOCH, ["1\n1", "2"]),
    ],
)
def test_a_text_with_a_line_break_is_not_two_values(values: MarkValues, texts: list[str]) -> None:
    with pytest.raises(ValueError, match="is not a"):
        values.keys(texts)
