"""A file that rows are written to, and its simplest format: JSON Lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_oauth.extract.storage import NewFile


class RowFile(Protocol):
    """A file that rows are written to, in one format."""

    @property
    def missing(self) -> Sequence[str]:
        """The columns that no row has."""

    def write(self, lines: Sequence[bytes]) -> None:
        """Write rows.

        :param lines: each row as JSON in one line, in valid UTF-8
        :raises InvalidPage: if a row cannot be written in this format
        :raises StorageError: if the storage fails
        """

    def finish(self) -> None:
        """Write what follows the last row.

        :raises InvalidPage: if the rows cannot be written in this format
        :raises StorageError: if the storage fails
        """

    def close(self) -> None:
        """Delete temporary files. The file itself stays open."""


class JsonLinesFile:
    """A JSON Lines file: each row is a line, as the API wrote it.

    :param file: the file to write to
    """

    def __init__(self, file: NewFile) -> None:
        self._file = file

    @property
    def missing(self) -> Sequence[str]:
        """The columns that no row has: none, because there are no columns."""
        return ()

    def write(self, lines: Sequence[bytes]) -> None:
        """Write rows, as :class:`RowFile` defines it."""
        self._file.write(b"\n".join([*lines, b""]))

    def finish(self) -> None:
        """Do nothing: nothing follows the last row."""

    def close(self) -> None:
        """Do nothing: there is no temporary file."""
