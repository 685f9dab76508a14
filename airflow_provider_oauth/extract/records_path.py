"""The path of the rows in a response: keys joined by dots, ``[]`` for elements, ``.*`` for the values of objects."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: One step: ``[]``, ``.*``, or a key, which is quoted as in JSON if it contains special characters.
STEP = re.compile(
    r'(?P<each>\[\])|(?:^|(?<=[^.])\.)(?:(?P<values>\*)|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<key>[^\s.\[\]"*(){}|&`,]+))'
)


class Step(Enum):
    """A step of a path that is not a key."""

    #: Each element of an array.
    EACH = "[]"
    #: Each value of an object.
    VALUES = ".*"


@dataclass(frozen=True)
class RecordsPath:
    """The path of the rows in a response.

    Without ``[]`` and ``.*``, the value at the path must be an array, and its elements are the rows. With them, each
    value that the path reaches is a row. The path ``@`` is the response itself: the row, or the array of rows.

    A path of keys can end with ``?``. Then a response without the last key, or with null there, has no rows: some APIs
    omit an empty array.

    :param text: the path as the user wrote it
    :param steps: its keys and other steps; empty for ``@``
    :param is_optional: whether a response without the last key has no rows
    """

    text: str
    steps: tuple[str | Step, ...]
    is_optional: bool = False

    @classmethod
    def parse(cls, text: str) -> RecordsPath:
        """Return the path in ``text``.

        :param text: for example ``data.items``, ``result?``, ``edges[].node``, ``groups.*``, ``"a.b".rows`` or ``@``
        :raises ValueError: if it is not a path
        """
        stripped = text.strip().removesuffix("?")
        is_optional = stripped != text.strip()
        steps: list[str | Step] = []
        position = 0
        while position < len(stripped) and stripped != "@":
            match = STEP.match(stripped, position)
            if match is None:
                raise ValueError(_problem(text, stripped[position:]))
            position = match.end()
            if match["each"]:
                steps.append(Step.EACH)
            elif match["values"]:
                steps.append(Step.VALUES)
            else:
                steps.append(_key(text, match["quoted"]) if match["quoted"] else match["key"])
        if not stripped:
            raise ValueError(_problem(text, text))
        if is_optional and not (steps and all(isinstance(step, str) for step in steps)):
            raise ValueError(_problem(text, "?"))
        return cls(text.strip(), tuple(steps), is_optional)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys before the first ``[]`` or ``.*``."""
        return tuple(takewhile(lambda step: isinstance(step, str), self.steps))  # type: ignore[arg-type]

    @cached_property
    def has_several_values(self) -> bool:
        """Whether each value that the path reaches is a row."""
        return any(isinstance(step, Step) for step in self.steps)

    @property
    def is_nested(self) -> bool:
        """Whether an element of the first array can contain any number of rows."""
        return sum(isinstance(step, Step) for step in self.steps) > 1


def records_paths(paths: str | Sequence[str] | None) -> tuple[RecordsPath, ...]:
    """Return the paths of the rows. The first path that a response has is used.

    :param paths: one path or several; None if the response is the array of rows, or has exactly one array
    :raises ValueError: if one of them is not a path
    """
    return tuple(map(_parse, [paths] if isinstance(paths, str) else paths or ()))


@lru_cache(maxsize=256)  # each page of a list has the same path
def _parse(path: str) -> RecordsPath:
    return RecordsPath.parse(path)


def _key(path: str, quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        raise ValueError(_problem(path, quoted)) from None


def _problem(path: str, rest: str) -> str:
    return (
        f"records_path {path!r} is not valid at {rest!r}. Write keys joined by dots, [] for each element of an array, "
        "and .* for the values of an object, for example data.items or edges[].node. Write keys with special "
        'characters in double quotes, for example "a.b". Only a path of keys can end with ?, which means that a '
        "response without the last key has no rows."
    )
