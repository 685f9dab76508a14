"""Finds the rows of a response whose shape is not known."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

#: How deep the members of a response are searched.
DEPTH = 6


@dataclass(frozen=True)
class FoundArray:
    """An array in a response.

    :param records_path: its path, for ``records_path``
    :param count: the number of its elements
    :param has_objects: whether its elements are objects, as rows usually are
    """

    records_path: str
    count: int
    has_objects: bool


def find_arrays(document: Any) -> list[FoundArray]:
    """Return the arrays of a response, except those inside of arrays. The most likely rows come first.

    :param document: the decoded response
    """
    if isinstance(document, list):
        return [_found("@", document)]
    return sorted(_arrays(document, ""), key=lambda each: (each.has_objects, each.count), reverse=True)


def _arrays(document: Any, prefix: str, depth: int = 0) -> list[FoundArray]:
    found = []
    for key, value in document.items() if isinstance(document, dict) and depth < DEPTH else ():
        path = prefix + (key if re.fullmatch(r"[\w@$-]+", key) else json.dumps(key))
        found += [_found(path, value)] if isinstance(value, list) else _arrays(value, f"{path}.", depth + 1)
    return found


def _found(path: str, array: list[Any]) -> FoundArray:
    has_objects = bool(array) and all(isinstance(each, dict) for each in array)
    if has_objects and path != "@" and all(isinstance(each.get("node"), dict) for each in array):  # GraphQL's edges
        path += "[].node"
    return FoundArray(path, len(array), has_objects)
