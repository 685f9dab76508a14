"""A part that rows are written to. It becomes visible when it is complete."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from airflow_provider_oauth.extract.progress import Part
from airflow_provider_oauth.extract.storage import new_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_oauth.extract.storage import NewFile
    from airflow_provider_oauth.extract.writers.row_file import RowFile


class OpenPart:
    """A part that rows are written to.

    :param target: the file, which must not exist
    :param open_format: opens the file in the format of the parts
    :param private: whether only the owner may read a local file
    :raises StorageError: if the storage fails
    """

    def __init__(
        self,
        target: ObjectStoragePath,
        open_format: Callable[[NewFile], AbstractContextManager[RowFile]],
        *,
        private: bool,
    ) -> None:
        self.name = target.name
        with ExitStack() as stack:
            self._file = stack.enter_context(new_file(target, private=private, exclusive=True))
            self._rows = stack.enter_context(open_format(self._file))
            self._stack = stack.pop_all()
        #: The number of rows, and their size in bytes as JSON, before compression.
        self.rows = self.size = 0

    def write(self, lines: Sequence[bytes]) -> None:
        """Write rows, as :class:`RowFile` defines it."""
        self._rows.write(lines)
        self.rows += len(lines)
        self.size += sum(map(len, lines)) + len(lines)

    def publish(self) -> tuple[Part, Sequence[str]]:
        """Make the part visible.

        :return: the part, and the columns that no row has
        :raises InvalidPage: if the rows cannot be written in the format
        :raises StorageError: if the storage fails
        """
        with self._stack:
            self._rows.finish()
            missing = self._rows.missing
        return Part(self.name, self.rows, self._file.size), missing

    def discard(self) -> None:
        """Remove what was written."""
        error = _Discarded()
        self._stack.__exit__(type(error), error, None)


class _Discarded(Exception):
    """Ends the contexts of a part without publishing it."""
