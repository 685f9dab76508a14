"""Chooses the format of a file by its suffix."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.writers.columns import parse_columns
from airflow_provider_oauth.extract.writers.row_file import JsonLinesFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_oauth.extract.storage import NewFile
    from airflow_provider_oauth.extract.writers.columns import Columns
    from airflow_provider_oauth.extract.writers.row_file import RowFile

JSON_LINES, CSV, PARQUET = "JSON Lines", "CSV", "Parquet"
COMPRESSED = ("", ".gz", ".zst")
#: The format of a file by its suffix.
FORMATS = {
    **{f"{suffix}{packed}": JSON_LINES for suffix in (".jsonl", ".ndjson") for packed in COMPRESSED},
    **{f".csv{packed}": CSV for packed in COMPRESSED},
    ".parquet": PARQUET,  # compressed inside
}
SUFFIXES = tuple(FORMATS)
#: What to do with fields that are not among the columns.
EXTRA_COLUMNS = ("error", "ignore")


@dataclass(frozen=True)
class FileFormat:
    """The format of a file.

    :param name: its name
    :param conn_id: the connection ID, for errors
    :param columns: the types of the columns by name; None to infer them from all rows
    :param ignore_extra: whether to ignore fields that are not among the columns
    :param csv_escape: whether to protect text in CSV that begins like a formula
    """

    name: str
    conn_id: str
    columns: Columns | None = None
    ignore_extra: bool = False
    csv_escape: bool = False

    @contextmanager
    def open(self, file: NewFile) -> Iterator[RowFile]:
        """Yield a file that rows are written to.

        :param file: receives the bytes
        :raises StorageError: if the storage fails
        """
        rows = self._opened(file)
        try:
            yield rows
        finally:
            rows.close()

    def _opened(self, file: NewFile) -> RowFile:
        if self.name == JSON_LINES:
            return JsonLinesFile(file)
        if self.columns is None:
            from airflow_provider_oauth.extract.writers.inferred_file import InferredFile

            return InferredFile(partial(self._with_types, file), needs_columns=self.name == PARQUET)
        return self._with_columns(file, self.columns)

    def _with_types(self, file: NewFile, types: dict[str, str]) -> RowFile:
        return self._with_columns(file, parse_columns(self.conn_id, types))

    def _with_columns(self, file: NewFile, columns: Columns) -> RowFile:
        # Imported here, because DAG files import this module, and pyarrow is optional.
        if self.name == CSV:
            from airflow_provider_oauth.extract.writers.csv_file import CsvFile

            return CsvFile(file, columns, ignore_extra=self.ignore_extra, escape=self.csv_escape)
        from airflow_provider_oauth.extract.writers.parquet_file import ParquetFile

        return ParquetFile(file, columns, ignore_extra=self.ignore_extra)


def file_format(conn_id: str, path: str | None, *, columns: Any, extra_columns: str, csv_escape: bool) -> FileFormat:
    """Return the format of a file.

    :param conn_id: the connection ID, for errors
    :param path: the path or URL of the file, which ends with one of ``SUFFIXES``; None to store nothing
    :param columns: the types of the columns by name, or the names of the columns of a CSV file; None to infer them
    :param extra_columns: ``"error"`` or ``"ignore"``
    :param csv_escape: whether to protect text in CSV that begins like a formula
    :raises ConfigurationError: if a parameter does not fit the format, or pyarrow is not installed
    """
    name = next((FORMATS[suffix] for suffix in SUFFIXES if path is not None and path.endswith(suffix)), JSON_LINES)
    if columns is not None and name == JSON_LINES:
        raise ConfigurationError(
            f"Connection {conn_id!r}: columns is set, but path {path!r} is not a CSV or Parquet file. Remove "
            "columns, or use the suffix .csv or .parquet."
        )
    if columns is None and extra_columns != "error":
        raise ConfigurationError(
            f"Connection {conn_id!r}: extra_columns is set without columns. Set columns, or remove extra_columns."
        )
    if csv_escape and name != CSV:
        raise ConfigurationError(
            f"Connection {conn_id!r}: csv_escape is set, but path {path!r} is not a CSV file. Remove csv_escape, or "
            "use the suffix .csv."
        )
    if name == PARQUET:
        _check_pyarrow(conn_id)
    parsed = None if columns is None else parse_columns(conn_id, columns, is_csv=name == CSV)
    return FileFormat(name, conn_id, parsed, extra_columns == "ignore", csv_escape)


def check_columns(conn_id: str, columns: Any, extra_columns: str) -> None:
    """Check the parameters about columns as far as possible before ``path`` is rendered.

    :raises ConfigurationError: if one of them is invalid
    """
    if columns is not None:
        parse_columns(conn_id, columns)
    if extra_columns not in EXTRA_COLUMNS:
        raise ConfigurationError(
            f"Connection {conn_id!r}: extra_columns is {extra_columns!r}, which is not supported. Set it to one of "
            f"{', '.join(EXTRA_COLUMNS)}."
        )


def _check_pyarrow(conn_id: str) -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            f"Connection {conn_id!r}: path ends with .parquet, but the package pyarrow is not installed. Install "
            "airflow-provider-oauth[parquet] on all workers."
        ) from None
