"""One attempt of a task that fetches lists: reads them, stores the rows, and returns the result."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.extract.position import Position
from airflow_provider_oauth.extract.progress_log import ProgressLog
from airflow_provider_oauth.extract.resuming import ResumeRefused
from airflow_provider_oauth.operators.output import open_output
from airflow_provider_oauth.operators.parts import rows_format
from airflow_provider_oauth.operators.row_writer import RowWriter
from airflow_provider_oauth.operators.target import add_to_asset_events, check_mapped_path, check_path
from airflow_provider_oauth.operators.xcom import XComRows
from airflow_provider_oauth.protocol.metrics import EXTRACT_ROWS
from airflow_provider_oauth.runtime.lineage import report_lineage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.request import ListRequest
    from airflow_provider_oauth.extract.row_marks import RowMarks
    from airflow_provider_oauth.hooks.oauth import OAuthHook
    from airflow_provider_oauth.operators.extract import ExtractOperator
    from airflow_provider_oauth.operators.incremental_run import IncrementalRun
    from airflow_provider_oauth.operators.output import Output

log = logging.getLogger(__name__)

#: The address of an object in its ``repr``, which differs between processes.
ADDRESS = re.compile(r" at 0x[0-9a-f]+", re.IGNORECASE)


class ExtractRun:
    """One attempt of a task that fetches lists.

    :param task: the task; its templates are rendered
    :param context: the context of the task
    """

    def __init__(self, task: ExtractOperator, context: Context) -> None:
        self._task = task
        self._context = context
        self._conn_id = task.oauth_conn_id
        self._started = task.clock.now()
        self._incremental: IncrementalRun | None = None
        self._xcom: XComRows | None = None
        self._marks: RowMarks | None = None
        self._writer: RowWriter | None = None
        #: The numbers of rows and pages that earlier attempts have read and stored.
        self._rows_before = self._pages_before = 0
        self._urls: list[str] = []

    def execute(self) -> Any:
        """Fetch the lists, store the rows, and return what the task returns."""
        task = self._task
        check_mapped_path(task, self._conn_id, self._context)
        hook = task.make_hook()
        self._incremental = task.begin_run(self._context, self._started, hook)
        path = self._incremental.path(task.path) if self._incremental and task.path else task.path
        check_path(self._conn_id, path)
        file_format = rows_format(task, path)
        outcome = "failed"
        try:
            with open_output(task, path, file_format, self._context, self._fingerprint()) as output:
                writer = self._read(hook, output)
                result = self._publish(writer, output, path)
            if self._incremental:
                # Only now: the mark must never be ahead of the files, or rows would be lost if this process is killed.
                self._incremental.store()
            outcome = "success"
        finally:
            if self._writer is not None and self._writer.rows > self._rows_before:
                hook.counts.report(EXTRACT_ROWS, outcome, self._writer.rows - self._rows_before)
        report_lineage(hook, self._urls, path)
        result |= {**output.summary, "ended": task.clock.now().isoformat(), **writer.summary(), **hook.counts.summary()}
        add_to_asset_events(task.outlets, self._context, rows=writer.rows, bytes=result["bytes"])
        log.info("Fetched %d rows in %d pages%s.", writer.rows, writer.pages, f" into {path}" if path else "")
        return self._xcom.rows if self._xcom else result

    def _publish(self, writer: RowWriter, output: Output, path: str | None) -> dict[str, Any]:
        """Finish the rows, and return the first members of the result."""
        if not writer.rows:
            self._handle_empty_list()
        writer.finish()
        result: dict[str, Any] = {"path": path, "bytes": None, "started": self._started.isoformat(), "ended": ""}
        if self._incremental and self._marks:
            result |= self._incremental.reached(self._marks, writer.incomplete_because, self._task.clock.now())
            self._incremental.confirm()
        output.publish({**result, "ended": self._task.clock.now().isoformat(), "pages": writer.pages})
        return result

    def _read(self, hook: OAuthHook, output: Output) -> RowWriter:
        """Read all lists, or the rest of them after an attempt that was interrupted."""
        try:
            return self._read_lists(hook, output)
        except (ResumeRefused, ApiError) as error:
            if isinstance(error, ApiError) and not self._is_about_resuming(error, output):
                raise
            log.warning(
                "Connection %r: the task cannot continue the list, so it starts from zero. Reason: %s",
                self._conn_id, error,
            )  # fmt: skip
        output.restart()
        return self._read_lists(hook, output)

    def _is_about_resuming(self, error: ApiError, output: Output) -> bool:
        """Return whether the list may have caused an error by changing between two attempts.

        If rows were added or deleted in this time, the first page after resuming may not fit the page before. Without
        a start from zero, all later attempts would fail with the same error.
        """
        if output.resumed is None or self._writer is None or error.status_code is None:
            return False
        return error.status_code < 400 and self._writer.pages <= self._pages_before + 1

    def _read_lists(self, hook: OAuthHook, output: Output) -> RowWriter:
        resumed, stored, position = output.resumed, [], None
        hook.counts.ignored = 0
        if resumed is None:
            writer = self._start(output, None)
        else:
            with _other_versions_refused():
                writer = self._start(output, resumed.state)
                stored = list(resumed.state["requests"])
                hook.counts.ignored = resumed.state["ignored"]
                position = Position.from_json(resumed.position) if resumed.position else None
            if len(stored) != resumed.list + bool(position) or writer.rows != resumed.rows:
                raise ResumeRefused("The progress is inconsistent.")
        self._writer, self._rows_before, self._pages_before = writer, writer.rows, writer.pages
        fingerprints: list[str] = []
        self._urls.clear()
        for index, request in enumerate(self._requests(hook)):
            url = hook.list_url(request)
            fingerprints.append(_fingerprint(hook, request, url))
            if fingerprints[: len(stored)] != stored[: index + 1]:
                raise ResumeRefused("The task requests another list than the attempt before.")
            self._urls.append(url)
            if writer.is_full:
                break
            if resumed is None or index >= resumed.list:
                self._read_list(hook, output, writer, request, fingerprints, position)
                position = None
        if len(fingerprints) < len(stored) and not writer.is_full:
            raise ResumeRefused("The task requests fewer lists than the attempt before.")
        return writer

    def _read_list(
        self,
        hook: OAuthHook,
        output: Output,
        writer: RowWriter,
        request: ListRequest,
        fingerprints: list[str],
        position: Position | None,
    ) -> None:
        """Read a list.

        :param fingerprints: the fingerprints of all requests for lists up to this one
        :param position: where to continue; None for the first page
        """
        task = self._task
        reader = hook.read_pages(
            request,
            concurrency=task.concurrency,
            limit=None if task.limit is None else task.limit - writer.rows,
            position=position,
        )

        def state() -> dict[str, Any]:
            return {
                "requests": list(fingerprints),
                "writer": writer.state(),
                "ignored": hook.counts.ignored,
                **({"marks": self._marks.state()} if self._marks else {}),
                **({"start": self._incremental.start.state()} if self._incremental else {}),
            }

        index = len(fingerprints) - 1
        reader.after_page = lambda position: output.end_page(index, position, state)
        writer.write(reader, self._check)
        output.end_page(index + 1, None, state)

    def _start(self, output: Output, state: Mapping[str, Any] | None) -> RowWriter:
        """Return what writes the rows.

        :param state: what :meth:`_read_list` has stored in an attempt that was interrupted; None to start from zero
        """
        task = self._task
        if self._incremental:
            self._marks = self._incremental.row_marks(state["marks"] if state else None)
        if task.xcom_fields:
            self._xcom = XComRows(self._conn_id, task.xcom_fields, task.xcom_limit)
        writer = RowWriter(
            output.rows,
            self._xcom,
            exclude=[task.exclude] if isinstance(task.exclude, str) else task.exclude,
            limit=task.limit,
            transform_row=task.transform_row if task.is_transformed else None,
            redact_row=task.redact_row,
            progress=ProgressLog(self._conn_id, task.clock),
            marks=self._marks,
        )
        if state:
            writer.restore(state["writer"])
            if self._incremental:
                self._incremental.start.restore(state["start"])
        return writer

    def _requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        for request in self._task.list_requests(hook):
            yield self._incremental.requested(request) if self._incremental else request

    def _check(self, page: Page) -> None:
        if self._incremental:
            self._incremental.start.add(page.response)
        self._task.check(page)

    def _fingerprint(self) -> str:
        """Return a hash of the options that determine which rows are written, and how."""
        task = self._task
        options = (task.exclude, task.limit, task.columns, task.extra_columns, task.csv_escape)
        return _hash([type(task).__qualname__, self._conn_id, task.scope, *options])

    def _handle_empty_list(self) -> None:
        """Raise an exception if a list without rows must not be written.

        :raises AirflowSkipException: if ``on_empty`` is ``"skip"``
        :raises ApiError: if ``on_empty`` is ``"fail"``
        """
        if self._task.on_empty == "skip":
            raise AirflowSkipException("The list has no rows, and on_empty is 'skip'. No file was written.")
        if self._task.on_empty == "fail":
            raise ApiError(
                f"Connection {self._conn_id!r}: the list has no rows, and on_empty is 'fail'. Check the parameters of "
                "the task, or set on_empty to 'write' or 'skip'."
            )


@contextmanager
def _other_versions_refused() -> Iterator[None]:
    """Refuse to continue from a state in a form that this version of the package does not know."""
    try:
        yield
    except (KeyError, TypeError, ValueError):
        raise ResumeRefused("The progress was stored by another version of this package.") from None


def _fingerprint(hook: OAuthHook, request: ListRequest, url: str) -> str:
    """Return a hash of everything that determines which rows are read. Another attempt recognizes the list by it."""
    config = hook.config
    connection = [config.identity, config.api_params, config.api_headers]
    if values := hook.account_values():  # left out if there are none, so that the hash stays the same
        connection.append(values)
    return _hash([url, *connection, *(getattr(request, each.name) for each in fields(request))])


def _hash(values: Any) -> str:
    text = repr(_plain(values))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def _plain(value: Any) -> Any:
    """Return a value whose ``repr`` is the same in each process.

    The order of the members of an object is kept: it is that of the columns of a file, and matters to some APIs.
    """
    if value is None or isinstance(value, (str, bytes, int, float)):
        return value  # also text that looks like an address
    if isinstance(value, Mapping):
        return [(_plain(key), _plain(each)) for key, each in value.items()]
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, value))
    text = repr(value)
    if ADDRESS.search(text):
        text += f" {getattr(value, '__dict__', '')}"
    return ADDRESS.sub("", text)
