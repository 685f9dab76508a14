"""Where an extract writes its rows: one file, or a folder of parts."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.operators.parts import is_folder
from airflow_provider_oauth.operators.target import extract_file, storage_failures, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow.sdk import Context

    from airflow_provider_oauth.extract.parts import PartFolder, Resumed
    from airflow_provider_oauth.extract.position import Position
    from airflow_provider_oauth.extract.storage import NewFile
    from airflow_provider_oauth.extract.writers.file_format import FileFormat
    from airflow_provider_oauth.extract.writers.row_file import RowFile
    from airflow_provider_oauth.operators.extract import ExtractOperator

    NextPosition = Callable[[], Position]
    State = Callable[[], dict[str, Any]]


class Output(Protocol):
    """Where an extract writes its rows."""

    @property
    def rows(self) -> RowFile:
        """Receives the rows."""

    @property
    def resumed(self) -> Resumed | None:
        """Where to continue after an attempt that was interrupted; None to start with the first list."""

    @property
    def summary(self) -> dict[str, Any]:
        """The members of the task's result about the storage. It is complete after the rows were stored."""

    def end_page(self, index: int, position: NextPosition | None, state: State) -> None:
        """Store the rows so far, if there are enough of them, so that another attempt can continue after them.

        :param index: the number of lists that were read
        :param position: returns where the next list continues; None for its first page
        :param state: returns what is needed to continue, as JSON values
        """

    def restart(self) -> None:
        """Discard all rows, to start with the first list again."""

    def publish(self, result: Mapping[str, Any]) -> None:
        """Make the result visible.

        :param result: what the task returns
        """


class FileOutput:
    """One file. It becomes visible when the context of ``open_output`` ends.

    :param file: the file
    :param rows: the file in its format
    :param is_stored: whether the task has a ``path``
    """

    resumed = None

    def __init__(self, file: NewFile, rows: RowFile, *, is_stored: bool) -> None:
        self._file = file
        self._is_stored = is_stored
        self.rows = rows

    @property
    def summary(self) -> dict[str, Any]:
        """The size of the file; None if there is no file."""
        return {"bytes": self._file.size if self._is_stored else None}

    def end_page(self, index: int, position: NextPosition | None, state: State) -> None:
        """Do nothing: an attempt that was interrupted leaves no file."""

    def restart(self) -> None:
        """Do nothing: only a folder of parts can be continued."""

    def publish(self, result: Mapping[str, Any]) -> None:
        """Do nothing: the end of the context publishes the file."""


class FolderOutput:
    """A folder of parts.

    :param folder: the folder
    """

    def __init__(self, folder: PartFolder) -> None:
        self.rows = folder
        self.resumed: Resumed | None = folder.begin()
        self._taken_over = self.resumed

    @property
    def summary(self) -> dict[str, Any]:
        """The size and number of the parts, and how many of the rows earlier attempts have read."""
        taken_over = {"resumed": self._taken_over.rows} if self._taken_over else {}
        return {"bytes": self.rows.size, "parts": self.rows.parts, **taken_over}

    def end_page(self, index: int, position: NextPosition | None, state: State) -> None:
        """Close a part that is full, and store where the next attempt can continue."""
        if self.rows.is_part_full:
            self.rows.end_page(index, position().as_json() if position else None, state())

    def restart(self) -> None:
        """Discard all rows, to start with the first list again."""
        self.resumed = self._taken_over = None
        self.rows.restart()

    def publish(self, result: Mapping[str, Any]) -> None:
        """Write the manifest."""
        self.rows.publish(result)


@contextmanager
def open_output(
    task: ExtractOperator, path: str | None, rows_format: FileFormat, context: Context, fingerprint: str
) -> Iterator[Output]:
    """Yield the output of a task. A file becomes visible at the end, if no exception is raised.

    :param task: the task
    :param path: the rendered path, which was checked; None to store nothing
    :param rows_format: the format of the file or the parts
    :param context: the context of the task
    :param fingerprint: differs for other options of the task; progress with another one is not used
    :raises ConfigurationError: if Airflow does not support the storage, or its connection does not exist
    :raises ApiError: if the rows cannot be written in the format of the file
    :raises OAuthError: if the storage fails
    """
    if path is None or not is_folder(path):
        with (
            extract_file(task.oauth_conn_id, path, private=task.private) as file,
            rows_format.open(file) as rows,
        ):
            yield FileOutput(file, rows, is_stored=path is not None)
        return
    with storage_failures(task.oauth_conn_id, path):
        folder = _part_folder(task, path, rows_format, context, fingerprint)
        try:
            yield FolderOutput(folder)
        except BaseException:
            folder.abandon()
            raise
        finally:
            folder.close()


def _part_folder(
    task: ExtractOperator, path: str, rows_format: FileFormat, context: Context, fingerprint: str
) -> PartFolder:
    from airflow_provider_oauth.extract.parts import PartFolder
    from airflow_provider_oauth.extract.progress import RunName

    ti: Any = context.get("ti")
    if ti is None:
        raise ConfigurationError(
            f"Connection {task.oauth_conn_id!r}: path {path!r} is a folder of parts, which needs the context of a DAG "
            "run. Run the operator as a task of a DAG."
        )
    return PartFolder(
        target_of(task.oauth_conn_id, path),
        conn_id=task.oauth_conn_id,
        run=RunName(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=ti.map_index),
        attempt=f"{ti.try_number}-{secrets.token_hex(3)}",
        fingerprint=fingerprint,
        suffix=task.part_suffix,
        open_part=rows_format.open,
        part_rows=task.part_rows,
        part_bytes=task.part_bytes,
        resume_within=task.resume_within,
        clock=task.clock,
        private=task.private,
    )
