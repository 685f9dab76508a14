"""Two hundred tasks on two hosts, while their servers and hosts fail for some minutes: ``make soak``."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sandbox.airflow_client import FINISHED
from tests.distributed.celery.stack import HOSTS, Stack, Workload, running
from tests.distributed.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROTATING = Workload("rotating", 100, rotating=True, lifetime=20)
PLAIN = Workload("plain", 100, rotating=False, lifetime=20)
BOTH = (ROTATING, PLAIN)
FEW = Workload("few", 24, rotating=True)
#: More requests than the tests send.
ALWAYS = 1_000_000


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A server and an Airflow with all connections."""
    with running(tmp_path_factory.mktemp("soak"), [*BOTH, FEW]) as stack:
        yield stack


def pause_server(stack: Stack) -> None:
    with stack.sandbox.paused():
        time.sleep(8)


def pause_host(stack: Stack) -> None:
    # Longer than Airflow's heartbeat timeout, so Airflow retries the tasks while they still run.
    with stack.airflow.paused("worker-two"):
        time.sleep(25)


def restart_api_server(stack: Stack) -> None:
    stack.airflow.restart("api-server")


def pause_api_server(stack: Stack) -> None:
    with stack.airflow.paused("api-server"):
        time.sleep(4)


FAILURES = (restart_api_server, pause_server, pause_host, pause_api_server)
ROUNDS = 4


def fail_half_of_the_time(stack: Stack) -> None:
    """Make both token endpoints refuse half of the requests, at random, without processing them."""
    for server in ("jsonbody", "standard"):
        stack.sandbox.control(
            "faults", {"server": server, "endpoint": "token", "times": ALWAYS, "share": 0.5, "status": 503}
        )


def is_over(stack: Stack, runs: dict[Workload, str]) -> bool:
    return all(stack.airflow.run_state(workload.dag_id, run_id) in FINISHED for workload, run_id in runs.items())


def inject_failures(stack: Stack, runs: dict[Workload, str]) -> Counter[Callable[[Stack], None]]:
    """Cause one failure after the other until the runs are over, and return how often each was caused."""
    caused: Counter[Callable[[Stack], None]] = Counter()
    for failure in FAILURES * ROUNDS:
        end_of_pause = time.monotonic() + 15
        wait_until(lambda end=end_of_pause: time.monotonic() > end or is_over(stack, runs), "the wait does not end")
        if not is_over(stack, runs):
            failure(stack)
            caused[failure] += 1
    return caused


def figures(stack: Stack, runs: dict[Workload, str], seconds: float) -> str:
    """Return one line per connection."""
    lines = []
    for workload, run_id in runs.items():
        tasks = stack.tasks(workload, run_id)
        counts = stack.counts(workload)
        lines.append(
            f"soak: {workload.conn_id}: {len(tasks)} tasks in {seconds:.0f} s,"
            f" {sum(task['try_number'] - 1 for task in tasks)} retries, {counts['api_calls']} API calls,"
            f" {counts['api_401']} with status 401, {counts['token_requests']} token requests,"
            f" {counts['refresh_reused']} refresh tokens reused, token errors {counts['token_errors'] or 'none'}"
        )
    return "\n".join(lines)


def test_two_hundred_tasks_succeed_despite_failures(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    fail_half_of_the_time(stack)
    begun = time.monotonic()
    with stack.airflow.supervised():
        runs = {workload: stack.start(workload, calls=6, pause=2) for workload in BOTH}
        caused = inject_failures(stack, runs)
        states = {stack.airflow.wait(workload.dag_id, run_id, timeout=900) for workload, run_id in runs.items()}
    report = figures(stack, runs, time.monotonic() - begun)
    with capsys.disabled():
        print(f"\n{report}\nsoak: {', '.join(f'{failure.__name__} {times}' for failure, times in caused.items())}")
    assert states == {"success"}, f"{report}, see {stack.airflow.home / 'logs'}"
    assert all(caused[failure] for failure in FAILURES), caused
    for workload in BOTH:
        counts = stack.counts(workload)
        assert (counts["refresh_reused"], counts["token_errors"]) == (0, {})
        # A token can expire while a request with it waits in a paused process: once per task and pause.
        assert counts["api_401"] <= (caused[pause_server] + caused[pause_host]) * 2 * stack.airflow.concurrency


def test_after_the_death_of_all_hosts_during_a_renewal_another_process_renews(stack: Stack) -> None:
    # The server does not process the request, and responds too late.
    stack.sandbox.control(
        "faults", {"server": "jsonbody", "endpoint": "token", "times": ALWAYS, "status": 503, "delay": 15}
    )
    run_id = stack.start(FEW)
    wait_until(lambda: stack.counts(FEW)["token_requests"], "no process renews", timeout=120)
    for host in HOSTS:
        stack.airflow.kill(f"worker-{host}")
    stack.sandbox.control("faults/clear", {})
    before = stack.counts(FEW)["token_requests"]
    for host in HOSTS:
        stack.airflow.start(f"worker-{host}")
    # The claim of the dead process lasts 90 s.
    assert stack.airflow.wait(FEW.dag_id, run_id, timeout=400) == "success"
    counts = stack.counts(FEW)
    assert (counts["refresh_reused"], counts["token_errors"]) == (0, {})
    assert counts["token_requests"] > before


def test_a_response_that_arrives_while_its_host_is_paused_is_stored(stack: Stack) -> None:
    stack.sandbox.control("faults", {"server": "jsonbody", "endpoint": "token", "delay": 8})
    run_id = stack.start(FEW)
    wait_until(lambda: stack.counts(FEW)["token_requests"], "no process renews", timeout=120)
    with stack.airflow.paused("worker-one"), stack.airflow.paused("worker-two"):
        time.sleep(25)  # longer than a renewal may take
    assert stack.airflow.wait(FEW.dag_id, run_id, timeout=400) == "success"
    counts = stack.counts(FEW)
    assert (counts["refresh_reused"], counts["token_errors"], counts["token_requests"]) == (0, {}, 1)
