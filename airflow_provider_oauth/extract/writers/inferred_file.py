"""Writes a file whose columns are known only after the last row."""

from __future__ import annotations

import logging
import tempfile
from contextlib import closing, suppress
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider_oauth.extract.rows import InvalidPage
from airflow_provider_oauth.extract.storage import BUFFER_SIZE, storage_errors
from airflow_provider_oauth.extract.writers.inference import TypeInference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_oauth.extract.writers.row_file import RowFile

log = logging.getLogger(__name__)

#: Number of rows that are read from the temporary file together.
BATCH_SIZE = 1000


class InferredFile:
    """Stores rows in a temporary JSON Lines file, and writes them when the types of all columns are known.

    :param open_file: opens the file for columns with these types
    :param needs_columns: whether the file cannot be written without a column
    """

    def __init__(self, open_file: Callable[[dict[str, str]], RowFile], *, needs_columns: bool) -> None:
        self._open_file = open_file
        self._needs_columns = needs_columns
        self._inference = TypeInference()
        with storage_errors():
            self._rows = tempfile.TemporaryFile("w+b", BUFFER_SIZE, prefix="oauth-extract-")  # noqa: SIM115

    @property
    def missing(self) -> Sequence[str]:
        """The columns that no row has: none."""
        return ()

    def write(self, lines: Sequence[bytes]) -> None:
        """Store rows, as :class:`RowFile` defines it."""
        self._inference.add(lines)
        with storage_errors():
            self._rows.write(b"\n".join([*lines, b""]))

    def finish(self) -> None:
        """Write all rows."""
        columns = self._inference.columns
        if not columns:
            self._finish_without_columns()
            return
        log.info(
            "Inferred the types of the columns from all %d rows. To write rows without a temporary file, set this "
            "parameter: columns=%r",
            self._inference.rows,
            columns,
        )
        with storage_errors():
            self._rows.seek(0)
        with closing(self._open_file(columns)) as file:
            while lines := self._next_lines():
                file.write(lines)
            file.finish()

    def _next_lines(self) -> list[bytes]:
        with storage_errors():
            return [line[:-1] for line in islice(self._rows, BATCH_SIZE)]

    def _finish_without_columns(self) -> None:
        if self._inference.rows:
            raise InvalidPage(
                "has only rows without fields, so a CSV or Parquet file would have no columns. Write the rows to a "
                "JSON Lines file"
            )
        if self._needs_columns:
            raise InvalidPage(
                "has no rows, so the columns of the Parquet file are unknown. Set columns, or set on_empty to "
                "'skip' or 'fail'"
            )

    def close(self) -> None:
        """Delete the temporary file."""
        with suppress(OSError):  # rows that are not needed any more cannot be stored
            self._rows.close()
