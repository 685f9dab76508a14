"""Finds every error text in the source of the package, with the syntax tree."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.protocol.field_labels import field_name

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(exceptions.__file__).parent
#: The placeholder for a value in a text.
VALUE = "…"
#: The beginning of a text about a connection.
PREFIX = "Connection "
#: Calls whose arguments are an error text, besides those after ``raise``.
EXCEPTIONS = {name for name, each in vars(exceptions).items() if isinstance(each, type) and issubclass(each, Exception)}
MAKERS = EXCEPTIONS | {"SystemExit", "InvalidKey", "FlashMessage", "error", "invalid_response"}
MAKERS |= {"warning", "warnings.append", "_refuse_file"}
#: Exceptions whose text is never shown.
INTERNAL = {"ConnectTimeoutError", "NameResolutionError", "NewConnectionError"}
#: A text with fewer letters contains only values.
FEWEST_LETTERS = 6


@dataclass(frozen=True)
class ErrorText:
    """An error text.

    :param place: file and line
    :param text: the text, with ``VALUE`` in place of each value
    """

    place: str
    text: str


def error_texts() -> list[ErrorText]:
    """Return all error texts of the package. A text with alternative parts has one entry for each combination."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        constants = _assigned(tree)
        for function in (tree, *filter(_is_function, ast.walk(tree))):
            for node, text in _texts_in(function, constants):
                words = " ".join(re.sub(r"%[rsd]", VALUE, text).replace(f"{PREFIX}{VALUE}:", "").split())
                own_words = words.replace(f"URL: {VALUE}", "")  # a detail of many texts
                if sum(character.isalpha() for character in own_words) >= FEWEST_LETTERS:
                    place = f"{path.relative_to(PACKAGE.parent)}:{node.lineno}"
                    found.setdefault((path, words), ErrorText(place, words))
    return list(found.values())


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))


def _texts_in(
    function: ast.AST, constants: dict[str, list[ast.expr]]
) -> Iterator[tuple[ast.expr | ast.stmt | ast.keyword, str]]:
    """Yield the error texts of a function, with the place of each.

    :param constants: the values of the module's names
    """
    assigned = {**constants, **_assigned(function)}
    nodes = list(_own_nodes(function))
    raised = {id(node.exc) for node in nodes if isinstance(node, ast.Raise)}
    successes = {id(part) for node in nodes if _is_success(node) for part in ast.walk(node)}
    for node in (node for node in nodes if id(node) not in successes):
        if isinstance(node, ast.Call) and (id(node) in raised or _name(node.func) in MAKERS):
            if _name(node.func) not in INTERNAL:
                arguments = [
                    *_with_field_name(node),
                    *(each.value for each in node.keywords if each.arg in ("message", "problem")),
                ]
                texts = [_texts(each, assigned) for each in arguments if not _is_number(each)]
                yield from ((node, " ".join(text)) for text in product(*texts))
        elif isinstance(node, ast.Return) and node.value is not None and "problem" in getattr(function, "name", ""):
            yield from ((node, text) for text in _texts(node.value, assigned))
        elif isinstance(node, ast.keyword) and node.arg == "error":
            yield from ((node, text) for text in _texts(node.value, assigned) if " " in text)
        elif isinstance(node, ast.JoinedStr) and _begins_with_prefix(node):
            yield from ((node, text) for text in _texts(node, assigned))


def _is_success(node: ast.AST) -> bool:
    """Return whether the node is a message of the page that reports success, or whose outcome is a variable."""
    if not isinstance(node, ast.Call) or _name(node.func) != "FlashMessage":
        return False
    return not (isinstance(node.args[0], ast.Constant) and node.args[0].value in (False, None))


def _begins_with_prefix(node: ast.JoinedStr) -> bool:
    first = node.values[0]
    return isinstance(first, ast.Constant) and first.value == PREFIX


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function, without those of functions inside it."""
    for node in ast.iter_child_nodes(function):
        if not _is_function(node):
            yield node
            yield from _own_nodes(node)


def _assigned(function: ast.AST) -> dict[str, list[ast.expr]]:
    """Return the values that are assigned to each name in a function."""
    found: dict[str, list[ast.expr]] = {}
    for node in _own_nodes(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


def _with_field_name(call: ast.Call) -> list[ast.expr]:
    """Return the arguments of a call; if it is ``config.error``, with the name of the field as users see it."""
    match call:
        case ast.Call(func=ast.Attribute(attr="error"), args=[ast.Constant(value=str(name)), *rest]) if rest:
            return [ast.Constant(field_name(name)), *rest]
    return call.args


def _is_number(node: ast.expr) -> bool:
    """Return whether the argument is a status: True, False or None."""
    return isinstance(node, ast.Constant) and not isinstance(node.value, str)


def _name(node: ast.expr) -> str:
    """Return the name of a function or method; of ``append`` with that of its list."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=name), attr="append"):
            return f"{name}.append"
        case ast.Attribute(attr=name):
            return name
    return ""


def _texts(node: ast.expr, assigned: dict[str, list[ast.expr]]) -> list[str]:
    """Return the texts that an expression can have."""
    match node:
        case ast.Constant(value=value):
            return [value if isinstance(value, str) else VALUE]
        case ast.JoinedStr(values=values):
            return ["".join(parts) for parts in product(*(_texts(each, assigned) for each in values))]
        case ast.FormattedValue(value=value, conversion=-1):
            return _texts(value, assigned)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return ["".join(parts) for parts in product(_texts(left, assigned), _texts(right, assigned))]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_texts(body, assigned), *_texts(orelse, assigned)]
        case ast.Name(id=name) if name in assigned:
            rest = {other: values for other, values in assigned.items() if other != name}
            return list(dict.fromkeys(text for value in assigned[name] for text in _texts(value, rest)))
    return [VALUE]
