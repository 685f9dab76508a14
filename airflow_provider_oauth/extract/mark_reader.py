"""Reads one field of rows, without decoding the others."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_oauth.extract.rows import InvalidPage

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What a number begins with.
DIGITS = b"-0123456789"


class Number(str):
    """A JSON number as the API wrote it."""

    __slots__ = ()


class Absent(Enum):
    """Stands for a field that a row does not have."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
#: What a value is instead of text, for errors.
KINDS = {
    Absent: "missing",
    Number: "a number",
    dict: "an object",
    list: "an array",
    bool: "true or false",
    type(None): "null",
    float: "NaN or Infinity",
}


class FieldReader:
    """Reads a field of rows as text: the text of a JSON string, or a JSON number as the API wrote it.

    :param keys: the keys that lead to the field
    :param name: the name of the field, for errors
    :param numbers: whether JSON numbers are allowed
    """

    def __init__(self, keys: Sequence[str], name: str, *, numbers: bool) -> None:
        self._keys = keys
        self._name = name
        self._numbers = numbers
        self._strings = _decoder(keys, str)
        self._raw_values = _decoder(keys, msgspec.Raw)

    def texts(self, lines: Sequence[bytes], before: int) -> list[str]:
        """Return the text of the field of each row.

        :param lines: the rows in JSON
        :param before: the number of rows before these, for errors
        :raises InvalidPage: if a row does not have the field, or has a value of another kind
        """
        array = b"[" + b",".join(lines) + b"]"
        try:
            return self._values(self._strings.decode(array))
        except (msgspec.DecodeError, RecursionError):
            pass  # a value is not text, a row does not have the field, or msgspec rejects a row, see slice_rows
        try:
            raw = list(map(bytes, self._values(self._raw_values.decode(array)))) if self._numbers else []
        except (msgspec.DecodeError, RecursionError):
            raw = []
        if raw and all(value[0] in DIGITS for value in raw):
            return [value.decode() for value in raw]
        return [self._text(line, before + index) for index, line in enumerate(lines, 1)]

    def _values(self, rows: list[Any]) -> list[Any]:
        for _ in self._keys:
            rows = [row.value for row in rows]
        return rows

    def _text(self, line: bytes, number: int) -> str:
        """Return the text of the field of a row.

        :param number: the number of the row, for errors
        """
        try:
            value = json.loads(line, parse_int=Number, parse_float=Number)
        except RecursionError:
            raise InvalidPage(
                f"has a row, number {number}, that is nested too deeply for Python, so its {self._name!r} cannot be "
                "read. Request fewer nested objects"
            ) from None
        for key in self._keys:
            value = value.get(key, ABSENT) if isinstance(value, dict) else ABSENT
        if type(value) is str or (isinstance(value, Number) and self._numbers):
            return str(value)
        raise InvalidPage(
            f"has a row, number {number}, whose {self._name!r} is {KINDS[type(value)]}, so new rows could be missed. "
            "Correct field of Incremental. If it is a number, set format to 'epoch', 'epoch_ms' or 'int'. If rows can "
            "lack it, request only rows that have it, or use another field"
        )


def _decoder(keys: Sequence[str], kind: Any) -> msgspec.json.Decoder[list[Any]]:
    """Return a decoder of an array of objects that have a value of ``kind`` at ``keys``."""
    for key in reversed(keys):
        kind = msgspec.defstruct("Row", [("value", kind)], rename={"value": key}, gc=False)
    return msgspec.json.Decoder(list[kind])
