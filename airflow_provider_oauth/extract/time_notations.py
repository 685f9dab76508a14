"""Notations of dates and times, as regular expressions with a group for each unit."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal
from functools import lru_cache

#: Exact for all values, which have at most 200 characters.
EXACT = Context(prec=1000)

OFFSET = "(?P<offset>[Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
#: ISO 8601, with or without separators in the date and in the time. Some APIs write a space before the offset.
ISO = re.compile(
    r"(?P<year>[0-9]{4})(-?)(?P<month>[0-9]{2})\2(?P<day>[0-9]{2})"
    r"(?:[Tt ](?P<hour>[0-9]{2})(:?)(?P<minute>[0-9]{2})(?:\6(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
    rf"(?: ?{OFFSET})?)?"
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
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: The directives of ``strptime`` that are supported: the name of the group, and its regular expression.
DIRECTIVES = {
    "Y": ("year", "[0-9]{4}"),
    "y": ("short_year", "[0-9]{2}"),
    "m": ("month", "[0-9]{1,2}"),
    "b": ("month_abbreviation", "|".join(name[:3] for name in MONTHS)),
    "B": ("month_name", "|".join(MONTHS)),
    "d": ("day", "[0-9]{1,2}"),
    "j": ("day_of_year", "[0-9]{1,3}"),
    "a": ("weekday_abbreviation", "|".join(name[:3] for name in WEEKDAYS)),
    "A": ("weekday_name", "|".join(WEEKDAYS)),
    "H": ("hour", "[0-9]{1,2}"),
    "I": ("hour_of_half", "[0-9]{1,2}"),
    "p": ("half", "AM|PM"),
    "M": ("minute", "[0-9]{1,2}"),
    "S": ("second", "[0-9]{1,2}"),
    "f": ("fraction", "[0-9]+"),
    "z": ("offset", OFFSET),
}
#: The directives whose values have digits only.
DIGITS = "YymdjHIMSf"
#: The groups that are another spelling of a unit.
SPELLINGS = {"short_year": "year", "month_abbreviation": "month", "month_name": "month"}
#: The groups that do not matter for the time, or not for its completeness.
EXTRAS = {"weekday_abbreviation", "weekday_name", "offset"}
#: The groups whose text sorts as the times do, if they are in this order.
UNITS = ("year", "month", "day", "hour", "minute", "second", "fraction")
#: The units that make a date, and with it a time, complete.
DATES = (set(UNITS[:3]), {"year", "day_of_year"})
TIMES = [set(UNITS[3:end]) for end in range(3, 8)]
#: Regular expressions that only valid values match. February 29 is left out.
MONTH_AND_DAY = (
    "(?:(?:0[1-9]|1[0-2]){0}(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2]){0}(?:29|30)|(?:0[13578]|1[02]){0}31)"
)
VALID = {"year": "(?!0000)[0-9]{4}", "hour": "(?:[01][0-9]|2[0-3])", "minute": "[0-5][0-9]", "second": "[0-5][0-9]"}


def pattern_notation(pattern: str) -> re.Pattern[str]:
    """Return the notation of a pattern of ``strptime``. Names of months and weekdays are English.

    :raises ValueError: if a directive is not supported, or the date is incomplete
    """
    tokens = re.findall("%.?|[^%]+", pattern, re.DOTALL)
    parts: list[str] = []
    names: list[str] = []
    for index, token in enumerate(tokens):
        if token == "%%" or not token.startswith("%"):  # noqa: S105  # not a password
            parts.append(re.escape(token[-1] if token == "%%" else token))  # noqa: S105
            continue
        if token[1:] not in DIRECTIVES:
            supported = ", ".join(f"%{each}" for each in DIRECTIVES)
            raise ValueError(f"{token!r} in {pattern!r} is not supported. Supported are {supported} and %%")
        name, expression = DIRECTIVES[token[1:]]
        if name in names:
            raise ValueError(f"{pattern!r} contains {token} twice")
        names.append(name)
        neighbours = tokens[max(index - 1, 0) : index] + tokens[index + 1 : index + 2]
        if any(each[0] == "%" and each[1:] in DIGITS for each in neighbours):
            expression = expression.replace("{1,", "{")  # without a separator, only the width separates two numbers
        parts.append(expression if name == "offset" else f"(?P<{name}>{expression})")
    _check_complete(pattern, set(names))
    return re.compile("".join(parts), re.IGNORECASE | re.ASCII)


def _check_complete(pattern: str, names: set[str]) -> None:
    """Check that a pattern has a complete date: ``strptime`` fills in 1900-01-01.

    :raises ValueError: if it does not
    """
    found = {SPELLINGS.get(name, name) for name in names} - EXTRAS
    if {"hour_of_half", "half"} <= found and "hour" not in found:
        found = found - {"hour_of_half", "half"} | {"hour"}
    if len({SPELLINGS.get(name, name) for name in names}) < len(names) or not any(
        found == date | time for date in DATES for time in TIMES
    ):
        raise ValueError(
            f"{pattern!r} is not the pattern of a complete date or time. It needs each unit from the year to the "
            "smallest one once, at least %Y, %m and %d. %I needs %p"
        )


def wall_time(found: dict[str, str | None]) -> datetime:
    """Return the local time, without decimals of seconds.

    :param found: the text of each group
    :raises ValueError: if there is no such time
    """
    hour = int(found.get("hour") or 0)
    if half := found.get("half"):
        hour = int(found["hour_of_half"] or 0)
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + (12 if half.upper() == "PM" else 0)
    year = int(found.get("year") or 0)
    if short := found.get("short_year"):
        year = int(short) + (1900 if int(short) >= 69 else 2000)  # as POSIX
    time = (hour, int(found.get("minute") or 0), int(found.get("second") or 0))
    if number := found.get("day_of_year"):
        day = datetime(year, 1, 1, *time) + timedelta(days=int(number) - 1)  # noqa: DTZ001  # its zone is added later
        if day.year != year:
            raise ValueError(number)
        return day
    month = found.get("month")
    if name := found.get("month_name") or found.get("month_abbreviation"):
        number_of_month = [each[:3] for each in MONTHS].index(name[:3].title()) + 1
    else:
        number_of_month = int(month or 0)
    return datetime(year, number_of_month, int(found["day"] or 0), *time)  # noqa: DTZ001


def resolution(found: dict[str, str | None]) -> Decimal:
    """Return the seconds of the smallest unit of a time.

    :param found: the text of each group
    """
    if fraction := found.get("fraction"):
        return Decimal(f"1E-{len(fraction)}")
    if found.get("second"):
        return Decimal(1)
    if found.get("minute"):
        return Decimal(60)
    return Decimal(86400 if is_date(found) else 3600)


def is_date(found: dict[str, str | None]) -> bool:
    """Return whether there is no time of day."""
    return not (found.get("hour") or found.get("hour_of_half"))


def rewritten(match: re.Match[str], wall: datetime, fraction: Decimal) -> str:
    """Return the text of a time with another time in it. The separators, the widths and the offset stay.

    :param match: the text
    :param wall: the other time
    :param fraction: the decimals of its second. Those that the text has no place for are cut off
    """
    text, position = "", 0
    for (start, end), name in sorted((match.span(name), name) for name in match.re.groupindex):
        if start >= 0 and name != "offset":
            text += match.string[position:start] + _part(name, match[name], wall, fraction)
            position = end
    return text + match.string[position:]


def _part(name: str, old: str, wall: datetime, fraction: Decimal) -> str:
    """Return the text of a group."""
    words = {"half": ("AM", "PM")[wall.hour // 12]}
    for length, suffix in ((3, "abbreviation"), (None, "name")):
        words[f"month_{suffix}"] = MONTHS[wall.month - 1][:length]
        words[f"weekday_{suffix}"] = WEEKDAYS[wall.weekday()][:length]
    if word := words.get(name):
        return word.upper() if old.isupper() else word.lower() if old.islower() else word
    numbers = {
        "short_year": wall.year % 100,
        "day_of_year": wall.timetuple().tm_yday,
        "hour_of_half": (wall.hour - 1) % 12 + 1,
        "fraction": int(fraction.scaleb(len(old), EXACT).to_integral_value(ROUND_FLOOR, EXACT)),
    }
    return str(numbers[name] if name in numbers else getattr(wall, name)).zfill(len(old))


def same_notation(match: re.Match[str]) -> re.Pattern[str] | None:
    """Return a regular expression for lines with valid times that have the notation of ``match`` and sort as text.

    :param match: a time
    :return: None if times in this notation do not sort as text
    """
    groups = sorted((match.span(name), name) for name, value in match.groupdict().items() if value and name != "offset")
    names = tuple(name for _, name in groups)
    has_widths = [end - start for (start, end), _ in groups[1:6]] == [2] * (len(groups[:6]) - 1)
    if len(names) < 3 or names != UNITS[: len(names)] or not has_widths:
        return None
    text, parts, position = match.string, [], 0
    for (start, end), name in groups:
        if name == "month":
            parts.append(re.escape(text[position:start]))
        elif name == "day":
            parts.append(MONTH_AND_DAY.format(re.escape(text[position:start])))
        else:
            parts.append(re.escape(text[position:start]) + VALID.get(name, f"[0-9]{{{end - start}}}"))
        position = end
    return _lines("".join(parts) + re.escape(text[position:]))


@lru_cache(maxsize=64)
def _lines(expression: str) -> re.Pattern[str]:
    return re.compile(f"(?:{expression}\n)*")
