"""Many tasks of one connection on two hosts: CeleryExecutor, PostgreSQL, Redis. The authorization server counts.

The hosts share no lock folder, so they agree on who renews by Airflow's Variables alone.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.distributed.celery.stack import HOSTS, Many, Stack, running
from tests.distributed.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROTATING = Many("rotating", 40, rotating=True)
PLAIN = Many("plain", 40, rotating=False)
SHORT = Many("short", 40, rotating=True, lifetime=20)
FEWER = replace(SHORT, tasks=24)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With all connections."""
    with running(tmp_path_factory.mktemp("two_hosts"), [ROTATING, PLAIN, SHORT, FEWER]) as stack:
        yield stack


@dataclass
class Run:
    """A run of a connection's tasks, started now.

    :param calls: API calls of each task
    :param pause: seconds of other work before each call
    """

    stack: Stack
    many: Many
    calls: int = 1
    pause: float = 0
    run_id: str = field(init=False)

    def __post_init__(self) -> None:
        self._before = self.stack.counts(self.many)
        self._begun = time.monotonic()
        self.run_id = self.stack.start(self.many, self.calls, self.pause)

    def counted(self, what: str) -> int:
        """Return what the server has counted since the run's start."""
        return int(self.stack.counts(self.many)[what] - self._before[what])

    def assert_all_succeed(self, tries: int = 1) -> list[dict[str, Any]]:
        """Wait for the end; return the tasks, all of which succeeded.

        :param tries: how many a task may have needed
        """
        state = self.stack.airflow.wait(self.many.dag_id, self.run_id, timeout=240)
        tasks = self.stack.tasks(self.many, self.run_id)
        outcomes = Counter((task["state"], task["try_number"]) for task in tasks)
        logs = self.stack.airflow.home / "logs"
        assert state == "success", f"{outcomes}, {self.stack.counts(self.many)}, see {logs}"
        assert len(tasks) == self.many.tasks
        assert max(task["try_number"] for task in tasks) <= tries, f"{outcomes}, see {logs}"
        return tasks

    def assert_renewed_no_more_than_due(self) -> None:
        """Check that no refresh token was used twice, and that tokens were renewed, but only when they were due."""
        seconds = time.monotonic() - self._begun
        assert seconds > self.many.lifetime, "nothing was due"
        counts = self.stack.counts(self.many)
        assert (counts["refresh_reused"], counts["token_errors"]) == (0, {}), counts
        # Due from 0.7 of its life at the earliest, and one for the start.
        assert 1 <= self.counted("token_requests") <= seconds / (0.7 * self.many.lifetime) + 1, counts


def test_tasks_on_two_hosts_spend_one_refresh_token(stack: Stack) -> None:
    tasks = Run(stack, ROTATING).assert_all_succeed()
    assert {task["hostname"] for task in tasks} == set(HOSTS)
    counts = stack.counts(ROTATING)
    assert (counts["token_requests"], counts["refresh_reused"], counts["api_401"]) == (1, 0, 0)
    assert counts["api_calls"] == ROTATING.tasks


def test_tasks_on_two_hosts_ask_once_a_host_at_most_where_asking_twice_does_no_harm(stack: Stack) -> None:
    tasks = Run(stack, PLAIN).assert_all_succeed()
    assert {task["hostname"] for task in tasks} == set(HOSTS)
    counts = stack.counts(PLAIN)
    assert counts["token_requests"] in (1, len(HOSTS))
    assert (counts["api_calls"], counts["api_401"]) == (PLAIN.tasks, 0)


def test_tasks_that_outlive_their_token_renew_it_together(stack: Stack) -> None:
    run = Run(stack, SHORT, calls=3, pause=3)
    run.assert_all_succeed()
    run.assert_renewed_no_more_than_due()
    assert run.counted("api_calls") - run.counted("api_401") == 3 * SHORT.tasks


def test_a_host_that_dies_takes_no_grant_with_it(stack: Stack) -> None:
    run = Run(stack, FEWER, calls=5, pause=3)
    stack.wait_until_running(FEWER, run.run_id)
    stack.wait_until_renewed(FEWER)  # so that no answer is lost: of that, nobody could recover
    stack.airflow.kill("worker-one")
    stack.airflow.start("worker-one")
    tasks = run.assert_all_succeed(tries=2)
    assert max(task["try_number"] for task in tasks) == 2, "no task of the host was running"
    run.assert_renewed_no_more_than_due()


def test_a_database_that_is_away_for_a_moment_takes_no_grant_with_it(stack: Stack) -> None:
    run = Run(stack, FEWER, calls=5, pause=3)
    stack.wait_until_running(FEWER, run.run_id)
    with stack.airflow.supervised():
        stack.airflow.postgresql.stop("immediate")
        wait_until(lambda: not stack.airflow.has_database(), "the API server does not miss its database")
        stack.airflow.postgresql.start()
        before = run.counted("token_requests")
        run.assert_all_succeed(tries=3)
    run.assert_renewed_no_more_than_due()
    assert run.counted("token_requests") > before, "nothing was due after it was back"
