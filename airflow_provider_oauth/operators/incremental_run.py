"""What one run of an incremental extract reads, and the mark that it stores."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError
from airflow_provider_oauth.operators.run_path import MARK, fill_mark
from airflow_provider_oauth.operators.target import check_mapped_key
from airflow_provider_oauth.runtime.mark_record import MarkName, MarkSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import BaseOperator, Context
    from requests import Response

    from airflow_provider_oauth.extract.incremental import Incremental
    from airflow_provider_oauth.extract.request import ListRequest
    from airflow_provider_oauth.extract.row_marks import RowMarks
    from airflow_provider_oauth.runtime.mark_record import Run
    from airflow_provider_oauth.runtime.mark_store import MarkStore

log = logging.getLogger(__name__)


@dataclass
class PullStart:
    """When the first attempt of a run started, by the clock of the worker or of the API, whichever is earlier.

    The mark is never later. So the file of each attempt has all rows up to the mark, even if two attempts run at the
    same time.

    :param time: the time
    """

    time: datetime
    is_known: bool = field(default=False, init=False)

    def add(self, response: Response) -> None:
        """Take the time of the API from its first response."""
        if self.is_known:
            return
        self.is_known = True
        try:
            date = parsedate_to_datetime(response.headers["Date"])
        except (KeyError, ValueError, TypeError, OverflowError):
            return
        if date.tzinfo is not None:
            self.time = min(self.time, date)

    def state(self) -> str:
        """Return what :meth:`restore` needs, as a JSON value."""
        return self.time.isoformat()

    def restore(self, state: str) -> None:
        """Take the time that the first attempt got from the API.

        :param state: what :meth:`state` returned
        """
        self.time = min(self.time, datetime.fromisoformat(state))


class IncrementalRun:
    """What one run of an incremental extract reads, and the mark that it stores.

    :param incremental: the parameter of the task, rendered
    :param request: the request of the task, without the parameters of the mark
    :param conn_id: the connection ID, for errors and the log
    :param context: the context of the task
    :param now: the start of this attempt, in UTC
    :param account_values: the callback, lookup and vendor values of the connection, by their names
    :raises ConfigurationError: if a parameter is invalid, or the stored mark is for another request
    :raises OAuthError: if the mark cannot be read or stored
    """

    def __init__(
        self,
        incremental: Incremental,
        request: ListRequest,
        conn_id: str,
        context: Context,
        now: datetime,
        account_values: Mapping[str, str],
    ) -> None:
        from airflow_provider_oauth.runtime.mark_store import MarkStore

        incremental.check(conn_id, is_rendered=True)
        self._incremental = incremental
        self._conn_id = conn_id
        ti, dag_run = context["ti"], context["dag_run"]
        self._run_id = ti.run_id
        self._store: MarkStore = MarkStore(MarkName(dag_id=ti.dag_id, task_id=ti.task_id, key=incremental.key))
        self._settings = MarkSettings(
            conn_id=conn_id,
            initial=incremental.initial_text,
            format=incremental.format,
            timezone=incremental.timezone,
            fingerprint=incremental.fingerprint(request, conn_id, account_values),
            since_of=incremental.since,
            end_of=incremental.end,
            position=incremental.values.position,
        )
        self._run: Run = self._store.begin(self._run_id, dag_run.run_after, self._settings, now)
        self._reached: str | None = None
        #: Whether runs that send the same value write to the same path, and which had done so when this attempt began.
        self._shares_path, self._others = False, dict[str, str]()
        #: When the first attempt started.
        self.start = PullStart(self._run.started)
        log.info(
            "Connection %r: this run reads the rows whose %s is %s or later.", conn_id, incremental.field, self.since
        )

    @property
    def since(self) -> str:
        """The value that the run sends."""
        return self._run.since

    def path(self, path: str) -> str:
        """Return the rendered ``path`` of the task, with the value that the run sends instead of ``{mark}``.

        :raises OAuthError: if the mark cannot be read
        """
        self._shares_path = MARK in path and self._run_id not in path
        self._others = self._find_others()
        return fill_mark(path, self.since)

    def requested(self, request: ListRequest) -> ListRequest:
        """Return the request with the parameters of the mark."""
        return self._incremental.requested(request, self.since, self._run.end, self._conn_id)

    def row_marks(self, state: Mapping[str, Any] | None) -> RowMarks:
        """Return the object that reads the marks of rows.

        :param state: its state in the attempt that was interrupted; None to start from zero
        """
        from airflow_provider_oauth.extract.row_marks import RowMarks

        return RowMarks(self._incremental, self.since, self._conn_id, state)

    def confirm(self) -> None:
        """Check that this attempt may store its rows.

        :raises OAuthError: if another attempt of this run, or another run with the same path, has finished in the
            meantime
        """
        self._store.confirm(self._run_id, self._run, self._settings)
        self._check_others()

    def reached(self, marks: RowMarks, incomplete_because: str | None, now: datetime) -> dict[str, Any]:
        """Determine the mark that the run has reached, and return what the task returns about it.

        :param marks: the object that has read the marks of all rows
        :param incomplete_because: why some rows may not have been read; None if all were read
        :param now: the time after all rows were read
        """
        marks.warn()
        if incomplete_because is not None:
            log.warning(
                "Connection %r: the mark stays as it is, because %s, so some rows may not have been read. If this run "
                "was cleared, its complete result may be replaced: correct the task, and clear the run again.",
                self._conn_id, incomplete_because,
            )  # fmt: skip
        else:
            self._reached = marks.next_mark(self.start.time, now)
        reached = {} if self._reached is None else {"to": self._reached}
        return {"from": self.since, **reached, **({"dropped": marks.dropped} if marks.dropped else {})}

    def store(self) -> None:
        """Store the mark that the run has reached. The rows must be stored before.

        :raises OAuthError: if the mark cannot be stored, or another run has written to the same path in the meantime
        """
        record = self._store.finish(self._run_id, self._run, self._reached, self._settings)
        if record is not None:
            log.info("Connection %r: the mark is %s.", self._conn_id, record.mark)
        self._check_others()  # again, because both could check before one of them has stored its rows

    def _find_others(self) -> dict[str, str]:
        """Return the marks of other runs that have written to the same path, by the IDs of the runs."""
        record = self._store.read() if self._shares_path else None
        runs = record.runs if record else {}
        own = fill_mark(MARK, self.since)
        return {
            run_id: run.until
            for run_id, run in runs.items()
            if run_id != self._run_id and run.until is not None and fill_mark(MARK, run.since) == own
        }

    def _check_others(self) -> None:
        """Check that no other run has written to the same path since this attempt has begun.

        The file of this attempt may lack rows that the other run has read, and that are before the new mark.
        """
        changed = sorted(self._find_others().items() - self._others.items())
        if changed:
            raise OAuthError(
                f"Connection {self._conn_id!r}: the run {changed[0][0]!r} has written to the same path while this run "
                f"was reading, because path contains {MARK} and both send the same value. Run the task again. To "
                "prevent this, set max_active_runs=1 in the DAG, or add {{ run_id }} to path."
            )


def begin_run(
    task: BaseOperator,
    incremental: Incremental | None,
    request: ListRequest,
    context: Context,
    now: datetime,
    account_values: Mapping[str, str],
) -> IncrementalRun | None:
    """Begin a run of a task, and return what it reads; None if the task has no ``incremental``.

    :param task: the task
    :param incremental: the parameter of the task, rendered
    :param request: the request of the task
    :param context: the context of the task
    :param now: the current time, in UTC
    :param account_values: the callback, lookup and vendor values of the connection, by their names
    :raises ConfigurationError: if a parameter is invalid, or the stored mark is for another request
    :raises OAuthError: if the mark cannot be read or stored
    """
    if incremental is None:
        return None
    conn_id: str = task.oauth_conn_id  # type: ignore[attr-defined]
    check_mapped_key(task, conn_id, incremental.key, context)
    if "ti" not in context or "dag_run" not in context:
        raise ConfigurationError(
            f"Connection {conn_id!r}: incremental needs the context of a DAG run. Run the operator as a task of a DAG."
        )
    return IncrementalRun(incremental, request, conn_id, context, now, account_values)
