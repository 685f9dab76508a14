"""The values of the field by which rows are read incrementally: how they compare, and how they are written.

A value is text: the text of a JSON string, or a JSON number as the API wrote it.
"""

from __future__ import annotations

import re
from datetime import UTC
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_oauth.extract.mark_times import (
    EXACT,
    MAX_LENGTH,
    iso_times,
    moment_position,
    pattern_times,
    quoted,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from airflow_provider_oauth.extract.mark_times import WrittenTimes

#: The formats besides patterns of ``strptime``.
FORMATS = ("iso", "epoch", "epoch_ms", "int")
#: The formats whose values can be JSON numbers.
NUMBERS = ("epoch", "epoch_ms", "int")
NUMBER = re.compile("-?[0-9]+(?:[.][0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
#: Numbers with more digits before the decimal point are errors.
MAX_DIGITS = 200

Position = Decimal | int


class MarkValues(Protocol):
    """How values compare and are written. All methods raise ``ValueError`` for a text that is not a value."""

    #: Whether the values are times. If so, positions are seconds since 1970-01-01T00:00:00Z.
    is_time: bool

    def position(self, text: str) -> Position:
        """Return a number that compares as the values do, exactly."""

    def keys(self, texts: Sequence[str]) -> Sequence[Any]:
        """Return keys of some values that compare as the positions do: positions, or all texts.

        :param texts: at least one value
        """

    def unit(self, text: str) -> Position:
        """Return one unit of the resolution of a value, in seconds if the values are times."""

    def earlier(self, text: str, by: Position) -> str:
        """Return a value that is smaller, rounded down, in the same notation.

        :param by: the difference, in seconds if the values are times
        """

    def write(self, position: Position, like: str) -> str:
        """Return the value at a position, rounded down, in the notation of the value ``like``."""

    def at(self, moment: datetime, like: str) -> str:
        """Return the time ``moment``, rounded down, in the notation of the value ``like``."""

    def repeated(self, text: str) -> int:
        """Return how many seconds the zone repeats at the time of a value, because clocks are turned back; mostly 0."""


class Times:
    """Dates and times as text."""

    is_time = True

    def __init__(self, times: WrittenTimes) -> None:
        self.position = times.position
        self.keys = times.keys
        self.unit = times.unit
        self.write = times.write
        self.earlier = times.earlier
        self.repeated = times.repeated

    def at(self, moment: datetime, like: str) -> str:
        """Return the time ``moment``, rounded down, in the notation of the value ``like``."""
        return self.write(moment_position(moment), like)


class Epochs:
    """Numbers of seconds or milliseconds since 1970-01-01T00:00:00Z.

    :param shift: 0 for seconds, 3 for milliseconds
    """

    is_time = True

    def __init__(self, shift: int) -> None:
        self._shift = shift

    def position(self, text: str) -> Decimal:
        """Return the seconds since 1970-01-01T00:00:00Z, exactly."""
        return _number(text).scaleb(-self._shift, EXACT)

    def keys(self, texts: Sequence[str]) -> Sequence[Decimal]:
        """Return the positions of some values."""
        return [self.position(text) for text in texts]

    def unit(self, text: str) -> Decimal:
        """Return the resolution of a value in seconds."""
        return Decimal(f"1E{-_decimals(_number(text)) - self._shift}")

    def earlier(self, text: str, by: Position) -> str:
        """Return an earlier value in the same notation."""
        return self.write(EXACT.subtract(self.position(text), Decimal(by)), text) if by else text

    def write(self, position: Position, like: str) -> str:
        """Return the number for a time, rounded down, with as many decimals as ``like``."""
        decimals = _decimals(_number(like))
        shifted = Decimal(position).scaleb(self._shift, EXACT)
        rounded = shifted.quantize(Decimal(f"1E-{decimals}"), ROUND_FLOOR, EXACT)
        return f"{rounded:f}"

    def at(self, moment: datetime, like: str) -> str:
        """Return the time ``moment``, rounded down, in the notation of the value ``like``."""
        return self.write(moment_position(moment), like)

    def repeated(self, text: str) -> int:
        """Return 0, because the times are in UTC."""
        return 0


class Integers:
    """Integers, such as IDs and versions."""

    is_time = False

    def position(self, text: str) -> int:
        """Return the integer."""
        number = _number(text)
        if number != number.to_integral_value(context=EXACT):
            raise ValueError(f"{quoted(text)} is not an integer")
        return int(number)

    def keys(self, texts: Sequence[str]) -> Sequence[int]:
        """Return the integers."""
        return [self.position(text) for text in texts]

    def unit(self, text: str) -> int:
        """Return 1."""
        return 1

    def earlier(self, text: str, by: Position) -> str:
        """Return a smaller integer in the same notation."""
        return self.write(self.position(text) - by, text) if by else text

    def write(self, position: Position, like: str) -> str:
        """Return an integer, rounded down, with as many digits as ``like`` if that begins with a zero."""
        number = int(Decimal(position).to_integral_value(ROUND_FLOOR, EXACT))
        return str(number).zfill(len(like)) if like.startswith("0") and like.isdecimal() else str(number)

    def at(self, moment: datetime, like: str) -> str:
        """Raise ``ValueError``, because an integer is not a time."""
        raise ValueError("an integer is not a time")

    def repeated(self, text: str) -> int:
        """Return 0, because integers are not times."""
        return 0


@lru_cache(maxsize=64)
def values_of(format: str, timezone: str | None = None) -> MarkValues:
    """Return how the values of a format compare and are written.

    :param format: ``iso``, ``epoch``, ``epoch_ms``, ``int``, or a pattern of ``strptime``
    :param timezone: the zone of values without an offset: a name such as ``Europe/Berlin``, or ``UTC``; None if these
        values are errors
    :raises ValueError: if the format or the zone is not supported
    """
    if format == "int":
        return Integers()
    if format in NUMBERS:
        return Epochs(3 if format == "epoch_ms" else 0)
    zone = None if timezone is None else _zone(timezone)
    if format == "iso":
        return Times(iso_times(zone))
    if "%" in format:
        return Times(pattern_times(format, zone))
    raise ValueError(f"format {format!r} is not supported. Set it to {', '.join(FORMATS)} or a strptime pattern")


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # only here: few tasks need it

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError(
            f"timezone {name!r} is not known. Set it to UTC, or to an IANA name such as Europe/Berlin"
        ) from None


def _number(text: str) -> Decimal:
    """Return the number in ``text``, exactly.

    :raises ValueError: if it is not a number as in JSON
    """
    if len(text) > MAX_LENGTH or not NUMBER.fullmatch(text):
        raise ValueError(f"{quoted(text)} is not a number")
    number = Decimal(text)
    if max(number.adjusted(), _decimals(number)) > MAX_DIGITS:
        raise ValueError(f"{quoted(text)} is out of range")
    return number


def _decimals(number: Decimal) -> int:
    return max(-int(number.as_tuple().exponent), 0)
