"""Converts rows to columns of a file, and reports what does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_provider_oauth.extract.rows import InvalidPage
from airflow_provider_oauth.extract.writers.cells import BadRow, RowSplitter, UnknownField
from airflow_provider_oauth.extract.writers.values import Misfit, UnknownMember

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_oauth.extract.writers.cells import Cells
    from airflow_provider_oauth.extract.writers.columns import Columns, ColumnType

T = TypeVar("T")


class Table:
    """Converts rows to columns.

    :param columns: the types of the columns by name
    :param ignore_extra: whether to ignore fields that are not among the columns
    """

    def __init__(self, columns: Columns, *, ignore_extra: bool) -> None:
        self._columns = columns
        self._splitter = RowSplitter(columns, ignore_extra=ignore_extra)
        #: The number of rows that were converted.
        self.rows = 0

    @property
    def missing(self) -> list[str]:
        """The columns that no row has."""
        return [name for name in self._columns if name in self._splitter.missing] if self.rows else []

    def converted(self, lines: Sequence[bytes], convert: Callable[[Cells, ColumnType], T]) -> list[T]:
        """Return the columns of rows.

        :param lines: the rows in JSON
        :param convert: converts the cells of a column to its type, and raises a ``Misfit`` if a value does not fit
        :raises InvalidPage: if a row does not fit the columns, or a value does not fit the type of its column
        """
        try:
            split = self._splitter.split(lines)
        except BadRow as problem:
            raise InvalidPage(row_problem(problem, self.rows)) from None
        found = []
        for (name, column_type), cells in zip(self._columns.items(), split, strict=True):
            try:
                found.append(convert(cells, column_type))
            except Misfit as misfit:
                raise InvalidPage(self._value_problem(misfit, name, column_type)) from None
        self.rows += len(lines)
        return found

    def _value_problem(self, misfit: Misfit, name: str, column_type: ColumnType) -> str:
        place = f"in row {self.rows + misfit.index + 1}, column {name + misfit.path!r} is {misfit.what}"
        if isinstance(misfit, UnknownMember):
            advice = ". Add the field to the type in columns, or set extra_columns to 'ignore'"
        else:
            type_name = (misfit.column_type or column_type).name
            advice = f", but the type is {type_name}. Change the type in columns; json fits every value"
        return f"has a value that does not fit its column: {place}{advice}"


def row_problem(problem: BadRow, rows_before: int) -> str:
    """Return the error text for a row that does not fit the columns.

    :param problem: the position of the row in its batch, and what it is
    :param rows_before: the number of rows before the batch
    """
    advice = "Write the rows to a JSON Lines file, which fits every row"
    if isinstance(problem, UnknownField):
        advice = "Add the field to columns, or set extra_columns to 'ignore'"
    row = rows_before + problem.index + 1
    return f"has a row that does not fit the columns: row {row} is {problem.what}. {advice}"
