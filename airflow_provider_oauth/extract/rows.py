"""Slices rows out of the JSON of a response without decoding them, so they stay as the API wrote them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Raw

from airflow_provider_oauth.extract.records_path import Step
from airflow_provider_oauth.extract.slicers import WHITE_SPACE, Constant, RawSlicer, TextSlicer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_oauth.extract.records_path import RecordsPath
    from airflow_provider_oauth.extract.slicers import Slicer

#: A string, or one of the numbers that JSON does not have.
STRING_OR_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')
#: The white space of JSON that must not be in a line.
LINE_BREAKS = b"\r\n"
#: Maximum number of arrays that an error lists.
MAX_LISTED = 20

S = TypeVar("S")


class InvalidPage(ValueError):
    """The response is not a page of rows. The text is the rest of a sentence that begins with "The response"."""


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
    :param document: the response, to read its other members; None if msgspec rejects it
    :param slicer: slices ``document``
    """

    lines: Sequence[bytes]
    at: tuple[str, ...] = ()
    replaced: int = 0
    document: Raw | None = None
    slicer: RawSlicer = field(default_factory=RawSlicer)


def slice_rows(content: bytes, paths: Sequence[RecordsPath], *, allow_nan: bool = False) -> Rows:
    """Return the rows of a response.

    :param content: the JSON of the response, in valid UTF-8 without a byte order mark
    :param paths: the path of the rows, or several paths: the first one that exists in the response is used; empty if
        the response is the array of rows, or has exactly one array
    :param allow_nan: whether to replace NaN and Infinity, which JSON does not have, by null
    :raises InvalidPage: if the content is not JSON, or does not have the rows
    """
    try:
        slicer, document = RawSlicer(), _document(content)
        found, at = find_rows(slicer, document, paths)
        rows = Rows(list(map(bytes, found)), at, document=document, slicer=slicer)
    except (msgspec.DecodeError, RecursionError):
        rows = _slice_text(content.decode(), paths, allow_nan=allow_nan)
    except InvalidPage:
        _checked(content.decode(), allow_nan=allow_nan)  # a slicer does not check a document that it does not slice
        raise
    if any(byte in content for byte in LINE_BREAKS):
        # Strings in valid JSON contain no line breaks, so all of them are white space between tokens.
        return replace(rows, lines=[line.translate(None, LINE_BREAKS) for line in rows.lines])
    return rows


def _document(content: bytes) -> Raw:
    """Return the response for a slicer.

    :raises msgspec.DecodeError: if it is not JSON
    """
    content = content.strip(WHITE_SPACE.encode())
    if content.startswith((b"{", b"[")):  # the slicer itself finds errors in objects and arrays
        return Raw(content)
    return msgspec.json.decode(content, type=Raw)


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
    except Constant:
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


def without_rows(rows: Rows, *, keep_ends: bool) -> Any:
    """Return the decoded response without its rows.

    :param rows: the rows of a response that has a ``document``
    :param keep_ends: whether to keep the first and the last element of the array that contains the rows
    :raises ValueError: if Python cannot decode a member
    """
    slicer = rows.slicer

    def decoded(value: Raw, keys: Sequence[str]) -> Any:
        if keys:
            members = slicer.members(value) or {}
            return {key: decoded(each, keys[1:]) if key == keys[0] else _decoded(each) for key, each in members.items()}
        if not slicer.is_array(value):  # the response is a single row
            return _decoded(value) if keep_ends else {}
        elements = slicer.elements(value) if keep_ends else None
        return [_decoded(elements[index]) for index in (0, -1)] if elements else []

    return None if rows.document is None else decoded(rows.document, rows.at)


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
