"""JMESPaths of paginators and error rules: checked when they are created, and evaluated without decoding the rows."""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter

from airflow_provider_oauth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jmespath.parser import ParsedResult

#: Expressions whose children are evaluated on the same value as the expression itself.
TRANSPARENT = (
    "or_expression",
    "and_expression",
    "not_expression",
    "comparator",
    "function_expression",
    "multi_select_list",
    "multi_select_dict",
    "key_val_pair",
    "literal",
)

#: Expressions whose first child is evaluated first, and the others on its value.
CHAINED = (
    "subexpression",
    "index_expression",
    "pipe",
    "projection",
    "filter_projection",
    "value_projection",
    "flatten",
)
#: A key that needs no quotes.
UNQUOTED = re.compile("[A-Za-z_][A-Za-z0-9_]*")

#: A node of a parsed JMESPath: its type, value and children.
Node = Any
#: A step of a path: a key, or an index.
Step = str | int


class Needs(IntEnum):
    """Which rows must be decoded to evaluate an expression."""

    NOTHING = 0
    FIRST_AND_LAST = 1
    ALL = 2


@lru_cache(maxsize=256)
def compiled(path: str, name: str) -> ParsedResult:
    """Return a JMESPath that can be evaluated.

    :param path: the JMESPath
    :param name: the name of the parameter with the path, for errors
    :raises ConfigurationError: if it is not a JMESPath
    """
    try:
        parsed = jmespath.compile(path)
    except JMESPathError as error:
        quoted = _quoted(path)
        advice = f"Write keys with special characters in quotes: {quoted}" if quoted else f"Correct it. ({error})"
        raise ConfigurationError(f"{name} {path!r} is not a valid JMESPath. {advice}") from None
    # jmespath checks the names of functions only when it searches.
    if unknown := _functions(parsed.parsed) - Functions.FUNCTION_TABLE.keys():
        raise ConfigurationError(
            f"{name} {path!r} uses the function {min(unknown)}, which JMESPath does not have. Correct its name."
        )
    return parsed


def is_template(text: str) -> bool:
    """Return whether ``text`` has a template, which must be rendered before the text can be checked."""
    return "{{" in text or "{%" in text


def needs(path: ParsedResult, rows_at: Sequence[str]) -> Needs:
    """Return which rows must be decoded to evaluate ``path``.

    :param path: the JMESPath
    :param rows_at: the keys that lead to the rows; none if the response is the array of rows
    """
    return _needs(path.parsed, list(rows_at))


def is_present(path: ParsedResult, document: Any) -> bool:
    """Return whether the response has the last key of ``path``, even if its value is null.

    :param path: the JMESPath. If a value on the way is null instead of an object, the last key counts as present
    :param document: the response
    """
    return _is_present(path.parsed, document)


def _functions(node: Node) -> set[str]:
    """Return the names of the functions in an expression."""
    own = {node["value"]} if node["type"] == "function_expression" else set()
    return own.union(*(_functions(child) for child in node["children"] if isinstance(child, dict)))


def root_members(path: ParsedResult) -> frozenset[str] | None:
    """Return the members at the root of a response that ``path`` reads; None if it can read all of them.

    :param path: the JMESPath
    """
    names = _root_members(path.parsed)
    return None if names is None else frozenset(names)


def _root_members(node: Node) -> set[str] | None:
    kind, children = node["type"], node["children"]
    if kind == "field":
        return {node["value"]}
    if kind in ("identity", "current"):
        return None
    if kind in ("literal", "expref", "index", "slice"):
        return set()
    if kind not in TRANSPARENT:
        children = children[:1]  # the others are evaluated on the value of the first one
    names: set[str] = set()
    for child in children:
        found = _root_members(child)
        if found is None:
            return None
        names |= found
    return names


def _needs(node: Node, rows_at: list[Step]) -> Needs:
    steps = _steps(node)
    if steps is None:
        if node["type"] in CHAINED:
            return _needs(node["children"][0], rows_at)
        if node["type"] not in TRANSPARENT:
            return Needs.ALL
        return max((_needs(child, rows_at) for child in node["children"]), default=Needs.NOTHING)
    depth = len(rows_at)
    if steps[:depth] != rows_at[: len(steps)]:
        return Needs.NOTHING
    return Needs.FIRST_AND_LAST if steps[depth : depth + 1] in ([0], [-1]) else Needs.ALL


def _steps(node: Node) -> list[Step] | None:
    """Return the keys and indexes of an expression; None if it has anything else."""
    if node["type"] == "identity":
        return []
    if node["type"] in ("field", "index"):
        return [node["value"]]
    if node["type"] not in ("subexpression", "index_expression"):
        return None
    steps: list[Step] = []
    for child in node["children"]:
        found = _steps(child)
        if found is None:
            return None
        steps += found
    return steps


def _is_present(node: Node, document: Any) -> bool:
    steps = _steps(node)
    if steps is None:
        if node["type"] in TRANSPARENT:
            # A comparison with an absent member is null, which must not be mistaken for false.
            quantifier = all if node["type"] in ("comparator", "and_expression", "literal") else any
            return quantifier(_is_present(child, document) for child in node["children"])
        return TreeInterpreter().visit(node, document) is not None
    value = document
    for step in steps:
        if value is None and value is not document:
            return True  # null instead of an object, such as next_page of Asana on the last page
        if isinstance(value, str):
            return False
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _quoted(path: str) -> str | None:
    """Return ``path`` with quotes around keys that need them; None if it has other parts than keys and positions."""
    part = r"([\w@$-]+)((?:\[-?\d*\])*)"
    if not re.fullmatch(rf"{part}(\.{part})*", path):
        return None
    if path.startswith("@"):  # such as @odata.nextLink of OData, which is one key
        return f'"{path}"'
    parts = [match.groups() for match in re.finditer(part, path)]
    return ".".join((key if UNQUOTED.fullmatch(key) else f'"{key}"') + index for key, index in parts)
