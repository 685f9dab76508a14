"""Finds the mark of an incremental extract in its rows."""

from __future__ import annotations

import logging
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.mark_reader import FieldReader
from airflow_provider_oauth.extract.mark_request import sent_position
from airflow_provider_oauth.extract.mark_times import moment_position
from airflow_provider_oauth.extract.rows import InvalidPage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from airflow_provider_oauth.extract.incremental import Incremental
    from airflow_provider_oauth.extract.mark_values import MarkValues, Position

log = logging.getLogger(__name__)


class RowMarks:
    """Reads the field of an incremental extract from each row, and finds the greatest value.

    :param incremental: the parameters, which are valid
    :param since: the value that the run sends
    :param conn_id: the connection ID, for the log
    :param state: what :meth:`state` returned after a page; None if no row was read
    """

    def __init__(
        self, incremental: Incremental, since: str, conn_id: str, state: Mapping[str, Any] | None = None
    ) -> None:
        self._incremental = incremental
        self._values = incremental.values
        self._reader = FieldReader(incremental.keys, incremental.field, numbers=incremental.format != "iso")
        self._since = since
        self._since_position = self._values.position(since)
        self._sent_position = sent_position(incremental, since)
        self._conn_id = conn_id
        state = state or {}
        #: The greatest value; None if there are no rows.
        self.greatest: str | None = state.get("greatest")
        #: The number of rows.
        self.rows: int = state.get("rows", 0)
        #: The number of rows before the value that the run sends.
        self.older: int = state.get("older", 0)
        #: The number of rows that were dropped.
        self.dropped: int = state.get("dropped", 0)
        #: The number of rows before the value as it was sent, which can be rounded down.
        self._before_sent: int = state.get("before_sent", 0)
        self._pages: int = state.get("pages", 0)
        #: Whether the rows are in ascending order so far; only for numbers that are not times.
        self._is_ascending: bool = state.get("is_ascending", True)
        self._position = None if self.greatest is None else self._values.position(self.greatest)
        #: With ``descending``, the next value must not be greater than this.
        self._ceiling = self._position
        self._page_rows = self._page_older = 0

    def read(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Read the field of each row, and return the rows to write.

        :param lines: the rows of a page, or some of them, in JSON
        :raises InvalidPage: if a row does not have the field, or the value cannot be compared, or with ``descending``,
            if the rows are not in descending order
        """
        if not lines:
            return lines
        keys = self._keys(self._reader.texts(lines, self.rows))
        if self._incremental.descending:
            self._check_order(keys)
        elif not self._values.is_time and self._is_ascending:
            is_after = self._position is None or keys.position(0) >= self._position
            self._is_ascending = is_after and keys.is_ascending
        greatest = keys.greatest
        position = keys.position(greatest)
        if self._position is None or position > self._position:
            self.greatest, self._position = keys.texts[greatest], position
        older, is_new = keys.before(self._since_position)
        self.rows += len(lines)
        self.older += older
        is_rounded = older and self._sent_position != self._since_position
        self._before_sent += keys.before(self._sent_position)[0] if is_rounded else older
        self._page_rows += len(lines)
        self._page_older += older
        if not older or not self._incremental.client_side:
            return lines
        self.dropped += older
        return [line for line, new in zip(lines, is_new, strict=True) if new]

    def end_page(self) -> bool:
        """End a page, and return whether reading can stop: with ``descending``, if all its rows are older."""
        is_older = 0 < self._page_rows == self._page_older
        self._pages += self._page_rows > 0
        self._page_rows = self._page_older = 0
        self._ceiling = self._position
        return is_older and self._incremental.descending

    def state(self) -> dict[str, Any]:
        """Return the state after a page as JSON values."""
        counts = {"rows": self.rows, "older": self.older, "dropped": self.dropped, "pages": self._pages}
        counts["before_sent"] = self._before_sent
        return {"greatest": self.greatest, "is_ascending": self._is_ascending, **counts}

    def next_mark(self, limit: datetime, now: datetime) -> str | None:
        """Return the mark to store: the greatest value, but no time after ``limit``; None if there are no rows.

        :param limit: the start of the first attempt of the run
        :param now: the time after all rows were read. A later value is logged as a warning
        """
        if self.greatest is None or self._position is None or not self._values.is_time:
            return self.greatest
        if self._position > moment_position(now):
            log.warning(
                "Connection %r: %r of a row is %r, which is in the future: it is now %s. The stored mark is not after "
                "the start of the run, so that later rows are not missed. Check this row, the API's clock, and format "
                "and timezone of Incremental.",
                self._conn_id,
                self._incremental.field,
                self.greatest,
                now.isoformat(),
            )
        return self._values.at(limit, self.greatest) if self._position > moment_position(limit) else self.greatest

    def warn(self) -> None:
        """Log a warning if the API seems to ignore the parameter, or if rows that change can be missed."""
        if self._pages > 1 and not self._is_ascending and not self._incremental.lookback:
            # If values are times, the mark is not after the start of the run. Numbers have no such limit.
            log.warning(
                "Connection %r: the list has several pages, and its rows are not in ascending order of %r. A row that "
                "gets a new number while the pages are read can be missed. Request the rows in this order, or set "
                "lookback of Incremental to at least as many numbers as the API assigns during a pull.",
                self._conn_id,
                self._incremental.field,
            )
        if self._incremental.param is not None and self._before_sent * 2 > self.rows:
            log.warning(
                "Connection %r: %d of %d rows are before %s, which was sent as %r. The API seems to ignore this "
                "parameter. Correct param or value of Incremental. If the API does not filter, set client_side=True "
                "instead of param.",
                self._conn_id,
                self._before_sent,
                self.rows,
                self._since,
                self._incremental.param,
            )

    def _keys(self, texts: Sequence[str]) -> Keys:
        try:
            return Keys(self._values, texts)
        except ValueError:
            number, problem = next(self._problems(texts))
        raise InvalidPage(
            f"has a row, number {number}, whose {self._incremental.field!r} cannot be compared: {problem}. Correct "
            "field, format or timezone of Incremental"
        )

    def _problems(self, texts: Sequence[str]) -> Any:
        for number, text in enumerate(texts, self.rows + 1):
            try:
                self._values.position(text)
            except ValueError as error:
                yield number, error

    def _check_order(self, keys: Keys) -> None:
        is_after = self._ceiling is not None and keys.position(0) > self._ceiling
        if is_after or not keys.is_descending:
            self._find_disorder(keys)
        self._ceiling = keys.position(-1)

    def _find_disorder(self, keys: Keys) -> None:
        """Raise ``InvalidPage`` for the first row that is after the row before it."""
        ceiling = self._ceiling
        for index, text in enumerate(keys.texts):
            position = keys.position(index)
            # In an hour that occurs twice, the text does not show the order.
            if ceiling is not None and position > ceiling and not self._values.repeated(text):
                raise InvalidPage(
                    f"has rows that are not in descending order of {self._incremental.field!r}: row number "
                    f"{self.rows + index + 1} is after the row before it. Without this order, new rows could be "
                    "missed. Request this order, or remove descending"
                )
            ceiling = position


class Keys:
    """The values of some rows, with keys that compare as the values do.

    :param values: how the values compare
    :param texts: the values
    :raises ValueError: if one of them is invalid
    """

    def __init__(self, values: MarkValues, texts: Sequence[str]) -> None:
        self.texts = texts
        self._values = values
        self._keys = values.keys(texts)

    @property
    def greatest(self) -> int:
        """The index of the greatest value."""
        return self._keys.index(max(self._keys))

    @property
    def is_descending(self) -> bool:
        """Whether no value is after the one before it."""
        return all(later <= earlier for earlier, later in pairwise(self._keys))

    @property
    def is_ascending(self) -> bool:
        """Whether no value is before the one before it."""
        return all(earlier <= later for earlier, later in pairwise(self._keys))

    def position(self, index: int) -> Position:
        """Return the position of a value."""
        return self._values.position_of(self._keys[index])

    def before(self, position: Position) -> tuple[int, Sequence[bool]]:
        """Return how many values are before a position, and for each value whether it is at or after the position."""
        if self._values.position_of(min(self._keys)) >= position:
            return 0, [True] * len(self._keys)
        ordered = sorted(self._keys)
        count = bisect_left(ordered, position, key=self._values.position_of)
        if count == len(ordered):
            return count, [False] * count
        return count, [key >= ordered[count] for key in self._keys]
