"""Defines what is stored about the mark of an incremental task, and when the mark moves. Pure: no Airflow, no clock.

This module is here and not in ``extract``, because ``mark_store`` uses it, and ``runtime`` must not import ``extract``.
"""

from __future__ import annotations

import hashlib
import logging
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

log = logging.getLogger(__name__)

#: The beginning of the names of Variables with marks.
PREFIX = "oauth_mark__"
#: Maximum number of runs in a record. Runs whose start a user has set are counted separately.
MAX_RUNS = 100


@dataclass(frozen=True, kw_only=True)
class MarkName:
    """Identifies a mark by its task and, if the task has several marks, by a key.

    :param dag_id: ID of the DAG
    :param task_id: ID of the task, with the IDs of its task groups
    :param key: ``key`` of ``Incremental``; None if the task has one mark
    """

    dag_id: str
    task_id: str
    key: str | None = None

    @property
    def variable(self) -> str:
        """The name of the Variable that contains the mark."""
        text = "\0".join((self.dag_id, self.task_id, self.key or ""))
        return f"{PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:32]}"

    @property
    def label(self) -> str:
        """A description for messages."""
        key = "" if self.key is None else f" with the key {self.key!r}"
        return f"the mark of the task {self.task_id!r} in the DAG {self.dag_id!r}{key}"

    def command(self, options: str) -> str:
        """Return the command line of ``airflow oauth mark``, for messages.

        :param options: the options after those that name the mark
        """
        words = ["airflow", "oauth", "mark", self.dag_id, self.task_id]
        if self.key is not None:
            words += [f"--key={self.key}"] if self.key.startswith("-") else ["--key", self.key]
        return f"{shlex.join(words)} {options}"


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a DAG run of the task reads. It is the same for all attempts of the run.

    :param since: the value that it sends
    :param started: when its first attempt started, in UTC. The mark that it reaches is never later
    :param run_after: ``run_after`` of the DAG run
    :param end: the value that is sent in ``end_param``; None without it
    :param until: the mark that it reached; None if it has not finished, or has found no rows
    :param set_by_user: whether a user has set ``since``
    """

    since: str
    started: datetime
    run_after: datetime
    end: str | None = None
    until: str | None = None
    set_by_user: bool = False


@dataclass(frozen=True, kw_only=True)
class MarkSettings:
    """The settings of the task that concern its mark.

    :param conn_id: ID of the connection, for error messages
    :param initial: the value that the first run sends
    :param format: ``format`` of ``Incremental``
    :param timezone: ``timezone`` of ``Incremental``
    :param fingerprint: hashes of the parts of the request, by their names
    :param since_of: returns the value that a new run sends, for a mark
    :param end_of: returns the value for ``end_param``, for the start of the run; None without it
    :param position: returns a comparable object for a value of the field, or raises ValueError
    """

    conn_id: str
    initial: str
    format: str
    timezone: str | None
    fingerprint: Mapping[str, str]
    since_of: Callable[[str], str]
    end_of: Callable[[datetime], str | None]
    position: Callable[[str], Any]


@dataclass(frozen=True, kw_only=True)
class MarkRecord:
    """The mark of a task, and the runs that have used it.

    All rows up to the mark have been read by a run, or a user has set the mark.

    :param name: identifies the mark
    :param mark: the mark, as the API wrote it
    :param is_initial: whether the mark is still ``initial``: no run has found a row, and no user has set the mark
    :param fingerprint: hashes of the parts of the request; None if the next run may send another request
    :param format: ``format`` of ``Incremental``; None if unknown, because a user has created the record
    :param timezone: ``timezone`` of ``Incremental``
    :param runs: the last runs, by their IDs
    """

    name: MarkName
    mark: str
    is_initial: bool = False
    fingerprint: Mapping[str, str] | None = None
    format: str | None = None
    timezone: str | None = None
    runs: Mapping[str, Run] = field(default_factory=dict)

    @classmethod
    def first(cls, name: MarkName, settings: MarkSettings) -> MarkRecord:
        """Return the record of a task that has no mark yet."""
        return cls(
            name=name,
            mark=settings.initial,
            is_initial=True,
            fingerprint=settings.fingerprint,
            format=settings.format,
            timezone=settings.timezone,
        )

    def begin(self, run_id: str, run_after: datetime, settings: MarkSettings, now: datetime) -> tuple[MarkRecord, Run]:
        """Return what a run reads, and the record with this run. It must be stored before the run reads.

        A run that is already in the record, because it was retried or cleared, reads the same again.

        :param run_id: ID of the DAG run
        :param run_after: ``run_after`` of the DAG run
        :param settings: what the task defines
        :param now: the current time, in UTC
        :raises ConfigurationError: if the mark was stored for another request, or the run is older than those in the
            record
        """
        record = _for_request(self, settings)
        run = record.runs.get(run_id)
        if run is None:
            record._check_age(run_id, run_after, settings)
            run = Run(since=record._since(settings), started=now, run_after=run_after)
        elif record.is_initial and self.is_before(record._since(settings), run.since, settings):
            run = replace(run, since=record._since(settings))  # a user has corrected ``initial``
        if run.end is None:
            run = replace(run, end=settings.end_of(run.started))
        return record._with_run(run_id, run), run

    def finish(self, run_id: str, run: Run, mark: str | None, settings: MarkSettings) -> MarkRecord:
        """Return the record after a run has stored its rows.

        The mark moves forward only if the run has read all rows after the present mark. A run that was retried or
        cleared does not move it back. It moves back only if two attempts of a run have written their rows at the same
        time, so that it is unknown whose rows are stored: to the mark of the attempt that has read less.

        :param run_id: ID of the DAG run
        :param run: what the run has read, as returned by ``begin``
        :param mark: the mark that the run has reached; None if it has found no rows, or has not read all rows
        :param settings: what the task defines
        """
        if self.fingerprint not in (None, settings.fingerprint):
            return self
        listed = self.runs.get(run_id, run)
        if listed.until not in (None, run.until, mark):  # the file can be that of either attempt
            reached = run.since if mark is None else mark
            kept = listed.until if self.is_before(listed.until, reached, settings) else reached
            return self._with_run(run_id, replace(listed, until=kept))._back_to(kept, settings)
        record = self._with_run(run_id, replace(run, until=mark) if listed.since == run.since else listed)
        if mark is None:
            return record
        is_next = not self.is_before(self.mark, run.since, settings)  # otherwise a user has set the mark back
        moves = is_next and self.is_before(self.mark, mark, settings)
        return replace(record, mark=mark if moves else self.mark, is_initial=False)

    def confirm(self, run_id: str, run: Run, settings: MarkSettings) -> MarkRecord:
        """Return the record with a run that is reading, in case another run has overwritten it.

        Variables have no compare-and-set, so two runs that begin at the same moment can overwrite each other's entries.

        :param run_id: ID of the DAG run
        :param run: what the run reads, as returned by ``begin``
        :param settings: what the task defines
        :raises OAuthError: if another attempt of the run has begun or finished, or if the mark was set for another
            request
        """
        listed = self.runs.get(run_id)
        if self.fingerprint in (None, settings.fingerprint) and listed in (None, run):
            return self._with_run(run_id, run)
        raise OAuthError(
            f"Connection {settings.conn_id!r}: {self.name.label} was changed while the run {run_id!r} was reading: by "
            f"another attempt of this run, by a task with the same key, or by a user. Nothing was stored. Run the task "
            f"again."
        )

    def set(self, mark: str) -> MarkRecord:
        """Return the record with a mark that a user sets. The next run may send another request."""
        return replace(self, mark=mark, is_initial=False, fingerprint=None)

    def set_run(self, run_id: str, since: str, run_after: datetime, now: datetime) -> MarkRecord:
        """Return the record after a user has set the value that a run sends.

        :param run_id: ID of the DAG run
        :param since: the value
        :param run_after: ``run_after`` of the DAG run
        :param now: the current time, in UTC
        """
        listed = self.runs.get(run_id)
        run = Run(since=since, started=now, run_after=run_after) if listed is None else listed
        record = replace(self, is_initial=False)  # so that a changed request does not remove the entry
        return record._with_run(run_id, replace(run, since=since, until=None, set_by_user=True))

    def is_before(self, value: str, other: str, settings: MarkSettings) -> bool:
        """Return whether a value is before another one.

        :raises ConfigurationError: if one is not a value of the task's format
        """
        return bool(self._position(value, settings) < self._position(other, settings))

    def _back_to(self, mark: str, settings: MarkSettings) -> MarkRecord:
        """Return the record with the mark set back, if it is later."""
        return replace(self, mark=mark, is_initial=False) if self.is_before(mark, self.mark, settings) else self

    def _check_age(self, run_id: str, run_after: datetime, settings: MarkSettings) -> None:
        """Refuse a new run that is older than all runs of a full record: its entry may have been removed."""
        known = [run.run_after for run in self.runs.values() if not run.set_by_user]
        if len(known) >= MAX_RUNS and run_after < min(known):
            raise ConfigurationError(
                f"Connection {settings.conn_id!r}: {self.name.label} lists the last {MAX_RUNS} runs, and the run "
                f"{run_id!r} is older, so the value that it sent is not known. Set this value: "
                f"{self.name.command(f'--run {shlex.quote(run_id)} --from VALUE')}"
            )

    def _with_run(self, run_id: str, run: Run) -> MarkRecord:
        """Return the record with a run. If there are too many runs, the oldest one is removed."""
        runs = {**self.runs, run_id: run}
        same = {each: other for each, other in runs.items() if other.set_by_user == run.set_by_user and each != run_id}
        while len(same) >= MAX_RUNS:
            oldest = min(same, key=lambda each: same[each].started if run.set_by_user else same[each].run_after)
            del runs[oldest], same[oldest]
        return replace(self, runs=runs)

    def _since(self, settings: MarkSettings) -> str:
        """Return the value that a new run sends."""
        try:
            return settings.since_of(self.mark)
        except ValueError as error:
            raise self._incomparable(error, settings) from None

    def _position(self, value: str, settings: MarkSettings) -> Any:
        try:
            return settings.position(value)
        except ValueError as error:
            raise self._incomparable(error, settings) from None

    def _incomparable(self, error: ValueError, settings: MarkSettings) -> ConfigurationError:
        return ConfigurationError(
            f"Connection {settings.conn_id!r}: {self.name.label} is not a value of the format {settings.format!r}: "
            f"{error}. Set it again: {self.name.command('--set VALUE')}"
        )


def _for_request(record: MarkRecord, settings: MarkSettings) -> MarkRecord:
    """Return the record if it is for the request of the task."""
    own = {**(record.fingerprint or settings.fingerprint), "format": record.format, "timezone": record.timezone}
    new = {**settings.fingerprint, "format": settings.format, "timezone": settings.timezone}
    if record.format is None:  # created by a user
        own |= {"format": settings.format, "timezone": settings.timezone}
    changed = sorted(name for name in own.keys() | new.keys() if own.get(name) != new.get(name))
    if record.is_initial:
        if changed:
            log.info(
                "Connection %r: the request has changed, and no run has found rows yet, so %s is %s again.",
                settings.conn_id, record.name.label, settings.initial,
            )  # fmt: skip
            return MarkRecord.first(record.name, settings)
        is_corrected = record.is_before(settings.initial, record.mark, settings)
        return replace(record, mark=settings.initial if is_corrected else record.mark)
    if {"format", "timezone"} & set(changed):
        raise ConfigurationError(
            f"Connection {settings.conn_id!r}: {record.name.label} is {record.mark!r}, and was stored with another "
            f"{' and '.join(changed)}. Change it back, or delete the mark and set a new one: airflow variables "
            f"delete {record.name.variable}, then {record.name.command('--set VALUE')}"
        )
    if changed:
        raise ConfigurationError(
            f"Connection {settings.conn_id!r}: {record.name.label} is {record.mark!r}, and was stored for another "
            f"request. These parts have changed: {', '.join(changed)}. Change them back, or set the mark for "
            f"the new request: {record.name.command('--set VALUE')}. These parts must be "
            f"the same in all runs, so do not use templates such as {{{{ ds }}}} in them."
        )
    return replace(record, fingerprint=settings.fingerprint, format=settings.format, timezone=settings.timezone)
