"""Slices rows out of the JSON of a response without decoding them, so they stay as the API wrote them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from enum import Enum
from json.decoder import scanstring  # type: ignore[attr-defined]  # missing in typeshed
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

import msgspec
from msgspec import Raw

from airflow_provider_oauth.extract.records_path import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_oauth.extract.records_path import RecordsPath

#: The white space of JSON.
WHITE_SPACE = " \t\n\r"
#: A string, or one of the numbers that JSON does not have.
STRING_OR_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')
#: The white space of JSON that must not be in a line.
LINE_BREAKS = b"\r\n"
#: Maximum number of arrays that an error lists.
MAX_LISTED = 20

S = TypeVar("S")


class InvalidPage(ValueError):
    """The response is not a page of rows. The text is the rest of a sentence that begins with "The response"."""


class _Constant(ValueError):
    """The JSON contains NaN or Infinity."""


class NoRows(Enum):
    """Why there are no rows at a path."""

    #: The response has no such member.
    ABSENT = "absent"
    #: The member is null. Some APIs send this instead of an empty array, others if there was an error.
    NULL = "null"


@dataclass(frozen=True)
class Rows:
    """The rows of a page.

    :param lines: each row as the API wrote it, without line breaks, in UTF-8
    :param at: the keys that lead to the array that contains the rows; empty if the response is that array
    :param replaced: how many times NaN or Infinity was replaced by null
    """

    lines: Sequence[bytes]
    at: tuple[str, ...] = ()
    replaced: int = 0


class Slicer(Protocol[S]):
    """Splits a JSON value into slices, one level at a time."""

    def members(self, value: S) -> dict[str, S] | None:
        """Return the members of an object; None if ``value`` is not an object."""

    def elements(self, value: S) -> list[S] | None:
        """Return the elements of an array; None if ``value`` is not an array."""

    def is_null(self, value: S) -> bool:
        """Return whether ``value`` is null."""


class RawSlicer:
    """Slices bytes with msgspec."""

    def __init__(self) -> None:
        self._members = msgspec.json.Decoder(dict[str, Raw])
        self._elements = msgspec.json.Decoder(list[Raw])

    def members(self, value: Raw) -> dict[str, Raw] | None:
        """Return the members of an object; None if ``value`` is not an object."""
        return self._members.decode(value) if memoryview(value)[0] == ord("{") else None

    def elements(self, value: Raw) -> list[Raw] | None:
        """Return the elements of an array; None if ``value`` is not an array."""
        return self._elements.decode(value) if memoryview(value)[0] == ord("[") else None

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


def slice_rows(content: bytes, paths: Sequence[RecordsPath], *, allow_nan: bool = False) -> Rows:
    """Return the rows of a response.

    :param content: the JSON of the response, in valid UTF-8 without a byte order mark
    :param paths: the path of the rows, or several paths: the first one that exists in the response is used; empty if
        the response is the array of rows, or has exactly one array
    :param allow_nan: whether to replace NaN and Infinity, which JSON does not have, by null
    :raises InvalidPage: if the content is not JSON, or does not have the rows
    """
    try:
        document = msgspec.json.decode(content, type=Raw)
        found, at = find_rows(RawSlicer(), document, paths)
        rows = Rows(list(map(bytes, found)), at)
    except (msgspec.DecodeError, RecursionError):
        rows = _slice_text(content.decode(), paths, allow_nan=allow_nan)
    if any(byte in content for byte in LINE_BREAKS):
        # Strings in valid JSON contain no line breaks, so all of them are white space between tokens.
        return replace(rows, lines=[line.translate(None, LINE_BREAKS) for line in rows.lines])
    return rows


def check_value(text: str, *, allow_nan: bool = False) -> tuple[bytes, int]:
    """Return a JSON value in UTF-8 as it is, and how many times NaN or Infinity was replaced in it by null.

    :param text: the value, without line breaks
    :param allow_nan: whether to replace NaN and Infinity, which JSON does not have, by null
    :raises InvalidPage: if it is not one JSON value
    """
    value = text.encode()
    try:
        msgspec.json.decode(value, type=Raw)
    except (msgspec.DecodeError, RecursionError):
        _checked(text, allow_nan=allow_nan)
        return _without_constants(text) if allow_nan else (value, 0)
    return value, 0


def _checked(text: str, *, allow_nan: bool) -> TextSlicer:
    """Return a slicer of ``text``, which is valid.

    :raises InvalidPage: if it is not one JSON value
    """
    slicer = TextSlicer(allow_nan=allow_nan)
    try:
        slicer.check(text)
    except _Constant:
        raise InvalidPage(
            "contains NaN or Infinity, which JSON does not have. To write null instead, set allow_nan=True"
        ) from None
    except RecursionError:
        raise InvalidPage("is JSON that is nested too deeply for Python. Request fewer nested objects") from None
    except ValueError:
        raise InvalidPage("is not JSON. Check the endpoint") from None
    return slicer


def _without_constants(text: str) -> tuple[bytes, int]:
    """Return a valid JSON value with null instead of NaN and Infinity, and their number."""
    replaced = 0

    def without_constant(match: re.Match[str]) -> str:
        nonlocal replaced
        if match[0].startswith('"'):
            return match[0]
        replaced += 1
        return "null"

    return STRING_OR_CONSTANT.sub(without_constant, text).encode(), replaced


def _slice_text(text: str, paths: Sequence[RecordsPath], *, allow_nan: bool) -> Rows:
    rows, at = find_rows(_checked(text, allow_nan=allow_nan), text.strip(WHITE_SPACE), paths)
    if not allow_nan:
        return Rows([row.encode() for row in rows], at)
    cleaned = list(map(_without_constants, rows))
    return Rows([line for line, _ in cleaned], at, sum(replaced for _, replaced in cleaned))


def find_rows(slicer: Slicer[S], document: S, paths: Sequence[RecordsPath]) -> tuple[list[S], tuple[str, ...]]:
    """Return the rows in ``document``, and the keys that lead to the array that contains them.

    :param paths: as in :func:`slice_rows`
    :raises InvalidPage: if the document does not have the rows
    """
    if not paths:
        return _only_array(slicer, document)
    null: RecordsPath | None = None
    for path in paths:
        if null and not path.steps:
            break  # otherwise the response itself would become a row
        rows = _rows_at(slicer, document, path)
        if isinstance(rows, list):
            return rows, path.keys
        if rows is NoRows.NULL:
            null = null or path
    for path in paths:
        if path.is_optional and _has_parent(slicer, document, path):
            return [], path.keys
    if null:
        raise InvalidPage(
            f"has null at {null.text!r} instead of an array. If this means that there are no rows, add ? to the path. "
            f"{_advice(slicer, document)}"
        )
    missing = " or ".join(repr(path.text) for path in paths)
    raise InvalidPage(f"has no {missing}. {_advice(slicer, document)}")


def _has_parent(slicer: Slicer[S], document: S, path: RecordsPath) -> bool:
    """Return whether ``document`` has the object that can contain the last key of ``path``."""
    value = document
    for key in path.keys[:-1]:
        children = _children(slicer, value, key)
        if children is None:
            return False
        value = children[0]
    return slicer.members(value) is not None


def _only_array(slicer: Slicer[S], document: S) -> tuple[list[S], tuple[str, ...]]:
    rows = slicer.elements(document)
    if rows is not None:
        return rows, ()
    arrays = [
        (elements, (key,))
        for key, value in (slicer.members(document) or {}).items()
        if (elements := slicer.elements(value)) is not None
    ]
    if len(arrays) != 1:
        raise InvalidPage(f"does not contain exactly one array. {_advice(slicer, document)}")
    return arrays[0]


def _rows_at(slicer: Slicer[S], document: S, path: RecordsPath) -> list[S] | NoRows:
    """Return the rows at ``path``; a member of ``NoRows`` if the document has no value or null there."""
    if not path.steps:
        rows = slicer.elements(document)
        if rows is None and slicer.members(document) is None:
            raise InvalidPage(f"is neither an object nor an array. {_advice(slicer, document)}")
        return [document] if rows is None else rows
    value = document
    for key in path.keys:
        children = _children(slicer, value, key)
        if children is None:
            return NoRows.ABSENT
        value = children[0]
    if slicer.is_null(value):
        return NoRows.NULL
    if path.has_several_values:
        return _rows_below(slicer, value, path)
    rows = slicer.elements(value)
    if rows is None:
        raise InvalidPage(f"has no array at {path.text!r}. {_advice(slicer, document)}")
    return rows


def _rows_below(slicer: Slicer[S], value: S, path: RecordsPath) -> list[S]:
    """Return the rows in ``value``, the value before the first ``[]`` or ``.*`` of ``path``."""
    values = [value]
    for step in path.steps[len(path.keys) :]:
        children: list[S] = []
        for each in values:
            found = _children(slicer, each, step)
            if found is None:
                raise InvalidPage(
                    f"does not match records_path {path.text!r}: an element has no {_name(step)}. Correct records_path"
                )
            children += found
        values = children
    if not isinstance(path.steps[-1], Step) and any(slicer.elements(each) is not None for each in values):
        raise InvalidPage(
            f"has arrays at records_path {path.text!r}. If each element of these arrays is a row, add [] to the path"
        )
    return values


def _children(slicer: Slicer[S], value: S, step: str | Step) -> list[S] | None:
    """Return what a step of a path reaches from ``value``; None if it reaches nothing."""
    if step is Step.EACH:
        return slicer.elements(value)
    members = slicer.members(value)
    if members is None or step is Step.VALUES:
        return None if members is None else list(members.values())
    return [members[step]] if step in members else None


def without_rows(content: bytes, at: Sequence[str], *, keep_ends: bool) -> Any:
    """Return the decoded response without its rows.

    :param content: the JSON of the response
    :param at: the keys that lead to the array that contains the rows
    :param keep_ends: whether to keep the first and the last element of this array
    :raises msgspec.DecodeError: if msgspec cannot slice the content; only in newer versions it is a ValueError
    :raises ValueError: if Python cannot decode a member
    """
    slicer = RawSlicer()

    def decoded(value: Raw, keys: Sequence[str]) -> Any:
        if keys:
            members = slicer.members(value) or {}
            return {key: decoded(each, keys[1:]) if key == keys[0] else _decoded(each) for key, each in members.items()}
        elements = slicer.elements(value)
        if elements is None:  # the response is a single row
            return _decoded(value) if keep_ends else {}
        return [_decoded(elements[index]) for index in (0, -1)] if keep_ends and elements else []

    return decoded(msgspec.json.decode(content, type=Raw), at)


def _decoded(value: Raw) -> Any:
    return json.loads(bytes(value))


def _name(step: str | Step) -> str:
    return {Step.EACH: "array", Step.VALUES: "object"}[step] if isinstance(step, Step) else repr(step)


def _advice(slicer: Slicer[S], document: S) -> str:
    """Return a sentence that names the arrays of the response, so that the user can set ``records_path``."""
    found: list[str] = []
    _add_arrays(slicer, document, "", found)
    if not found:
        keys = ", ".join(map(repr, list(slicer.members(document) or {})[:MAX_LISTED]))
        return f"It contains no array{f'; its keys are {keys}' if keys else ''}. Check the endpoint"
    return f"Set records_path to the path of the rows. The response has arrays at {', '.join(found[:MAX_LISTED])}"


def _add_arrays(slicer: Slicer[S], value: S, prefix: str, found: list[str]) -> None:
    for key, member in (slicer.members(value) or {}).items():
        name = prefix + (key if re.fullmatch(r"[\w@$-]+", key) else json.dumps(key))
        if slicer.elements(member) is not None:
            found.append(name)
        elif len(found) < MAX_LISTED:
            _add_arrays(slicer, member, f"{name}.", found)


def _skip(text: str, position: int, *, comma: bool = False) -> int:
    """Return the position after white space, and after a comma if there is one and ``comma`` is true."""
    while text[position] in WHITE_SPACE:
        position += 1
    return _skip(text, position + 1) if comma and text[position] == "," else position


def _ignore(number: str) -> None:
    """Accept a number without converting it."""


def _refuse(number: str) -> NoReturn:
    raise _Constant(number)
