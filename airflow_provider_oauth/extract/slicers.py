"""Splits JSON into slices without decoding them: bytes with msgspec, and text that msgspec rejects with ``json``."""

from __future__ import annotations

import json
from json.decoder import scanstring  # type: ignore[attr-defined]  # missing in typeshed
from typing import NoReturn, Protocol, TypeVar

import msgspec
from msgspec import Raw

#: The white space of JSON.
WHITE_SPACE = " \t\n\r"
#: Maximum number of objects whose members are kept. The objects around the rows are read before the rows.
MAX_REMEMBERED = 16

S = TypeVar("S")

_members = msgspec.json.Decoder(dict[str, Raw])
_elements = msgspec.json.Decoder(list[Raw])


class Constant(ValueError):
    """The JSON contains NaN or Infinity."""


class Slicer(Protocol[S]):
    """Splits a JSON value into slices, one level at a time."""

    def members(self, value: S) -> dict[str, S] | None:
        """Return the members of an object; None if ``value`` is not an object."""

    def elements(self, value: S) -> list[S] | None:
        """Return the elements of an array; None if ``value`` is not an array."""

    def is_null(self, value: S) -> bool:
        """Return whether ``value`` is null."""


class RawSlicer:
    """Slices bytes with msgspec. It keeps the members of the first objects, because these are read again."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[Raw, dict[str, Raw]]] = {}

    def members(self, value: Raw) -> dict[str, Raw] | None:
        """Return the members of an object; None if ``value`` is not an object."""
        if memoryview(value)[0] != ord("{"):
            return None
        if (found := self._found.get(id(value))) is not None:
            return found[1]
        members = _members.decode(value)
        if len(self._found) < MAX_REMEMBERED:
            # An id is unique only while the value exists, so the value is kept too.
            self._found[id(value)] = (value, members)
        return members

    def elements(self, value: Raw) -> list[Raw] | None:
        """Return the elements of an array; None if ``value`` is not an array."""
        return _elements.decode(value) if self.is_array(value) else None

    def is_array(self, value: Raw) -> bool:
        """Return whether ``value`` is an array."""
        return memoryview(value)[0] == ord("[")

    def is_null(self, value: Raw) -> bool:
        """Return whether ``value`` is null."""
        return bytes(value) == b"null"


class TextSlicer:
    """Slices text with ``json``, which accepts what msgspec rejects: unpaired surrogates and deep nesting.

    The text must be valid: call ``check`` first.

    :param allow_nan: whether NaN and Infinity are accepted
    """

    def __init__(self, *, allow_nan: bool) -> None:
        # Numbers are not converted, because Python refuses to convert integers with more than 4,300 digits.
        self._decoder = json.JSONDecoder(
            parse_int=_ignore, parse_float=_ignore, parse_constant=_ignore if allow_nan else _refuse
        )

    def check(self, text: str) -> None:
        """Check that ``text`` is one JSON value.

        :raises ValueError: if it is not, or if it contains NaN or Infinity although ``allow_nan`` is false
        """
        self._decoder.decode(text)

    def members(self, value: str) -> dict[str, str] | None:
        """Return the members of an object; None if ``value`` is not an object."""
        if not value.startswith("{"):
            return None
        found = {}
        position = _skip(value, 1)
        while value[position] != "}":
            key, position = scanstring(value, position + 1)
            start = _skip(value, _skip(value, position) + 1)  # after the colon
            position = self._decoder.raw_decode(value, start)[1]
            found[key] = value[start:position]
            position = _skip(value, position, comma=True)
        return found

    def elements(self, value: str) -> list[str] | None:
        """Return the elements of an array; None if ``value`` is not an array."""
        if not value.startswith("["):
            return None
        found = []
        position = _skip(value, 1)
        while value[position] != "]":
            start, position = position, self._decoder.raw_decode(value, position)[1]
            found.append(value[start:position])
            position = _skip(value, position, comma=True)
        return found

    def is_null(self, value: str) -> bool:
        """Return whether ``value`` is null."""
        return value == "null"


def _skip(text: str, position: int, *, comma: bool = False) -> int:
    """Return the position after white space, and after a comma if there is one and ``comma`` is true."""
    while text[position] in WHITE_SPACE:
        position += 1
    return _skip(text, position + 1) if comma and text[position] == "," else position


def _ignore(number: str) -> None:
    """Accept a number without converting it."""


def _refuse(number: str) -> NoReturn:
    raise Constant(number)
