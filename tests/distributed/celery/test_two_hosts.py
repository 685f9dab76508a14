"""Many tasks of one connection on two hosts, with CeleryExecutor, PostgreSQL and Redis. The server counts requests.

The hosts do not share a lock folder, so only Airflow Variables coordinate renewals.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.distributed.celery.stack import HOSTS, Stack, Workload, running
from tests.distributed.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROTATING = Workload("rotating", 40, rotating=True)
PLAIN = Workload("plain", 40, rotating=False)
SHORT = Workload("short", 40, rotating=True, lifetime=20)
FEWER = replace(SHORT, tasks=24)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A server and an Airflow with all connections."""
    with running(tmp_path_factory.mktemp("two_hosts"), [ROTATING, PLAIN, SHORT, FEWER]) as stack:
        yield stack


@dataclass
class Run:
    """A run of a workload. It starts when this object is created.

    :param calls: API calls per task
    :param pause: seconds of other work before each call
    """

    stack: Stack
    workload: Workload
    calls: int = 1
    pause: float = 0
    run_id: str = field(init=False)

    def __post_init__(self) -> None:
        self._before = self.stack.counts(self.workload)
        self._begun = time.monotonic()
        self.run_id = self.stack.start(self.workload, self.calls, self.pause)

    def counted(self, counter: str) -> int:
        """Return by how much a counter of the server has increased since the start of the run."""
        return int(self.stack.counts(self.workload)[counter] - self._before[counter])

    def assert_all_succeed(self, tries: int = 1) -> list[dict[str, Any]]:
        """Wait for the end of the run, check that all tasks succeeded, and return them.

        :param tries: the maximum number of tries per task
        """
        state = self.stack.airflow.wait(self.workload.dag_id, self.run_id, timeout=240)
        tasks = self.stack.tasks(self.workload, self.run_id)
        outcomes = Counter((task["state"], task["try_number"]) for task in tasks)
        logs = self.stack.airflow.home / "logs"
        assert state == "success", f"{outcomes}, {self.stack.counts(self.workload)}, see {logs}"
        assert len(tasks) == self.workload.tasks
        assert max(task["try_number"] for task in tasks) <= tries, f"{outcomes}, see {logs}"
        return tasks

    def assert_renewed_only_when_due(self) -> None:
        """Check that no refresh token was used twice, and that tokens were renewed only when they were due."""
        seconds = time.monotonic() - self._begun
        assert seconds > self.workload.lifetime, "nothing was due"
        counts = self.stack.counts(self.workload)
        assert (counts["refresh_reused"], counts["token_errors"]) == (0, {}), counts
        # A token is due after 0.7 of its lifetime at the earliest. One more request at the start.
        assert 1 <= self.counted("token_requests") <= seconds / (0.7 * self.workload.lifetime) + 1, counts


def test_tasks_on_two_hosts_use_one_refresh_token(stack: Stack) -> None:
    tasks = Run(stack, ROTATING).assert_all_succeed()
    assert {task["hostname"] for task in tasks} == set(HOSTS)
    counts = stack.counts(ROTATING)
    assert (counts["token_requests"], counts["refresh_reused"], counts["api_401"]) == (1, 0, 0)
    assert counts["api_calls"] == ROTATING.tasks


def test_tasks_on_two_hosts_send_at_most_one_token_request_per_host_with_a_repeatable_grant(stack: Stack) -> None:
    tasks = Run(stack, PLAIN).assert_all_succeed()
    assert {task["hostname"] for task in tasks} == set(HOSTS)
    counts = stack.counts(PLAIN)
    assert counts["token_requests"] in (1, len(HOSTS))
    assert (counts["api_calls"], counts["api_401"]) == (PLAIN.tasks, 0)


def test_tasks_that_run_longer_than_the_token_is_valid_renew_it_once_for_all(stack: Stack) -> None:
    run = Run(stack, SHORT, calls=3, pause=3)
    run.assert_all_succeed()
    run.assert_renewed_only_when_due()
    assert run.counted("api_calls") - run.counted("api_401") == 3 * SHORT.tasks


def test_the_grant_survives_the_death_of_a_host(stack: Stack) -> None:
    run = Run(stack, FEWER, calls=5, pause=3)
    stack.wait_until_running(FEWER, run.run_id)
    stack.wait_until_renewed(FEWER)  # so that no response with a new refresh token is lost: that loses the grant
    stack.airflow.kill("worker-one")
    stack.airflow.start("worker-one")
    tasks = run.assert_all_succeed(tries=2)
    assert max(task["try_number"] for task in tasks) == 2, "no task of the host was running"
    run.assert_renewed_only_when_due()


def test_the_grant_survives_a_short_outage_of_the_database(stack: Stack) -> None:
    run = Run(stack, FEWER, calls=5, pause=3)
    stack.wait_until_running(FEWER, run.run_id)
    with stack.airflow.supervised():
        stack.airflow.postgresql.stop("immediate")
        wait_until(lambda: not stack.airflow.has_database(), "the API server still reaches its database")
        stack.airflow.postgresql.start()
        before = run.counted("token_requests")
        run.assert_all_succeed(tries=3)
    run.assert_renewed_only_when_due()
    assert run.counted("token_requests") > before, "nothing was due after the outage"
