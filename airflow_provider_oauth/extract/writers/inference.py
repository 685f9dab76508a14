"""Infers the types of columns from all rows."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from airflow_provider_oauth.extract.row_members import RepeatedKey, row_members
from airflow_provider_oauth.extract.rows import InvalidPage
from airflow_provider_oauth.extract.writers.cells import BadRow, RowSplitter, UnknownField
from airflow_provider_oauth.extract.writers.table import row_problem
from airflow_provider_oauth.extract.writers.values import SAFE_DIGITS, Misfit, is_exact, is_integer, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_oauth.extract.writers.cells import Cells

#: Maximum number of columns. Rows with more different keys usually use IDs as keys, as in ``{"<ID>": …}``.
MAX_COLUMNS = 10_000
#: Size of the longest integer in the range of int64, with its sign.
MAX_INT64_SIZE = 20
QUOTE = ord('"')
NUMBERS = frozenset(b"-0123456789")
BOOLEANS = frozenset(b"tf")
NESTED = frozenset(b"{[")


class Kind(Enum):
    """What the values of a column are."""

    TEXT = "text"
    #: Text with half of a surrogate pair, which UTF-8 cannot contain. JSON can contain it as an escape.
    INVALID_TEXT = "invalid text"
    BOOLEAN = "boolean"
    NESTED = "nested"
    #: Integers in the range of int64: those that float64 can store exactly, and the others.
    INTEGER, LONG_INTEGER = "integer", "long integer"
    #: Other numbers: those whose digits float64 keeps, and those with more digits.
    NUMBER, LONG_NUMBER = "number", "long number"
    #: Integers outside the range of int64 that float64 can store exactly.
    LARGE_INTEGER = "large integer"


class TypeInference:
    """Infers the type of each column from the rows that are added."""

    def __init__(self) -> None:
        self._kinds: dict[str, set[Kind]] = {}
        self._splitter = RowSplitter(())
        #: The number of rows that were added.
        self.rows = 0

    @property
    def columns(self) -> dict[str, str]:
        """The type of each column by name, in the order in which the columns occurred first."""
        return {name: _type(kinds) for name, kinds in self._kinds.items()}

    def add(self, lines: Sequence[bytes]) -> None:
        """Add rows.

        :param lines: the rows in JSON
        :raises InvalidPage: if a row is not an object or has a key twice, or if there are too many columns
        """
        try:
            columns = self._split(lines)
        except BadRow as problem:
            raise InvalidPage(row_problem(problem, self.rows)) from None
        for kinds, cells in zip(self._kinds.values(), columns, strict=True):
            kinds |= _kinds(cells)
        self.rows += len(lines)

    def _split(self, lines: Sequence[bytes]) -> Sequence[Cells]:
        try:
            return self._splitter.split(lines)
        except UnknownField as problem:
            self._add_columns(lines, problem.index)
            return self._splitter.split(lines)

    def _add_columns(self, lines: Sequence[bytes], first: int) -> None:
        for index, line in enumerate(lines[first:], first):
            try:
                for name in row_members(line) or ():
                    self._kinds.setdefault(name, set())
                    name.encode()
            except RepeatedKey:
                break  # the rows are split again, which raises the error
            except UnicodeEncodeError:
                raise BadRow(index, "an object with a field whose name has half of a surrogate pair") from None
            if len(self._kinds) > MAX_COLUMNS:
                raise InvalidPage(
                    f"has rows with more than {MAX_COLUMNS:,} different fields, which are too many columns. Set "
                    "columns and extra_columns='ignore', or write the rows to a JSON Lines file"
                )
        self._splitter = RowSplitter(self._kinds)


def _kinds(cells: Cells) -> set[Kind]:
    """Return the kinds of the values of a column; null has none."""
    values = cells.values
    first_bytes = {value[0] for value in values}
    found = set()
    if QUOTE in first_bytes:
        found.add(_text_kind(cells))
    if first_bytes & BOOLEANS:
        found.add(Kind.BOOLEAN)
    if first_bytes & NESTED:
        found.add(Kind.NESTED)
    if first_bytes & NUMBERS:
        found |= _number_kinds([value for value in values if value[0] in NUMBERS])
    return found


def _text_kind(cells: Cells) -> Kind:
    try:
        texts(cells)
    except Misfit:
        return Kind.INVALID_TEXT
    return Kind.TEXT


def _number_kinds(numbers: Sequence[bytes]) -> set[Kind]:
    together = b",".join(numbers)
    if max(map(len, numbers)) > SAFE_DIGITS or b"e" in together or b"E" in together:
        return set(map(_number_kind, numbers))
    with_decimals = together.count(b".")
    return {Kind.NUMBER} if with_decimals == len(numbers) else {Kind.INTEGER, *[Kind.NUMBER] * bool(with_decimals)}


def _number_kind(number: bytes) -> Kind:
    if not is_integer(number):
        return Kind.NUMBER if is_exact(number) else Kind.LONG_NUMBER
    if len(number) <= MAX_INT64_SIZE and -(2**63) <= int(number) < 2**63:
        return Kind.INTEGER if is_exact(number) else Kind.LONG_INTEGER
    return Kind.LARGE_INTEGER if is_exact(number) else Kind.LONG_NUMBER


def _type(kinds: set[Kind]) -> str:
    """Return the name of the type that keeps all values."""
    if Kind.INVALID_TEXT in kinds or kinds == {Kind.NESTED}:
        return "json"
    if kinds == {Kind.BOOLEAN}:
        return "boolean"
    if kinds and kinds <= {Kind.INTEGER, Kind.LONG_INTEGER}:
        return "int64"
    if Kind.NUMBER in kinds and kinds <= {Kind.NUMBER, Kind.INTEGER, Kind.LARGE_INTEGER}:
        return "float64"
    return "string"
