"""Stores the mark of an incremental task, and what its runs read, in an Airflow Variable."""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.runtime import airflow_variables, mark_codec
from airflow_provider_oauth.runtime.mark_record import PREFIX, MarkRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from airflow_provider_oauth.runtime.mark_record import MarkName, MarkSettings, Run

log = logging.getLogger(__name__)

Changed = TypeVar("Changed", bound="MarkRecord | None")

#: Maximum number of times that a change is written again, if other runs of the task overwrite it.
MAX_WRITES = 14


class MarkStore:
    """Stores one mark.

    Variables have no compare-and-set. So each change is written, read back, and written again if it is not there. If
    two runs write at the same moment, one change can still be overwritten after this check. No row is lost then: the
    mark is older than it could be, or the entry of a run is missing until ``confirm`` or ``finish`` stores it again.

    :param name: identifies the mark
    """

    def __init__(self, name: MarkName) -> None:
        self.name = name

    def begin(self, run_id: str, run_after: datetime, settings: MarkSettings, now: datetime) -> Run:
        """Store that a run begins, and return what it reads. A run that was retried or cleared reads the same again.

        :param run_id: ID of the DAG run
        :param run_after: ``run_after`` of the DAG run
        :param settings: what the task defines
        :param now: the current time, in UTC
        :raises ConfigurationError: if the mark was stored for another request, or if the run is older than those in the
            record
        :raises OAuthError: if the mark cannot be read or stored, or if it is not known whether there is one
        """

        def change(record: MarkRecord | None) -> MarkRecord:
            record = record or MarkRecord.first(self.name, settings)
            return record.begin(run_id, run_after, settings, now)[0]

        return self.update(change).runs[run_id]

    def confirm(self, run_id: str, run: Run, settings: MarkSettings) -> None:
        """Check that a run may store its rows: no other attempt of it has begun or finished.

        :param run_id: ID of the DAG run
        :param run: what the run reads, as returned by ``begin``
        :param settings: what the task defines
        :raises OAuthError: if another attempt has begun or finished, or if the mark cannot be read or stored
        """
        self.update(lambda record: record and record.confirm(run_id, run, settings))

    def finish(self, run_id: str, run: Run, mark: str | None, settings: MarkSettings) -> MarkRecord | None:
        """Store the mark that a run has reached. Call it after the rows are stored.

        :param run_id: ID of the DAG run
        :param run: what the run has read, as returned by ``begin``
        :param mark: the mark that the run has reached; None if it has found no rows, or if it is not complete
        :param settings: what the task defines
        :return: what is stored; None if a user has deleted the mark in the meantime, which stays deleted
        :raises OAuthError: if the mark cannot be read or stored
        """
        went_back = False

        def change(record: MarkRecord | None) -> MarkRecord | None:
            nonlocal went_back
            changed = record and record.finish(run_id, run, mark, settings)
            if record and changed and changed.is_before(changed.mark, record.mark, settings):
                went_back = True
            return changed

        record = self.update(change)
        if record is None:
            reason = (
                f"was deleted while the run {run_id} was reading, so the run's mark was not stored. The next run is "
                f"the first run again"
            )
        elif went_back:
            reason = (
                f"goes back to {record.mark}, because rows of the run {run_id} may have been replaced by fewer rows of "
                f"another attempt. The next run reads from the mark"
            )
        elif mark is not None and record.is_before(record.mark, mark, settings):
            reason = (
                f"stays {record.mark}, although the run {run_id} has read up to {mark}, because the mark was set while "
                f"the run was reading. The next run reads from the mark"
            )
        else:
            return record
        log.warning("Connection %r: %s %s.", settings.conn_id, self.name.label, reason)
        return record

    def read(self) -> MarkRecord | None:
        """Return the record; None if there is certainly none.

        :raises OAuthError: if it cannot be read, or if it is not known whether there is one
        """
        text = self._text()
        if text is None:
            return None
        try:
            record = mark_codec.decode(text)
            if record.name.variable != self.name.variable:
                raise ValueError("it is the mark of another task or key")
        except ValueError as error:
            raise OAuthError(
                f"The Airflow Variable {self.name.variable} does not contain {self.name.label}: {error}. Correct it, "
                f"or delete it and set the mark: airflow variables delete {self.name.variable}, then "
                f"{self.name.command('--set VALUE')}"
            ) from None
        return record

    def update(self, change: Callable[[MarkRecord | None], Changed]) -> Changed:
        """Change the stored record, and return it.

        :param change: returns the changed record for the stored one, or the stored one if it has the change already. It
            is called again until the stored record has the change
        :raises OAuthError: if the record cannot be read or stored, and the errors of ``change``
        """
        for _ in range(MAX_WRITES + 1):
            record = self.read()
            changed = change(record)
            if changed is None or changed == record:
                return changed
            self._write(changed)
        raise OAuthError(
            f"Cannot store {self.name.label}: the Airflow Variable {self.name.variable} does not contain what was "
            f"written. Check that Airflow's API server and database are available, and whether an environment variable "
            f"or a secrets backend defines a Variable of the same name."
        )

    def _text(self) -> str | None:
        """Return the content of the Variable; None if there is certainly no Variable."""
        with self._errors_converted("read"):
            text = airflow_variables.get_variable(self.name.variable)
            if text is not None:
                return text
            is_listed = airflow_variables.is_listed(self.name.variable)
            if is_listed is False:
                return None
            text = airflow_variables.get_variable(self.name.variable)  # another run may have created it in the meantime
        if text is not None:
            return text
        if is_listed is None:
            raise OAuthError(
                f"Airflow did not return {self.name.label}. In Airflow 3.2, and with [core] multi_team, a task cannot "
                f"find out whether a Variable is absent or could not be read. Check that Airflow's API server and "
                f"database are available. If this is the first run of the task, set the mark to the value of initial: "
                f"{self.name.command('--set VALUE')}"
            )
        raise self._error("read", "it is listed, but was not returned")

    def _write(self, record: MarkRecord) -> None:
        description = f"Contains {self.name.label}. To change it, use airflow oauth mark."
        with self._errors_converted("store"):
            airflow_variables.set_variable(self.name.variable, mark_codec.encode(record), description)

    @contextmanager
    def _errors_converted(self, action: str) -> Iterator[None]:
        """Raise an ``OAuthError`` instead of any error of Airflow."""
        try:
            yield
        except Exception as error:
            raise self._error(action, type(error).__name__) from error

    def _error(self, action: str, reason: str) -> OAuthError:
        return OAuthError(
            f"Cannot {action} {self.name.label} in the Airflow Variable {self.name.variable} ({reason}). Check that "
            f"Airflow's API server and database are available."
        )


def list_marks(dag_id: str, task_id: str) -> list[MarkRecord]:
    """Return the marks of a task with all keys, for commands.

    :param dag_id: ID of the DAG
    :param task_id: ID of the task
    :raises OAuthError: if Airflow's database cannot be read
    """
    try:
        texts = [airflow_variables.get_variable(name) for name in airflow_variables.list_variables(PREFIX)]
    except Exception as error:
        raise OAuthError(
            f"Cannot read the Airflow Variables {PREFIX}… ({type(error).__name__}). Check that Airflow's database is "
            f"available."
        ) from error
    marks = []
    for text in filter(None, texts):
        with suppress(ValueError):  # not a mark: the task that uses it reports this
            marks.append(mark_codec.decode(text))
    return [mark for mark in marks if (mark.name.dag_id, mark.name.task_id) == (dag_id, task_id)]
