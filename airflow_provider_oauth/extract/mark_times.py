"""Dates and times as text: reads them exactly, and writes others in the same notation."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # a wall clock time
#: Exact for all values: a value has at most ``MAX_LENGTH`` characters.
EXACT = Context(prec=1000)
#: Maximum number of characters of a value.
MAX_LENGTH = 200
#: Maximum number of characters of a value that an error quotes.
MAX_QUOTED = 40

OFFSET = "(?P<offset>[Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
ISO = re.compile(
    "(?P<year>[0-9]{4})(?P<dash>-?)(?P<month>[0-9]{2})(?P=dash)(?P<day>[0-9]{2})"
    "(?:[Tt ](?P<hour>[0-9]{2})(?P<colon>:?)(?P<minute>[0-9]{2})"
    f"(?:(?P=colon)(?P<second>[0-9]{{2}})(?:[.,](?P<fraction>[0-9]+))?)?(?: ?{OFFSET})?)?"
)

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: The directives of ``strptime`` that are supported, as the name of a group and its regular expression.
DIRECTIVES = {
    "Y": ("year", "[0-9]{4}"),
    "y": ("short_year", "[0-9]{2}"),
    "m": ("month", "[0-9]{1,2}"),
    "b": ("month_abbreviation", "|".join(name[:3] for name in MONTHS)),
    "B": ("month_name", "|".join(MONTHS)),
    "d": ("day", "[0-9]{1,2}"),
    "j": ("day_of_year", "[0-9]{1,3}"),
    "a": ("weekday_abbreviation", "|".join(name[:3] for name in DAYS)),
    "A": ("weekday", "|".join(DAYS)),
    "H": ("hour", "[0-9]{1,2}"),
    "I": ("hour_of_half", "[0-9]{1,2}"),
    "p": ("half", "AM|PM"),
    "M": ("minute", "[0-9]{1,2}"),
    "S": ("second", "[0-9]{1,2}"),
    "f": ("fraction", "[0-9]+"),
    "z": ("offset", OFFSET),
}
#: The sets of directives with which a date or time is complete.
DATES = ({"year", "month", "day"}, {"year", "day_of_year"})
TIMES: tuple[set[str], ...] = (
    set(),
    {"hour"},
    {"hour", "minute"},
    {"hour", "minute", "second"},
    {"hour", "minute", "second", "fraction"},
)
#: The groups whose text sorts as the times do, if they are in this order and the rest of the text is the same.
SORTED = ("year", "month", "day", "hour", "minute", "second", "fraction")
#: Regular expressions for valid times. February 29 is not among them.
MONTH_AND_DAY = (
    "(?:(?:0[1-9]|1[0-2]){0}(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2]){0}(?:29|30)|(?:0[13578]|1[02]){0}31)"
)
VALID = {
    "year": "(?!0000)[0-9]{4}",
    "hour": "(?:[01][0-9]|2[0-3])",
    "minute": "[0-5][0-9]",
    "second": "[0-5][0-9]",
}


class WrittenTimes:
    """Dates and times as text in a notation.

    :param notation: a regular expression with a group for each unit
    :param zone: the zone of values without an offset; None if these are errors
    :param expected: what the values must be, for errors
    """

    def __init__(self, notation: re.Pattern[str], zone: tzinfo | None, expected: str) -> None:
        self._notation = notation
        self._zone = zone
        self._expected = expected

    def position(self, text: str) -> Decimal:
        """Return the seconds since 1970-01-01T00:00:00Z, exactly.

        In an hour that a zone repeats, it is the first one.

        :raises ValueError: if the text is not a value in the notation, or its offset is unknown
        """
        match = self._match(text)
        wall = self._wall(match, text)
        seconds = _seconds(wall - EPOCH) - self._offset(match, wall)
        fraction = match.groupdict().get("fraction")
        if not fraction:
            return Decimal(seconds)
        return Decimal(f"{seconds * 10 ** len(fraction) + int(fraction)}E-{len(fraction)}")

    def unit(self, text: str) -> Decimal:
        """Return the resolution of a value in seconds: 86400 for a date, 0.001 for a time with three decimals."""
        found = self._match(text).groupdict()
        if fraction := found.get("fraction"):
            return Decimal(f"1E-{len(fraction)}")
        if found.get("second"):
            return Decimal(1)
        if found.get("minute"):
            return Decimal(60)
        return Decimal(3600 if found.get("hour") or found.get("hour_of_half") else 86400)

    def write(self, position: Decimal | int, like: str) -> str:
        """Return a time in the notation of another one, rounded down.

        :param position: the seconds since 1970-01-01T00:00:00Z
        :param like: the other value; the offset, the separators and the number of decimals stay
        :raises ValueError: if the year is not from 1 to 9999
        """
        match = self._match(like)
        position = Decimal(position)
        seconds = int(position.to_integral_value(ROUND_FLOOR, EXACT))
        try:
            if match["offset"] if "offset" in match.re.groupindex else None:
                wall = EPOCH + timedelta(seconds=seconds + self._offset(match, EPOCH))
            else:
                utc = (EPOCH + timedelta(seconds=seconds)).replace(tzinfo=UTC)
                wall = utc.astimezone(self._checked_zone(like)).replace(tzinfo=None)
        except OverflowError:
            raise ValueError("the time is not in the years 1 to 9999") from None
        return _written(match, wall, EXACT.subtract(position, Decimal(seconds)))

    def earlier(self, text: str, by: Decimal | int) -> str:
        """Return an earlier time in the same notation, rounded down.

        In a zone that repeats an hour, the result is before that hour: the text does not tell which of the two hours it
        is in, so rows of the second one could be missed.

        :param text: a value
        :param by: seconds to subtract; 0 returns the same text, unless it is in an hour that the zone repeats
        :raises ValueError: if the year is not from 1 to 9999
        """
        if by and not _has_hour(self._match(text)):
            return self._earlier_date(text, Decimal(by))
        result = self.write(EXACT.subtract(self.position(text), Decimal(by)), text) if by else text
        repeated = self.repeated(result)
        return self.write(EXACT.subtract(self.position(result), Decimal(repeated)), text) if repeated else result

    def repeated(self, text: str) -> int:
        """Return how many seconds the zone repeats at the time of a value, because clocks are turned back; mostly 0."""
        match = self._match(text)
        if self._zone is None or match.groupdict().get("offset"):
            return 0
        first, second = _offsets(self._wall(match, text), self._zone)
        return max(first - second, 0)

    def keys(self, texts: Sequence[str]) -> Sequence[str] | Sequence[Decimal]:
        """Return values that compare as the positions do: the texts themselves if all have the same notation.

        :raises ValueError: if one of the texts is not a value in the notation, or its offset is unknown
        """
        same = self._same_notation(texts[0])
        if same is not None:
            joined = "\n".join(texts) + "\n"
            # The length rules out a text that contains a line break and looks like two values.
            if len(joined) == len(texts) * (len(texts[0]) + 1) and same.fullmatch(joined):
                return texts
        return [self.position(text) for text in texts]

    def _match(self, text: str) -> re.Match[str]:
        match = self._notation.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if match is None:
            raise ValueError(f"{quoted(text)} is not {self._expected}")
        return match

    def _wall(self, match: re.Match[str], text: str) -> datetime:
        """Return the time that a clock on a wall shows, without decimals of seconds."""
        found = match.groupdict()
        hour = int(found.get("hour") or 0)
        try:
            if half := found.get("half"):
                hour = int(found["hour_of_half"])
                if not 1 <= hour <= 12:
                    raise ValueError(text)
                hour = hour % 12 + (12 if half.upper() == "PM" else 0)
            year, month, day = _date(found)
            wall = datetime(year, month, day, hour, int(found.get("minute") or 0), int(found.get("second") or 0))  # noqa: DTZ001
        except ValueError:
            raise ValueError(f"{quoted(text)} is not a valid date or time") from None
        return wall

    def _offset(self, match: re.Match[str], wall: datetime) -> int:
        """Return the offset from UTC in seconds."""
        offset: str | None = match.groupdict().get("offset")
        if offset:
            if offset in "Zz":
                return 0
            digits = offset[1:].replace(":", "")
            seconds = int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60
            return -seconds if offset.startswith("-") else seconds
        first, second = _offsets(wall, self._checked_zone(match.string))
        if first < second and match.groupdict().get("minute"):
            raise ValueError(f"{quoted(match.string)} does not exist in {self._zone}, where clocks were turned forward")
        return first

    def _checked_zone(self, text: str) -> tzinfo:
        if self._zone is None:
            raise ValueError(f"{quoted(text)} has no offset from UTC, and timezone is not set")
        return self._zone

    def _earlier_date(self, text: str, by: Decimal) -> str:
        """Return an earlier date. A day can have 23 or 25 hours, but a date minus a day is the date before."""
        match = self._match(text)
        days = -int((-by / 86400).to_integral_value(ROUND_FLOOR, EXACT))
        try:
            return _written(match, self._wall(match, text) - timedelta(days=days), Decimal(0))
        except OverflowError:
            raise ValueError("the time is not in the years 1 to 9999") from None

    def _same_notation(self, text: str) -> re.Pattern[str] | None:
        """Return a regular expression for lines of valid values that sort as text; None if there is none."""
        match = self._notation.fullmatch(text)
        if match is None or (match.groupdict().get("offset") is None and self._zone is not UTC):
            return None
        groups = sorted(
            (match.span(name), name)
            for name, value in match.groupdict().items()
            if value and name not in ("dash", "colon", "offset")
        )
        names = tuple(name for _, name in groups)
        if names[:3] != SORTED[:3] or names != SORTED[: len(names)] or any(len(match[n]) != 2 for n in names[1:6]):
            return None
        (_, month_end), (day_start, position) = match.span("month"), match.span("day")
        between = re.escape(text[month_end:day_start])
        parts = [re.escape(text[: match.start("year")]), VALID["year"]]
        parts.append(re.escape(text[match.end("year") : match.start("month")]))
        parts.append(MONTH_AND_DAY.format(between))
        for (start, end), name in groups[3:]:
            parts.append(re.escape(text[position:start]))
            parts.append(VALID.get(name, f"[0-9]{{{end - start}}}"))
            position = end
        return _compiled("".join(parts) + re.escape(text[position:]))


def iso_times(zone: tzinfo | None) -> WrittenTimes:
    """Return the notation of ISO 8601, with any number of decimals and with or without an offset.

    :param zone: the zone of values without an offset; None if these are errors
    """
    return WrittenTimes(ISO, zone, "a date or time in ISO 8601, such as 2024-01-31T12:00:00Z")


def pattern_times(pattern: str, zone: tzinfo | None) -> WrittenTimes:
    """Return the notation of a pattern of ``strptime``.

    :param pattern: such as ``%d.%m.%Y %H:%M:%S``. Names of months and weekdays are English
    :param zone: the zone of values without an offset; None if these are errors
    :raises ValueError: if a directive is not supported, or the date is incomplete
    """
    tokens = re.findall("%.|[^%]+|%", pattern, re.DOTALL)
    parts: list[str] = []
    names: list[str] = []
    for index, token in enumerate(tokens):
        if not token.startswith("%"):
            parts.append(re.escape(token))
            continue
        if token[1:] == "%":
            parts.append("%")
            continue
        if token[1:] not in DIRECTIVES:
            supported = ", ".join(f"%{each}" for each in DIRECTIVES)
            raise ValueError(f"{pattern!r} contains {token!r}. Supported are {supported} and %%")
        name, expression = DIRECTIVES[token[1:]]
        if name in names:
            raise ValueError(f"{pattern!r} contains {token} twice")
        names.append(name)
        neighbours = tokens[max(index - 1, 0) : index] + tokens[index + 1 : index + 2]
        if any(each[:1] == "%" and each[1:] in "YymdjHIMSf" for each in neighbours):
            expression = expression.replace("{1,", "{")  # without a separator, only the width separates two numbers
        parts.append(expression if name == "offset" else f"(?P<{name}>{expression})")
    _check_complete(pattern, set(names))
    return WrittenTimes(re.compile("".join(parts), re.IGNORECASE | re.ASCII), zone, f"a time in the format {pattern!r}")


def moment_position(moment: datetime) -> Decimal:
    """Return the seconds since 1970-01-01T00:00:00Z, exactly."""
    since = moment.astimezone(UTC).replace(tzinfo=None) - EPOCH
    return Decimal(f"{_seconds(since) * 10**6 + since.microseconds}E-6")


def quoted(text: str) -> str:
    """Return ``text`` in quotes, shortened, for an error."""
    return repr(text if len(text) <= MAX_QUOTED else f"{text[: MAX_QUOTED - 1]}…")


def _check_complete(pattern: str, names: set[str]) -> None:
    """Check that a pattern has a complete date, because ``strptime`` fills in 1900-01-01.

    :raises ValueError: if it has not
    """
    same = {"short_year": "year", "month_abbreviation": "month", "month_name": "month"}
    found = {same.get(name, name) for name in names} - {"weekday", "weekday_abbreviation", "offset"}
    if {"hour_of_half", "half"} <= found and "hour" not in found:
        found = found - {"hour_of_half", "half"} | {"hour"}
    if not any(found == date | time for date in DATES for time in TIMES):
        raise ValueError(
            f"{pattern!r} is not complete: it needs a year, a month and a day, and no unit between two others may be "
            "missing. %I needs %p"
        )


def _date(found: dict[str, str]) -> tuple[int, int, int]:
    year = int(found.get("year") or 0)
    if short := found.get("short_year"):
        year = int(short) + (1900 if int(short) >= 69 else 2000)  # as POSIX
    if "day_of_year" in found:
        day = datetime(year, 1, 1) + timedelta(days=int(found["day_of_year"]) - 1)  # noqa: DTZ001
        if day.year != year:
            raise ValueError(year)
        return year, day.month, day.day
    month = found.get("month")
    if month is None:
        name = found.get("month_name") or found["month_abbreviation"]
        month = [each[:3] for each in MONTHS].index(name[:3].title()) + 1  # type: ignore[assignment]
    return year, int(month or 0), int(found["day"])


def _written(match: re.Match[str], wall: datetime, fraction: Decimal) -> str:
    """Return the text of ``match`` with other values in its groups, each with the same number of digits or more."""
    text, position = "", 0
    for (start, end), name in sorted((match.span(name), name) for name in match.re.groupindex):
        if start < 0 or name in ("dash", "colon", "offset"):
            continue
        text += match.string[position:start] + _part(name, match[name], wall, fraction)
        position = end
    return text + match.string[position:]


def _part(name: str, old: str, wall: datetime, fraction: Decimal) -> str:
    if name == "fraction":
        return str(int(fraction.scaleb(len(old), EXACT).to_integral_value(ROUND_FLOOR, EXACT))).zfill(len(old))
    if name in ("month_name", "month_abbreviation", "weekday", "weekday_abbreviation", "half"):
        new = {"m": MONTHS[wall.month - 1], "w": DAYS[wall.weekday()], "h": "PM" if wall.hour >= 12 else "AM"}[name[0]]
        new = new[:3] if name.endswith("abbreviation") else new
        return new.upper() if old.isupper() else new.lower() if old.islower() else new
    number = {
        "short_year": wall.year % 100,
        "day_of_year": wall.timetuple().tm_yday,
        "hour_of_half": (wall.hour - 1) % 12 + 1,
    }
    return str(number[name] if name in number else getattr(wall, name)).zfill(len(old))


def _offsets(wall: datetime, zone: tzinfo) -> tuple[int, int]:
    """Return the offsets of a time that a zone repeats or skips, in seconds; the same number twice for other times."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta(0) for fold in (0, 1))
    return _seconds(first), _seconds(second)


def _has_hour(match: re.Match[str]) -> bool:
    found = match.groupdict()
    return bool(found.get("hour") or found.get("hour_of_half"))


def _seconds(duration: timedelta) -> int:
    return duration.days * 86400 + duration.seconds


@lru_cache(maxsize=64)
def _compiled(line: str) -> re.Pattern[str]:
    return re.compile(f"(?:{line}\n)*")
