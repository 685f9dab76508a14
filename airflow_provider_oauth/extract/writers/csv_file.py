"""Writes CSV (RFC 4180)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_oauth.extract.rows import InvalidPage
from airflow_provider_oauth.extract.writers.table import Table
from airflow_provider_oauth.extract.writers.values import json_texts, texts, values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_oauth.extract.storage import NewFile
    from airflow_provider_oauth.extract.writers.cells import Cells
    from airflow_provider_oauth.extract.writers.columns import Columns, ColumnType

#: The characters because of which a cell is quoted.
SPECIAL = '",\r\n'
#: Programs such as Excel interpret text that begins with one of these characters as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: The types whose values are not strings in JSON, and contain no comma.
UNQUOTED = ("int64", "float64", "boolean")


class CsvFile:
    """A CSV file. The first line has the names of the columns. Values stay as the API wrote them.

    :param file: the file to write to
    :param columns: the types of the columns by name
    :param ignore_extra: whether to ignore fields that are not among the columns
    :param escape: whether to protect text that begins like a formula
    """

    def __init__(self, file: NewFile, columns: Columns, *, ignore_extra: bool = False, escape: bool = False) -> None:
        self._file = file
        self._escape = escape
        self._table = Table(columns, ignore_extra=ignore_extra)
        names = list(columns)
        self._file.write(",".join(_escaped(names, _quoted(names)) if escape else _quoted(names)).encode() + b"\n")

    @property
    def missing(self) -> list[str]:
        """The columns that no row has."""
        return self._table.missing

    def write(self, lines: Sequence[bytes]) -> None:
        """Write rows, as :class:`RowFile` defines it."""
        columns = self._table.converted(lines, self._formatted)
        if len(columns) == 1 and "" in columns[0]:
            raise InvalidPage(
                f"has null in row {self._table.rows - len(lines) + columns[0].index('') + 1}, but a CSV file with "
                "only one column cannot contain null: it would be an empty line, which programs skip. Write the rows "
                "to a JSON Lines or Parquet file"
            )
        self._file.write("\n".join([*map(",".join, zip(*columns, strict=True)), ""]).encode())

    def finish(self) -> None:
        """Do nothing: nothing follows the last row."""

    def close(self) -> None:
        """Do nothing: there is no temporary file."""

    def _formatted(self, cells: Cells, column_type: ColumnType) -> Sequence[str]:
        """Return the cells of a column as they are written."""
        if column_type.name not in ("string", "json"):
            values(cells, column_type)  # only checks them
        if column_type.name in UNQUOTED:
            return cells.array[1:-1].decode().replace("null", "").split(",")
        if column_type.name == "json":
            return _quoted(json_texts(cells))
        found = texts(cells)
        if not self._escape or column_type.name != "string":  # other text is a date, a time or a number
            return _quoted(found)
        strings = [
            text if cell and cell.startswith('"') else None for text, cell in zip(found, json_texts(cells), strict=True)
        ]
        return _escaped(strings, _quoted(found))


def _quoted(cells: Sequence[str | None]) -> Sequence[str]:
    """Return the cells with quotation marks where RFC 4180 requires them; null is empty, empty text is ``""``."""
    every = "".join(filter(None, cells))
    if any(character in every for character in SPECIAL):
        return ["" if cell is None else _quoted_if_special(cell) for cell in cells]
    return ["" if cell is None else cell or '""' for cell in cells]


def _quoted_if_special(text: str) -> str:
    # Not any(), which takes three times as long.
    if not text or '"' in text or "," in text or "\n" in text or "\r" in text:
        return _in_quotes(text)
    return text


def _in_quotes(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _escaped(strings: Sequence[str | None], cells: Sequence[str]) -> Sequence[str]:
    """Return the cells of a column with an apostrophe before text that begins like a formula.

    :param strings: the text of each cell; None for a number, for example
    :param cells: the cells as they are written otherwise
    """
    return [
        _in_quotes(f"'{text}") if text and text.startswith(FORMULA) else cell
        for text, cell in zip(strings, cells, strict=True)
    ]
