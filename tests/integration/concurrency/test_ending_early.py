"""Timeouts, signals, errors and callers that stop early: the threads end, and no temporary file or response stays."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import requests
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import TimeoutPosix

from airflow_provider_oauth.api.rate_limit import Budget
from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.protocol.clock import Clock
from tests.integration.concurrency.pulls import CONN_ID, OLD, STYLES, Pull
from tests.integration.list_server import instead
from tests.integration.paged_server import SIZE, TOO_LONG, join_others, numbered_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_oauth.extract.page import Page
    from tests.integration.list_server import Fault
    from tests.integration.paged_server import PagedServer

PAGES = 30
ROWS = numbered_rows(PAGES * SIZE - 2)
#: The pages that are requested at the same time after page 1 with ``concurrency=8``.
GROUP = range(2, 10)
STYLES_OF_GROUPS = ["number", "last", "lines by number"]


@pytest.fixture(autouse=True)
def _list(server: PagedServer) -> None:
    server.set_rows(ROWS)
    server.members = lambda position: {"pages": len(server.pages), "total": len(server.rows)}


@pytest.fixture
def join_threads(server: PagedServer) -> Callable[[], None]:
    """Return a function that waits for the threads that were started in the test."""
    before = set(threading.enumerate())
    return lambda: join_others(before)


def time_out() -> None:
    """Let the task's timeout expire now, with the signal that Airflow's timer sends."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)


# --- timeouts and signals


@pytest.mark.parametrize("style", [*STYLES_OF_GROUPS, "offset-total", "header-json"])
def test_the_timeout_of_the_task_ends_the_wait_for_a_server_that_hangs(pull: Pull, style: str) -> None:
    pull.path.write_bytes(OLD)
    is_over = threading.Lock()

    def hang(position: int) -> None:
        if position <= 1:
            return
        pull.server.wait_until(lambda: pull.server.in_flight == 8)
        if is_over.acquire(blocking=False):
            time_out()
        pull.server.hang()

    pull.server.before_reply = hang
    with TimeoutPosix(600), pytest.raises(AirflowTaskTimeout):
        pull.run(style, 8)
    assert pull.server.in_flight == 8
    assert pull.path.read_bytes() == OLD


@pytest.mark.parametrize("style", ["cursor", "header-link", "lines"])
def test_the_timeout_of_the_task_ends_the_wait_for_the_next_page(pull: Pull, style: str) -> None:
    pull.path.write_bytes(OLD)

    def hang(position: int) -> None:
        if position == 3:
            time_out()
            pull.server.hang()

    pull.server.before_reply = hang
    with TimeoutPosix(600), pytest.raises(AirflowTaskTimeout):
        pull.run(style, 8)
    assert pull.path.read_bytes() == OLD


@pytest.fixture
def sleep_in_full(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let sleeps take as long as they should, and return an event that is set when the first one starts."""
    has_started = threading.Event()

    def sleep(clock: Clock, seconds: float, stop: threading.Event | None = None) -> None:
        has_started.set()
        assert stop is not None
        stop.wait(seconds)

    monkeypatch.setattr(Clock, "sleep", sleep)
    return has_started


@pytest.mark.parametrize("fault", [instead(429, Retry_After="250"), instead(503, Retry_After="110")])
@pytest.mark.parametrize("style", STYLES_OF_GROUPS)
def test_the_timeout_of_the_task_ends_the_waits_for_a_limit(
    pull: Pull, style: str, fault: Fault, sleep_in_full: threading.Event, join_threads: Callable[[], None]
) -> None:
    pull.path.write_bytes(OLD)
    pull.server.before_reply = lambda position: pull.server.wait_for_requests(*GROUP) if position in GROUP else None
    pull.server.faults = {number: iter([fault] * 9) for number in GROUP}
    waiting = threading.Thread(target=lambda: sleep_in_full.wait(TOO_LONG) and time_out())
    waiting.start()
    with TimeoutPosix(600), pytest.raises(AirflowTaskTimeout):
        pull.run(style, 8)
    join_threads()
    assert pull.path.read_bytes() == OLD


class Terminated(BaseException):
    """Raised by the signal handler of a worker."""


def test_a_signal_ends_a_worker_although_its_threads_wait_for_a_server_that_hangs(pull: Pull) -> None:
    """The end of a process waits for threads that are not daemons."""
    pull.path.write_bytes(OLD)
    worker, has_pid = 0, threading.Event()

    def hang(position: int) -> None:
        if position in GROUP:
            pull.server.wait_for_requests(*GROUP)
            has_pid.wait(TOO_LONG)
            if position == GROUP[0]:
                os.kill(worker, signal.SIGTERM)
            pull.server.hang()

    def terminate(*_: object) -> None:
        raise Terminated

    pull.server.before_reply = hang
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns if a process with threads is forked
        worker = os.fork()
    if not worker:
        status = 1
        try:
            signal.signal(signal.SIGTERM, terminate)
            pull.run("number", 8)
        except Terminated:
            others = set(threading.enumerate()) - {threading.main_thread()}
            status = 0 if others and all(thread.daemon for thread in others) else 2
        finally:
            os._exit(status)
    has_pid.set()
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0
    assert pull.path.read_bytes() == OLD


# --- callers that stop early


def paginate(style: str, hook: OAuthHook | None = None) -> Iterator[Page]:
    return (hook or OAuthHook(CONN_ID)).paginate(**{"endpoint": style, **STYLES[style]}, concurrency=8)


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "deleted"])
@pytest.mark.parametrize("style", STYLES)
def test_a_caller_that_stops_early_leaves_no_threads(
    server: PagedServer, style: str, is_closed: bool, join_threads: Callable[[], None]
) -> None:
    pages = paginate(style)
    next(pages)
    if is_closed:
        pages.close()  # type: ignore[attr-defined]
    del pages
    join_threads()
    assert len(server.requests) <= 8


def test_a_caller_that_stops_early_ends_the_waits_for_a_limit(
    server: PagedServer, sleep_in_full: threading.Event, join_threads: Callable[[], None]
) -> None:
    server.faults = {number: iter([instead(429, Retry_After="250")] * 9) for number in GROUP}
    pages = paginate("last")
    next(pages)
    assert sleep_in_full.wait(TOO_LONG)
    pages.close()  # type: ignore[attr-defined]
    join_threads()


def test_a_caller_that_stops_early_ends_the_waits_for_the_budget(
    server: PagedServer, sleep_in_full: threading.Event, join_threads: Callable[[], None]
) -> None:
    hook = OAuthHook(CONN_ID)
    hook.budget = Budget(credits=3, seconds=500)
    pages = paginate("last", hook)
    next(pages)
    assert sleep_in_full.wait(TOO_LONG)
    pages.close()  # type: ignore[attr-defined]
    join_threads()
    assert len(server.requests) == 3


class Checked(OAuthExtractOperator):
    """An operator that finds an error on the first page."""

    def check(self, page: Page) -> None:
        raise ApiError("the page reports an error")


def test_an_error_of_the_operator_ends_the_waits_for_a_limit(
    pull: Pull, sleep_in_full: threading.Event, join_threads: Callable[[], None]
) -> None:
    pull.server.faults = {number: iter([instead(429, Retry_After="250")] * 9) for number in GROUP}
    values = {"endpoint": "last", "path": str(pull.path), **STYLES["last"]}
    operator = Checked(task_id="read", oauth_conn_id=CONN_ID, concurrency=8, **values)
    with pytest.raises(ApiError, match="reports an error") as caught:
        operator.execute({})
    join_threads()
    assert caught.traceback


# --- what stays in memory and on disk


@pytest.fixture
def temporary_files(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """All temporary files of responses."""
    files: list[Any] = []
    temporary_file = tempfile.TemporaryFile

    def recorded(*args: Any, **kwargs: Any) -> Any:
        files.append(temporary_file(*args, **kwargs))
        return files[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", recorded)
    return files


@pytest.mark.parametrize("error", [None, instead(500), instead(200, b"<html>")])
def test_temporary_files_of_pages_that_were_discarded_are_deleted(
    pull: Pull, temporary_files: list[Any], error: Fault | None, join_threads: Callable[[], None]
) -> None:
    """Page 5 is answered after the pages after it, and it is short or an error."""
    pull.server.set_rows(ROWS, lambda number: 3 if number == 5 else SIZE)
    pull.server.before_reply = lambda position: (
        pull.server.wait_until(lambda: set(range(6, 13)) <= set(pull.server.answered)) if position == 5 else None
    )
    if error:
        pull.server.faults = {5: iter([error])}
        with pytest.raises(ApiError):
            pull.run("lines by number", 8)
    else:
        assert pull.rows("lines by number", 8) == ROWS[: 4 * SIZE + 3]
    join_threads()
    assert len(temporary_files) >= 11
    assert all(file.closed for file in temporary_files)


def test_temporary_files_are_deleted_if_the_caller_stops_early(
    server: PagedServer, temporary_files: list[Any], join_threads: Callable[[], None]
) -> None:
    pages = paginate("lines by number")
    next(pages)
    server.wait_until(lambda: set(range(2, 9)) <= set(server.answered))
    pages.close()  # type: ignore[attr-defined]
    join_threads()
    assert all(file.closed for file in temporary_files)


@pytest.mark.parametrize("concurrency", [1, 2, 8])
@pytest.mark.parametrize("style", ["number", "last", "offset-total", "header-json", "cursor", "lines by number"])
def test_at_most_one_page_more_than_concurrency_is_in_memory(
    server: PagedServer, monkeypatch: pytest.MonkeyPatch, style: str, concurrency: int
) -> None:
    responses: weakref.WeakSet[requests.Response] = weakref.WeakSet()
    init = requests.Response.__init__

    def recorded(self: requests.Response) -> None:
        init(self)
        responses.add(self)

    values = {"endpoint": style, **STYLES[style]}
    pages = OAuthHook(CONN_ID).paginate(**values, concurrency=concurrency)
    next(pages)  # after the token request
    monkeypatch.setattr(requests.Response, "__init__", recorded)
    for _ in pages:
        if len(responses) > concurrency + 1:
            gc.collect()
        assert len(responses) <= concurrency + 1
