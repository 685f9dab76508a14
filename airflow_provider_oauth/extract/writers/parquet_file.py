"""Writes Apache Parquet. Only this module and ``arrow`` import pyarrow, which is optional."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow
from pyarrow.parquet import ParquetWriter

from airflow_provider_oauth.extract.writers.arrow import arrow_array, arrow_type
from airflow_provider_oauth.extract.writers.columns import ListType, StructType
from airflow_provider_oauth.extract.writers.table import Table
from airflow_provider_oauth.extract.writers.values import values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_oauth.extract.storage import NewFile
    from airflow_provider_oauth.extract.writers.cells import Cells
    from airflow_provider_oauth.extract.writers.columns import Columns, ColumnType

#: Size of the rows of a row group in memory, in bytes.
ROW_GROUP_SIZE = 8 * 2**20
#: Size of the rows that are converted together, as JSON, in bytes.
BATCH_SIZE = 2**19


class ParquetFile:
    """A Parquet file.

    :param file: the file to write to
    :param columns: the types of the columns by name
    :param ignore_extra: whether to ignore fields that are not among the columns
    """

    def __init__(self, file: NewFile, columns: Columns, *, ignore_extra: bool = False) -> None:
        self._ignore_extra = ignore_extra
        self._table = Table(columns, ignore_extra=ignore_extra)
        self._schema = pyarrow.schema([(name, arrow_type(each)) for name, each in columns.items()])
        self._sink = _Sink(file)
        self._writer = ParquetWriter(pyarrow.PythonFile(self._sink, mode="w"), self._schema)
        self._pieces: list[list[Any]] = [[] for _ in self._schema]
        self._pending = 0
        self._batches: list[Any] = []
        self._size = 0

    @property
    def missing(self) -> list[str]:
        """The columns that no row has."""
        return self._table.missing

    def write(self, lines: Sequence[bytes]) -> None:
        """Write rows, as :class:`RowFile` defines it."""
        for pieces, piece in zip(self._pieces, self._table.converted(lines, self._converted), strict=True):
            pieces.append(piece)
        self._pending += sum(map(len, lines))
        if self._pending >= BATCH_SIZE:
            self._add_batch()
        if self._size >= ROW_GROUP_SIZE:
            self._write_row_group()

    def finish(self) -> None:
        """Write the last row group and the footer."""
        self._add_batch()
        self._write_row_group()
        self._writer.close()

    def close(self) -> None:
        """Close pyarrow's writer, which otherwise writes a footer when it is deleted."""
        self._sink.is_open = False
        with suppress(Exception):  # the storage may have failed before
            self._writer.close()

    def _converted(self, cells: Cells, column_type: ColumnType) -> Any:
        """Return the cells of a column: as an array if the type is nested, otherwise as a list."""
        if isinstance(column_type, (StructType, ListType)):
            return arrow_array(cells, column_type, ignore_extra=self._ignore_extra)
        return values(cells, column_type)

    def _add_batch(self) -> None:
        """Convert the rows of several calls together, because each conversion of pyarrow takes time."""
        if not self._pending:
            return
        arrays = [
            pyarrow.array(list(chain.from_iterable(pieces)), field.type)
            if isinstance(pieces[0], list)
            else pyarrow.concat_arrays(pieces)
            for pieces, field in zip(self._pieces, self._schema, strict=True)
        ]
        self._pieces, self._pending = [[] for _ in self._schema], 0
        self._batches.append(pyarrow.record_batch(arrays, schema=self._schema))
        self._size += self._batches[-1].nbytes

    def _write_row_group(self) -> None:
        if self._batches:
            table = pyarrow.Table.from_batches(self._batches)
            self._batches, self._size = [], 0
            self._writer.write_table(table, row_group_size=table.num_rows)
            del table
            # Otherwise pyarrow keeps the memory, and more of it after each row group.
            pyarrow.default_memory_pool().release_unused()


class _Sink:
    """The part of a Python file that pyarrow needs."""

    closed = False

    def __init__(self, file: NewFile) -> None:
        self._file = file
        self._position = 0
        #: Whether written bytes go to the file; otherwise they are ignored.
        self.is_open = True

    def write(self, data: Any) -> int:
        """Write all bytes."""
        written = bytes(data)
        if self.is_open:
            self._file.write(written)
        self._position += len(written)
        return len(written)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._position

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: the file is published after it is complete."""
