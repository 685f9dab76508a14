"""Two hundred tasks on two hosts while everything around them fails, for some minutes: ``make soak``."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sandbox.airflow_client import FINISHED
from tests.distributed.celery.stack import HOSTS, Many, Stack, running
from tests.distributed.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROTATING = Many("rotating", 100, rotating=True, lifetime=20)
PLAIN = Many("plain", 100, rotating=False, lifetime=20)
BOTH = (ROTATING, PLAIN)
FEW = Many("few", 24, rotating=True)
#: Far more than there will be.
ALWAYS = 1_000_000


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With all connections."""
    with running(tmp_path_factory.mktemp("soak"), [*BOTH, FEW]) as stack:
        yield stack


def pause_server(stack: Stack) -> None:
    with stack.sandbox.paused():
        time.sleep(8)


def pause_host(stack: Stack) -> None:
    # Longer than Airflow waits for a sign of life, so its tasks are tried again while they still run.
    with stack.airflow.paused("worker-two"):
        time.sleep(25)


def restart_api_server(stack: Stack) -> None:
    stack.airflow.restart("api-server")


def pause_api_server(stack: Stack) -> None:
    with stack.airflow.paused("api-server"):
        time.sleep(4)


FAULTS = (restart_api_server, pause_server, pause_host, pause_api_server)
ROUNDS = 4


def fail_half_of_the_time(stack: Stack) -> None:
    """Have both token endpoints refuse every other request, without processing it."""
    for server in ("jsonbody", "standard"):
        stack.sandbox.control(
            "faults", {"server": server, "endpoint": "token", "times": ALWAYS, "share": 0.5, "status": 503}
        )


def is_over(stack: Stack, runs: dict[Many, str]) -> bool:
    return all(stack.airflow.run_state(many.dag_id, run_id) in FINISHED for many, run_id in runs.items())


def break_things(stack: Stack, runs: dict[Many, str]) -> Counter[Callable[[Stack], None]]:
    """Cause one fault after the other while the runs last; return how often each was caused."""
    caused: Counter[Callable[[Stack], None]] = Counter()
    for fault in FAULTS * ROUNDS:
        resting = time.monotonic() + 15
        wait_until(lambda end=resting: time.monotonic() > end or is_over(stack, runs), "it hangs")
        if not is_over(stack, runs):
            fault(stack)
            caused[fault] += 1
    return caused


def figures(stack: Stack, runs: dict[Many, str], seconds: float) -> str:
    """Return a line for each connection."""
    lines = []
    for many, run_id in runs.items():
        tasks = stack.tasks(many, run_id)
        counts = stack.counts(many)
        lines.append(
            f"soak: {many.conn_id}: {len(tasks)} tasks in {seconds:.0f} s,"
            f" {sum(task['try_number'] - 1 for task in tasks)} retries, {counts['api_calls']} API calls,"
            f" {counts['api_401']} answered 401, {counts['token_requests']} token requests,"
            f" {counts['refresh_reused']} refresh tokens reused, token errors {counts['token_errors'] or 'none'}"
        )
    return "\n".join(lines)


def test_two_hundred_tasks_outlast_everything_that_fails(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    fail_half_of_the_time(stack)
    begun = time.monotonic()
    with stack.airflow.supervised():
        runs = {many: stack.start(many, calls=6, pause=2) for many in BOTH}
        caused = break_things(stack, runs)
        states = {stack.airflow.wait(many.dag_id, run_id, timeout=900) for many, run_id in runs.items()}
    report = figures(stack, runs, time.monotonic() - begun)
    with capsys.disabled():
        print(f"\n{report}\nsoak: {', '.join(f'{fault.__name__} {times}' for fault, times in caused.items())}")
    assert states == {"success"}, f"{report}, see {stack.airflow.home / 'logs'}"
    assert all(caused[fault] for fault in FAULTS), caused
    for many in BOTH:
        counts = stack.counts(many)
        assert (counts["refresh_reused"], counts["token_errors"]) == (0, {})
        # A token may end while a request with it waits in a process that stands still: once a task and pause.
        assert counts["api_401"] <= (caused[pause_server] + caused[pause_host]) * 2 * stack.airflow.concurrency


def test_a_renewal_that_dies_with_all_hosts_is_taken_over(stack: Stack) -> None:
    # An answer that does not come, to a request that is not processed.
    stack.sandbox.control(
        "faults", {"server": "jsonbody", "endpoint": "token", "times": ALWAYS, "status": 503, "delay": 15}
    )
    run_id = stack.start(FEW)
    wait_until(lambda: stack.counts(FEW)["token_requests"], "nobody renews", timeout=120)
    for host in HOSTS:
        stack.airflow.kill(f"worker-{host}")
    stack.sandbox.control("faults/clear", {})
    asked = stack.counts(FEW)["token_requests"]
    for host in HOSTS:
        stack.airflow.start(f"worker-{host}")
    # The dead holder's claim is believed for 90 s.
    assert stack.airflow.wait(FEW.dag_id, run_id, timeout=400) == "success"
    counts = stack.counts(FEW)
    assert (counts["refresh_reused"], counts["token_errors"]) == (0, {})
    assert counts["token_requests"] > asked


def test_an_answer_that_came_while_its_host_stood_still_is_kept(stack: Stack) -> None:
    stack.sandbox.control("faults", {"server": "jsonbody", "endpoint": "token", "delay": 8})
    run_id = stack.start(FEW)
    wait_until(lambda: stack.counts(FEW)["token_requests"], "nobody renews", timeout=120)
    with stack.airflow.paused("worker-one"), stack.airflow.paused("worker-two"):
        time.sleep(25)  # longer than a renewal may take
    assert stack.airflow.wait(FEW.dag_id, run_id, timeout=400) == "success"
    counts = stack.counts(FEW)
    assert (counts["refresh_reused"], counts["token_errors"], counts["token_requests"]) == (0, {}, 1)
