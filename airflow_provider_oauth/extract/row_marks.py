"""Reads the field of an incremental extract from each row, and finds the greatest value."""

from __future__ import annotations

import json
import logging
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_oauth.extract.mark_times import moment_position
from airflow_provider_oauth.extract.mark_values import NUMBERS
from airflow_provider_oauth.extract.rows import InvalidPage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_oauth.extract.incremental import Incremental

log = logging.getLogger(__name__)

#: The kinds of JSON values, for errors.
KINDS = {dict: "an object", list: "an array", bool: "a boolean", type(None): "null"}


class RowMarks:
    """Reads the field of an incremental extract from each row of a pull.

    :param incremental: the parameters, which are valid
    :param since: the value that this run sends
    :param conn_id: the connection ID, for the log
    :param state: what :meth:`state` returned at the end of a page; None at the start of a pull
    """

    def __init__(
        self, incremental: Incremental, since: str, conn_id: str, state: Mapping[str, Any] | None = None
    ) -> None:
        self._incremental = incremental
        self._values = incremental.values
        self._field = FieldReader(incremental.keys, incremental.field, is_number=incremental.format in NUMBERS)
        self._since = since
        self._since_position = self._values.position(since)
        self._conn_id = conn_id
        state = state or {}
        #: The greatest value; None before the first row.
        self.greatest: str | None = state.get("greatest")
        #: The number of rows.
        self.rows: int = state.get("rows", 0)
        #: The number of rows before ``since``.
        self.older: int = state.get("older", 0)
        #: The number of rows that were dropped.
        self.dropped: int = state.get("dropped", 0)
        self._greatest_position = None if self.greatest is None else self._values.position(self.greatest)
        # With descending, no value may be after this one.
        self._ceiling = self._greatest_position
        self._page_rows = self._page_older = 0

    def read(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Read the rows of a page, or some of them, and return the rows to write.

        :param lines: the rows in JSON
        :raises InvalidPage: if a row does not have the field, or its value is not comparable; with ``descending``, if
            the rows are not in descending order
        """
        if not lines:
            return lines
        texts = self._field.texts(lines, self.rows)
        try:
            keys = self._values.keys(texts)
        except ValueError:
            raise self._not_comparable(texts) from None
        position = self._position_of_key(texts, keys)
        top = max(range(len(keys)), key=keys.__getitem__)
        greatest = position(keys[top])
        if self._incremental.descending:
            self._check_order(texts, keys, position)
        if self._greatest_position is None or greatest > self._greatest_position:
            self.greatest, self._greatest_position = texts[top], greatest
        return self._counted(lines, keys, position)

    def end_page(self) -> bool:
        """Finish a page, and return whether reading can stop: with ``descending``, after a page of older rows only."""
        is_older = 0 < self._page_rows == self._page_older
        self._page_rows = self._page_older = 0
        self._ceiling = self._greatest_position
        return is_older and self._incremental.descending

    def state(self) -> dict[str, Any]:
        """Return the state after a page as JSON, for the constructor."""
        return {"greatest": self.greatest, "rows": self.rows, "older": self.older, "dropped": self.dropped}

    def next_mark(self, limit: datetime, now: datetime) -> str | None:
        """Return the mark to store: the greatest value, but not after ``limit``; None if there are no rows.

        :param limit: when the first attempt of the run started
        :param now: when this attempt started. A value after it is logged as a warning
        """
        if self.greatest is None or self._greatest_position is None or not self._values.is_time:
            return self.greatest
        if self._greatest_position > moment_position(now):
            log.warning(
                "Connection %r: the field %r of a row is %r, which is later than the start of this task, %s. The mark "
                "is not set to a time after the start of the run. Check the row, and the clock of the API.",
                self._conn_id,
                self._incremental.field,
                self.greatest,
                now.isoformat(),
            )
        if self._greatest_position > moment_position(limit):
            return self._values.at(limit, self.greatest)
        return self.greatest

    def warn(self) -> None:
        """Log a warning if the API seems to ignore the parameter."""
        if self._incremental.param is not None and self.older * 2 > self.rows:
            log.warning(
                "Connection %r: %d of %d rows are before %r, the value that was sent as %r. The API seems to ignore "
                "this parameter. Correct param or value; if the API cannot filter, set client_side=True.",
                self._conn_id,
                self.older,
                self.rows,
                self._since,
                self._incremental.param,
            )

    def _position_of_key(self, texts: Sequence[str], keys: Sequence[Any]) -> Callable[[Any], Any]:
        return self._values.position if keys is texts else _same

    def _counted(self, lines: Sequence[bytes], keys: Sequence[Any], position: Callable[[Any], Any]) -> Sequence[bytes]:
        """Count rows, and return those to write."""
        older = 0
        if position(min(keys)) < self._since_position:
            ordered = sorted(keys)
            older = bisect_left(ordered, self._since_position, key=position)
        self.rows += len(lines)
        self.older += older
        self._page_rows += len(lines)
        self._page_older += older
        if not older or not self._incremental.client_side:
            return lines
        self.dropped += older
        if older == len(lines):
            return []
        first = ordered[older]
        return [line for line, key in zip(lines, keys, strict=True) if key >= first]

    def _check_order(self, texts: Sequence[str], keys: Sequence[Any], position: Callable[[Any], Any]) -> None:
        ceiling = self._ceiling
        in_order = all(later <= earlier for earlier, later in pairwise(keys))
        if not in_order or (ceiling is not None and position(keys[0]) > ceiling):
            for index, (text, key) in enumerate(zip(texts, keys, strict=True)):
                # In an hour that the zone repeats, the text does not show the order.
                if ceiling is not None and position(key) > ceiling and not self._values.repeated(text):
                    raise InvalidPage(
                        f"has rows that are not in descending order of {self._incremental.field!r}, at row "
                        f"{self.rows + index + 1}. With descending=True, rows after the first older page would be "
                        "missed. Request this order, or remove descending"
                    )
                ceiling = position(key)
        self._ceiling = position(keys[-1])

    def _not_comparable(self, texts: Sequence[str]) -> InvalidPage:
        for index, text in enumerate(texts):
            try:
                self._values.position(text)
            except ValueError as error:
                return InvalidPage(
                    f"has a row whose {self._incremental.field!r} cannot be compared: {error}. It is row "
                    f"{self.rows + index + 1}. Correct field, format or timezone of Incremental"
                )
        raise AssertionError(texts)


class FieldReader:
    """Reads one field of rows as text: the text of a string, or a number as the API wrote it.

    :param keys: the keys that lead to the field
    :param name: the name of the field, for errors
    :param is_number: whether numbers are allowed too
    """

    def __init__(self, keys: Sequence[str], name: str, *, is_number: bool) -> None:
        self._keys = keys
        self._name = name
        self._is_number = is_number
        kind: Any = msgspec.Raw if is_number else str
        for depth, key in enumerate(reversed(keys)):
            kind = msgspec.defstruct(f"Level{depth}", [("value", kind)], rename={"value": key})
        self._rows = msgspec.json.Decoder(list[kind])

    def texts(self, lines: Sequence[bytes], before: int) -> list[str]:
        """Return the field of each row.

        :param before: the number of rows before these, for errors
        :raises InvalidPage: if a row does not have the field, or its value is of another kind
        """
        try:
            rows = self._rows.decode(b"[" + b",".join(lines) + b"]")
        except (msgspec.DecodeError, RecursionError):
            rows = None  # a row without the field, or one that msgspec rejects: see below
        if rows is not None:
            for _ in self._keys:
                rows = [row.value for row in rows]
            if not self._is_number:
                return rows
            texts = [bytes(row).decode() for row in rows]
            if all(text[0] in "-0123456789" for text in texts):
                return texts
        return [self._text(line, before + index + 1) for index, line in enumerate(lines)]

    def _text(self, line: bytes, number: int) -> str:
        try:
            value = json.loads(line, parse_int=Number, parse_float=Number)
        except RecursionError:
            raise self._error("cannot be read, because the row is nested too deeply for Python", number) from None
        for key in self._keys:
            if not isinstance(value, dict) or key not in value:
                raise self._error("is missing", number)
            value = value[key]
        if isinstance(value, Number):
            if self._is_number:
                return str(value)
            raise self._error("is a number, but the format of Incremental is one of text", number)
        if not isinstance(value, str):
            raise self._error(f"is {KINDS[type(value)]}", number)
        return value

    def _error(self, problem: str, number: int) -> InvalidPage:
        return InvalidPage(
            f"has a row whose {self._name!r} {problem}, so it is unknown whether the row is new. It is row {number}. "
            "Correct field or format of Incremental, or exclude these rows in the request"
        )


class Number(str):
    """A JSON number as the API wrote it."""

    __slots__ = ()


def _same(value: Any) -> Any:
    return value
