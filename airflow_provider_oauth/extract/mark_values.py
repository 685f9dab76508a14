"""The values of the field by which rows are read incrementally: how they compare, and how they are written.

A value is text: the text of a JSON string, or a JSON number as the API wrote it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_oauth.extract.mark_times import MAX_LENGTH, WrittenTimes, moment_position, quoted
from airflow_provider_oauth.extract.time_notations import EXACT, ISO, pattern_notation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

#: The formats besides patterns of ``strptime``.
FORMATS = ("iso", "epoch", "epoch_ms", "int")
#: The formats of numbers.
NUMBERS = ("epoch", "epoch_ms", "int")
NUMBER = re.compile("-?[0-9]+(?:[.][0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
SHORT_INTEGERS = re.compile("(?:-?[0-9]{1,18}\n)*")
#: Numbers with more digits before or after the decimal point are errors.
MAX_DIGITS = 200

#: How a value compares with others, exactly: an integer, or a time as seconds since 1970-01-01T00:00:00Z.
Position = Decimal | int


class MarkValues(Protocol):
    """How values compare, and how they are written. Methods raise ``ValueError`` if a text is not such a value."""

    #: Whether the values are times.
    is_time: bool
    #: A value whose notation is used if no other value is known.
    example: str

    def position(self, text: str) -> Position:
        """Return a number that compares as the values do, exactly."""

    def keys(self, texts: Sequence[str]) -> Sequence[Any]:
        """Return keys that compare as the positions do, but are faster to compute.

        :param texts: at least one value
        """

    def position_of(self, key: Any) -> Position:
        """Return the position of the value with a key."""

    def unit(self, text: str) -> Position:
        """Return one unit of the last digit of a value, in seconds if the values are times."""

    def earlier(self, text: str, by: Position) -> str:
        """Return a smaller value in the same notation, rounded down.

        :param by: the difference, in seconds if the values are times. 0 returns the same text, unless it is a time that
            occurs twice
        """

    def write(self, position: Position, like: str) -> str:
        """Return a value in the notation of ``like``, rounded down."""

    def at(self, moment: datetime, like: str) -> str:
        """Return a time in the notation of ``like``, rounded down."""

    def repeated(self, text: str) -> int:
        """Return by how many seconds clocks are turned back in the hour of a time; 0 if they are not turned back."""


class Epochs:
    """Times as numbers of seconds or milliseconds since 1970-01-01T00:00:00Z.

    :param shift: 0 for seconds, 3 for milliseconds
    """

    is_time = True
    example = "0"

    def __init__(self, shift: int) -> None:
        self._shift = shift

    def position(self, text: str) -> Decimal:
        """Return the seconds since 1970, exactly."""
        return self.position_of(_number(text))

    def keys(self, texts: Sequence[str]) -> Sequence[int] | Sequence[Decimal]:
        """Return the numbers."""
        return _short_integers(texts) or list(map(_number, texts))

    def position_of(self, key: int | Decimal) -> Decimal:
        """Return the position of a number."""
        return Decimal(key).scaleb(-self._shift, EXACT)

    def unit(self, text: str) -> Decimal:
        """Return one unit of the last digit in seconds."""
        return Decimal(f"1E-{_decimals(_number(text)) + self._shift}")

    def earlier(self, text: str, by: Position) -> str:
        """Return an earlier time in the same notation."""
        return self.write(EXACT.subtract(self.position(text), Decimal(by)), text) if by else text

    def write(self, position: Position, like: str) -> str:
        """Return a time with as many decimals as ``like``, rounded down."""
        unit = Decimal(f"1E-{_decimals(_number(like))}")
        return f"{Decimal(position).scaleb(self._shift, EXACT).quantize(unit, ROUND_FLOOR, EXACT):f}"

    def at(self, moment: datetime, like: str) -> str:
        """Return a time with as many decimals as ``like``, rounded down."""
        return self.write(moment_position(moment), like)

    def repeated(self, text: str) -> int:
        """Return 0, because clocks in UTC are not turned back."""
        return 0


class Integers:
    """Integers that are not times, such as IDs and versions."""

    is_time = False
    example = "0"

    def position(self, text: str) -> int:
        """Return the integer."""
        number = _number(text)
        if number != number.to_integral_value(ROUND_FLOOR, EXACT):
            raise ValueError(f"{quoted(text)} is not an integer")
        return int(number)

    def keys(self, texts: Sequence[str]) -> Sequence[int]:
        """Return the integers, which are the positions."""
        return _short_integers(texts) or list(map(self.position, texts))

    def position_of(self, key: int) -> int:
        """Return the integer."""
        return key

    def unit(self, text: str) -> int:
        """Return 1."""
        return 1

    def earlier(self, text: str, by: Position) -> str:
        """Return a smaller integer in the same notation."""
        return self.write(self.position(text) - int(by), text) if by else text

    def write(self, position: Position, like: str) -> str:
        """Return an integer, with as many digits as ``like`` if that begins with 0."""
        return str(int(position)).zfill(len(like) if like.startswith("0") and like.isdecimal() else 0)

    def at(self, moment: datetime, like: str) -> str:
        """Raise ``ValueError``, because integers are not times."""
        raise ValueError("integers are not times")

    def repeated(self, text: str) -> int:
        """Return 0, because integers are not times."""
        return 0


@lru_cache(maxsize=64)
def values_of(format: str, timezone: str | None = None) -> MarkValues:
    """Return how the values of a format compare, and how they are written.

    :param format: ``iso``, ``epoch``, ``epoch_ms``, ``int``, or a pattern of ``strptime``
    :param timezone: the zone of values without an offset: an IANA name, or ``UTC``; None if these values are errors
    :raises ValueError: if the format or the zone is not supported
    """
    if format == "int":
        return Integers()
    if format in NUMBERS:
        return Epochs(3 if format == "epoch_ms" else 0)
    zone = None if timezone is None else _zone(timezone)
    if format == "iso":
        name = "a date or time in ISO 8601, such as 2024-01-31T12:00:00Z"
        return WrittenTimes(ISO, zone, name, "1970-01-01T00:00:00Z")
    if "%" in format:
        notation = pattern_notation(format)  # raises an error for what strftime would accept
        example = datetime(1970, 1, 1, tzinfo=UTC).strftime(format)
        return WrittenTimes(notation, zone, f"a time in the format {format!r}", example)
    raise ValueError(f"format {format!r} is not supported. Set it to {', '.join(FORMATS)} or a pattern of strptime")


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # only here: few tasks need it

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError(
            f"timezone {name!r} is not known. Set it to UTC or to an IANA name such as Europe/Berlin"
        ) from None


def _number(text: str) -> Decimal:
    """Return a number, exactly.

    :raises ValueError: if the text is not a number as in JSON
    """
    if len(text) > MAX_LENGTH or not NUMBER.fullmatch(text):
        raise ValueError(f"{quoted(text)} is not a number")
    number = Decimal(text)
    if max(number.adjusted(), _decimals(number)) > MAX_DIGITS:
        raise ValueError(f"{quoted(text)} has too many digits")
    return number


def _short_integers(texts: Sequence[str]) -> list[int]:
    """Return the integers; an empty list if one of the texts is something else or has more than 18 digits."""
    lines = "\n".join(texts) + "\n"
    # The number of line breaks rules out a text that contains one and looks like two integers.
    is_short = SHORT_INTEGERS.fullmatch(lines) and lines.count("\n") == len(texts)
    return list(map(int, texts)) if is_short else []


def _decimals(number: Decimal) -> int:
    return max(-int(number.as_tuple().exponent), 0)
