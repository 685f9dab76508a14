"""Sets values in the JSON body of a request, at paths such as ``filterGroups.0.after``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def with_values(body: Any, values: Mapping[str, Any]) -> Any:
    """Return a copy of ``body`` with other values; ``body`` itself does not change.

    :param body: a JSON value; None for an empty object
    :param values: the values by path: keys and positions in arrays, joined by dots
    :raises ValueError: if the body has no such place
    """
    for path, value in values.items():
        body = _with_value(body, path.split("."), value)
    return body


def value_at(body: Any, path: str) -> Any:
    """Return the value at a path; None if there is none."""
    for key in path.split("."):
        try:
            body = body[int(key)] if isinstance(body, list) else body[key]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return body


def _with_value(body: Any, keys: list[str], value: Any) -> Any:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if body is None and not key.isdecimal():
        body = {}
    if isinstance(body, dict):
        return {**body, key: _with_value(body.get(key), rest, value)}
    if isinstance(body, list) and key.isdecimal() and int(key) < len(body):
        return [_with_value(each, rest, value) if i == int(key) else each for i, each in enumerate(body)]
    raise ValueError(f"{key!r} is not a key of an object or a position in an array of the body")
