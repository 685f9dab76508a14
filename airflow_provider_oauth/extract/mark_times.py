"""Dates and times as text: compares them exactly, and writes others in the same notation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_oauth.extract.time_notations import (
    EXACT,
    is_date,
    resolution,
    rewritten,
    same_notation,
    wall_time,
)

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence
    from datetime import tzinfo

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # compared with other times without a zone
#: Maximum number of characters of a value.
MAX_LENGTH = 200
#: Maximum number of characters of a value that an error quotes.
MAX_QUOTED = 40


class WrittenTimes:
    """Dates and times as text. Positions are seconds since 1970-01-01T00:00:00Z.

    :param notation: a regular expression with a group for each unit
    :param zone: the zone of values without an offset; None if these are errors
    :param name: what the values must be, for errors
    :param example: a value whose notation is used if no other value is known
    """

    is_time = True

    def __init__(self, notation: re.Pattern[str], zone: tzinfo | None, name: str, example: str) -> None:
        self._notation = notation
        self._zone = zone
        self._name = name
        self.example = example

    def position(self, text: str) -> Decimal:
        """Return the seconds since 1970, exactly. In an hour that occurs twice, it is the first of the two times.

        :raises ValueError: if the text is not a time in the notation, or its offset is unknown
        """
        found = self._match(text).groupdict()
        wall = self._wall(text, found)
        seconds = _seconds(wall - EPOCH) - self._offset(text, found, wall)
        fraction = found.get("fraction")
        if not fraction:
            return Decimal(seconds)
        return Decimal(f"{seconds * 10 ** len(fraction) + int(fraction)}E-{len(fraction)}")

    def keys(self, texts: Sequence[str]) -> Sequence[str] | Sequence[Decimal]:
        """Return keys that compare as the positions do: the texts themselves if all have the same notation.

        :raises ValueError: if one of the texts is not a time in the notation, or its offset is unknown
        """
        match = self._match(texts[0])
        if (same := same_notation(match)) is not None:
            lines = "\n".join(texts) + "\n"
            # The length rules out a text that contains a line break and looks like two times.
            is_same = len(lines) == len(texts) * (len(texts[0]) + 1) and same.fullmatch(lines)
            if is_same and self._has_no_change(match, texts):
                return texts
        return [self.position(text) for text in texts]

    def _has_no_change(self, match: re.Match[str], texts: Sequence[str]) -> bool:
        """Return whether no clocks are turned forward or back in the hours of these times.

        :param match: one of the times
        :param texts: the times, which have the same notation
        """
        found = match.groupdict()
        if self._zone is None or self._zone is UTC or found.get("offset") or is_date(found):
            return bool(found.get("offset")) or self._zone is not None
        hours = {text[: match.end("hour")]: text for text in texts}.values()
        walls = (self._wall(text, self._match(text).groupdict()) for text in hours)
        return all(_is_regular(wall.replace(minute=0, second=0), self._zone) for wall in walls)

    def position_of(self, key: str | Decimal) -> Decimal:
        """Return the position of a time or of a position, which are the keys."""
        return self.position(key) if isinstance(key, str) else key

    def unit(self, text: str) -> Decimal:
        """Return the resolution in seconds: 86400 for a date, 0.001 for a time with three decimals."""
        return resolution(self._match(text).groupdict())

    def write(self, position: Decimal | int, like: str) -> str:
        """Return a time in the notation of ``like``, rounded down.

        :raises ValueError: if the year is not from 1 to 9999
        """
        match = self._match(like)
        found = match.groupdict()
        seconds = int(Decimal(position).to_integral_value(ROUND_FLOOR, EXACT))
        try:
            if found.get("offset"):
                wall = EPOCH + timedelta(seconds=seconds + self._offset(like, found, EPOCH))
            else:
                utc = (EPOCH + timedelta(seconds=seconds)).replace(tzinfo=UTC)
                wall = utc.astimezone(self._checked_zone(like)).replace(tzinfo=None)
        except OverflowError:
            raise ValueError("the time is not in the years 1 to 9999") from None
        return rewritten(match, wall, EXACT.subtract(Decimal(position), Decimal(seconds)))

    def at(self, moment: datetime, like: str) -> str:
        """Return a time in the notation of ``like``, rounded down."""
        return self.write(moment_position(moment), like)

    def earlier(self, text: str, by: Decimal | int) -> str:
        """Return an earlier time in the same notation, rounded down.

        If the result is in an hour that occurs twice, because clocks are turned back, a time before that hour is
        returned: the text does not show which of the two hours it is, so rows of one of them could be missed.

        :param by: the difference in seconds; of dates, full days are subtracted
        :raises ValueError: if the year is not from 1 to 9999
        """
        match = self._match(text)
        if is_date(match.groupdict()):
            return self._earlier_date(match, by)
        result = self.write(EXACT.subtract(self.position(text), Decimal(by)), text) if by else text
        repeated = self.repeated(result)
        return self.write(EXACT.subtract(self.position(result), Decimal(repeated)), text) if repeated else result

    def repeated(self, text: str) -> int:
        """Return by how many seconds clocks are turned back in the hour of a time; 0 if they are not turned back."""
        found = self._match(text).groupdict()
        if self._zone is None or found.get("offset"):
            return 0
        first, second = _offsets(self._wall(text, found), self._zone)
        return max(first - second, 0)

    def _match(self, text: str) -> re.Match[str]:
        match = self._notation.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if match is None:
            raise ValueError(f"{quoted(text)} is not {self._name}")
        return match

    def _wall(self, text: str, found: dict[str, str | None]) -> datetime:
        try:
            return wall_time(found)
        except (ValueError, OverflowError):
            raise ValueError(f"{quoted(text)} is not a time that exists") from None

    def _offset(self, text: str, found: dict[str, str | None], wall: datetime) -> int:
        """Return the offset of a time from UTC in seconds."""
        if offset := found.get("offset"):
            if offset in "Zz":
                return 0
            digits = offset[1:].replace(":", "")
            seconds = int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60
            return -seconds if offset.startswith("-") else seconds
        zone = self._checked_zone(text)
        if zone is UTC:
            return 0
        first, second = _offsets(wall, zone)
        if first < second and found.get("minute"):
            raise ValueError(f"{quoted(text)} does not exist in the zone {zone}, where clocks were turned forward")
        return first

    def _checked_zone(self, text: str) -> tzinfo:
        if self._zone is None:
            raise ValueError(f"{quoted(text)} has no offset from UTC, and timezone is not set")
        return self._zone

    def _earlier_date(self, match: re.Match[str], by: Decimal | int) -> str:
        """Return an earlier date. Days of 23 or 25 hours count as one."""
        days = int(by // 86400) + bool(by % 86400)  # rounded up
        if not days:
            return match.string
        try:
            wall = self._wall(match.string, match.groupdict()) - timedelta(days=days)
        except OverflowError:
            raise ValueError("the time is not in the years 1 to 9999") from None
        return rewritten(match, wall, Decimal(0))


def moment_position(moment: datetime) -> Decimal:
    """Return the seconds since 1970-01-01T00:00:00Z, exactly.

    :param moment: a time with a zone
    """
    since = moment.astimezone(UTC).replace(tzinfo=None) - EPOCH
    return Decimal(f"{_seconds(since) * 10**6 + since.microseconds}E-6")


def quoted(text: str) -> str:
    """Return ``text`` in quotes, shortened, for an error."""
    return repr(text if len(text) <= MAX_QUOTED else f"{text[: MAX_QUOTED - 1]}…")


def _offsets(wall: datetime, zone: tzinfo) -> tuple[int, int]:
    """Return the offsets before and after a change of clocks at a local time; they are equal if there is no change."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta(0) for fold in (0, 1))
    return _seconds(first), _seconds(second)


@lru_cache(maxsize=4096)
def _is_regular(hour: datetime, zone: tzinfo) -> bool:
    """Return whether a zone neither repeats nor skips a part of an hour."""
    return len({*_offsets(hour, zone), *_offsets(hour + timedelta(seconds=3599), zone)}) == 1


def _seconds(duration: timedelta) -> int:
    return duration.days * 86400 + duration.seconds
