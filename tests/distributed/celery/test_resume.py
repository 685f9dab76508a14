"""Extracts into S3 that are killed or lose their host, with CeleryExecutor on two hosts, PostgreSQL and Redis.

The servers run in the process of the tests, so a test can stop a task by holding back the response with a page.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.distributed.celery.change_server import SIZE, Hold, change
from tests.distributed.celery.extracts import INITIAL, LISTS, PART_ROWS, Extracts, Run, running
from tests.distributed.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGES = 10
ROWS = PAGES * SIZE
#: The page whose response is held back: the second one of the third part. So two parts are stored.
HELD = 6


@pytest.fixture(scope="module")
def extracts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extracts]:
    """The servers and an Airflow. Each test uses other lists."""
    with running(tmp_path_factory.mktemp("extracts")) as extracts:
        extracts.server.sizes.update(dict.fromkeys(LISTS, ROWS))
        yield extracts


def start_and_hold(extracts: Extracts, name: str, page: int = HELD, parts: int = 2) -> tuple[Run, Hold]:
    """Start a run, and wait until it waits for a page, and some parts are stored."""
    hold = extracts.server.hold(name, page)
    run = extracts.start(name)
    wait_until_held(run, hold, parts)
    return run, hold


def wait_until_held(run: Run, hold: Hold, parts: int) -> None:
    """Wait until the task waits for a page, and check what is stored.

    :param parts: the number of parts in the progress
    """
    wait_until(lambda: hold.is_waiting, "the page was not requested")
    progress = run.wait_until_parts_are_stored(parts)
    assert [part["rows"] for part in progress["parts"]] == [PART_ROWS] * parts
    assert run.json("_manifest.json") is None
    assert_mark(run, INITIAL)


def assert_mark(run: Run, mark: str, to: str | None = None) -> None:
    """Check the mark, and `from` and `to` of a run that started at `initial`."""
    record = run.extracts.mark(run.name)
    assert record["mark"] == mark
    assert (record["runs"][run.run_id]["from"], record["runs"][run.run_id].get("to")) == (INITIAL, to)


def assert_continued(
    run: Run, before: int, attempts: Sequence[int] = (1, 1, 2, 2, 2), *, may_leave_a_part: bool = False
) -> None:
    """Check a run whose last attempt continued after the parts of earlier ones.

    :param before: the number of requests before the last attempt
    :param attempts: the attempt of each part
    :param may_leave_a_part: whether an attempt may have been killed before it could delete a part that no file lists
    """
    result = run.wait_for_success()
    requests = run.extracts.server.requests[run.name][before:]
    assert run.task()["try_number"] == attempts[-1]
    resumed = PART_ROWS * sum(attempt < attempts[-1] for attempt in attempts)
    assert sorted(request.page for request in requests) == list(range(resumed // SIZE + 1, PAGES + 1))
    assert {request.since for request in requests} == {INITIAL}
    assert run.rows() == [change(number) for number in range(ROWS)]
    manifest = run.manifest()
    names = [part["name"] for part in manifest["parts"]]
    assert len(run.unlisted()) <= may_leave_a_part
    assert [int(name.split("-")[1]) for name in names] == list(attempts)
    last = change(ROWS - 1)["updatedAt"]
    assert (result["rows"], result["resumed"], result["from"], result["to"]) == (ROWS, resumed, INITIAL, last)
    assert (manifest["rows"], manifest["from"], manifest["to"]) == (ROWS, INITIAL, last)
    assert_mark(run, last, last)


@contextmanager
def paused(run: Run) -> Iterator[psutil.Process]:
    """Pause the process of a task and its supervisor, and yield the process. The supervisor continues at the end."""
    process = run.process()
    supervisor = process.parent()
    assert supervisor is not None
    supervisor.suspend()
    process.suspend()
    try:
        yield process
    finally:
        for each in (process, supervisor):
            if each.is_running():
                each.resume()


def go_on(run: Run, hold: Hold, process: psutil.Process) -> None:
    """Resume the process of a first attempt in the middle of the pull, and wait until it has ended with an error.

    Its supervisor is still paused. Otherwise, the supervisor would kill it.
    """
    hold.release()
    process.resume()
    wait_until(lambda: run.outcome(1), "the first attempt continues")
    assert "another attempt of this task" in run.outcome(1)


def kill(run: Run, hold: Hold) -> None:
    """Kill the process of a task that waits for a page."""
    process = run.process()
    process.kill()
    psutil.wait_procs([process], timeout=10)
    hold.release()


def test_a_task_that_is_killed_three_times_continues_after_its_last_part(extracts: Extracts) -> None:
    holds = [extracts.server.hold("killed", page) for page in (2, HELD, HELD + 2)]
    run = extracts.start("killed")
    for hold, parts in zip(holds, (0, 2, 3), strict=True):
        wait_until_held(run, hold, parts)
        kill(run, hold)
    before = len(extracts.server.requests["killed"])
    assert_continued(run, before, attempts=(2, 2, 3, 4, 4))


def test_a_task_continues_on_the_other_host_after_the_death_of_its_host(extracts: Extracts) -> None:
    run, hold = start_and_hold(extracts, "lost")
    host = run.task()["hostname"]
    extracts.airflow.kill(f"worker-{host}")
    before = len(extracts.server.requests["lost"])
    hold.release()
    try:
        assert_continued(run, before)
    finally:
        extracts.airflow.start(f"worker-{host}")
    assert run.task()["hostname"] != host


def test_a_lost_task_that_continues_stops_and_does_not_change_the_files_of_its_retry(extracts: Extracts) -> None:
    finished, finished_hold = start_and_hold(extracts, "finished")
    overtaken, overtaken_hold = start_and_hold(extracts, "overtaken")
    last_page, last_page_hold = start_and_hold(extracts, "last_page", page=PAGES, parts=4)
    before = {run.name: len(extracts.server.requests[run.name]) for run in (finished, overtaken, last_page)}
    with ExitStack() as stack:
        processes = {run.name: stack.enter_context(paused(run)) for run in (finished, overtaken, last_page)}
        second_hold = extracts.server.hold("overtaken", HELD + 2)
        wait_until(lambda: second_hold.is_waiting, "the task was not retried", timeout=120)
        overtaken.wait_until_parts_are_stored(3)
        go_on(overtaken, overtaken_hold, processes["overtaken"])
        second_hold.release()
        finished.wait_for_success()
        go_on(finished, finished_hold, processes["finished"])
        last_page.wait_for_success()
        # This task continues at the same moment as its supervisor, which kills it.
        last_page_hold.release()
    psutil.wait_procs(processes.values(), timeout=60)
    assert last_page.outcome(1) != "success"
    assert_continued(finished, before["finished"])
    assert_continued(overtaken, before["overtaken"])
    assert_continued(last_page, before["last_page"], attempts=(1, 1, 1, 1, 2), may_leave_a_part=True)


def test_a_later_run_reads_from_the_mark_and_a_cleared_run_sends_its_value_again(extracts: Extracts) -> None:
    first = extracts.start("windows")
    first.wait_for_success()
    attempt = first.manifest()["attempt"]
    requests = extracts.server.requests["windows"]
    assert {request.since for request in requests} == {INITIAL}
    mark = change(ROWS - 1)["updatedAt"]
    assert_mark(first, mark, mark)

    extracts.server.sizes["windows"] += 3
    before = len(requests)
    second = extracts.start("windows")
    result = second.wait_for_success()
    since = mark.replace("19:00Z", "18:59Z")  # one unit earlier
    assert {request.since for request in requests[before:]} == {since}
    assert second.rows() == [change(number) for number in range(ROWS - 1, ROWS + 3)]
    last = change(ROWS + 2)["updatedAt"]
    assert (result["from"], result["to"]) == (since, last)

    before = len(requests)
    first.clear()
    first.wait_for_success()
    assert {request.since for request in requests[before:]} == {INITIAL}
    assert first.rows() == [change(number) for number in range(ROWS + 3)]
    assert first.manifest()["attempt"] != attempt
    assert first.unlisted() == set()
    assert_mark(first, last, last)

    (shown,) = json.loads(extracts.airflow.cli("oauth", "mark", "changes__windows", "pull", "--output", "json"))
    runs = [(run["run_id"], run["from"], run["to"]) for run in shown["runs"]]
    assert (shown["mark"], runs) == (last, [(second.run_id, since, last), (first.run_id, INITIAL, last)])
