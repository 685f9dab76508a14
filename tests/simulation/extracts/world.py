"""The simulated Airflow, which starts attempts, and the scheduler that decides which of them does its next operation.

Each attempt runs the production operator in a greenlet. Each operation on the storage or on a Variable, and each
request to the API, is a step: the attempt returns control to the scheduler, which decides when it continues and whether
the operation takes effect, fails, takes effect later, or the attempt is killed.
"""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from tests.simulation.extracts.api import Api
from tests.simulation.extracts.attempt import START, Attempt
from tests.simulation.extracts.local_storage import LocalStorage
from tests.simulation.extracts.referee import Referee
from tests.simulation.extracts.schedule import Fate
from tests.simulation.extracts.storage import Storage
from tests.simulation.extracts.task import execute
from tests.simulation.extracts.variables import Variables

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.simulation.extracts.schedule import Schedule

#: Maximum number of steps of one run of the simulation.
MAX_STEPS = 20_000
#: Attempts of a run with faults; after them, faults end.
MAX_TRIES = 6


class World:
    """One task of a DAG with its runs, the API, the storage and the Variables.

    :param schedule: the faults and the load
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.random = random.Random(schedule.seed)
        random.seed(schedule.seed)
        self.scheduler = getcurrent()
        self.now = 0.5
        self.steps = 0
        self.calm = False  # no more faults
        self.clears_left = schedule.clears
        self.changes_left = schedule.max_changes
        self.trace: list[str] = []
        self.attempts: list[Attempt] = []
        self.runs: list[TaskRun] = []
        self.api = Api(self)
        self.variables = Variables(self)
        self.storage = LocalStorage(self) if schedule.storage == "local" else Storage(self)
        self.referee = Referee(self)
        self._late: list[Late] = []

    # --- what happens

    def run(self) -> None:
        """Run the schedule to its end; then, without faults, all runs that have not succeeded, and one more run."""
        self._start_run()
        while not self._is_done() and not self.referee.problems:
            self._manage()
            self._step()
        self._calm_down()
        self.referee.check_the_end()
        for attempt in self.attempts:
            attempt.end()
        self.storage.close()

    def _is_done(self) -> bool:
        if self.steps > MAX_STEPS:
            self.referee.problem("the schedule does not end")
            return True
        if any(len(run.attempts) > MAX_TRIES for run in self.runs):
            return True
        return len(self.runs) == self.schedule.runs and all(run.is_done for run in self.runs) and not self.clears_left

    def _calm_down(self) -> None:
        self.calm = True
        while not self.referee.problems and (self._late or self._active(with_lost=True)):
            for late in self._late:
                late.due = 0
            for attempt in self.attempts:
                attempt.continues_at = 0
            self._step()
        for run in self.runs:
            if not run.succeeded:
                self._finish(run)
        self.now += 60
        if not self.referee.problems:
            self._finish(self._start_run())

    def _finish(self, run: TaskRun) -> None:
        attempt = run.attempts[-1] if run.attempts and not run.attempts[-1].has_ended else self.start(run)
        while not attempt.has_ended and not self.referee.problems:
            self._step()
        if attempt.outcome != "success" and not self.referee.problems:
            self.referee.problem(f"{attempt} failed without a fault: {attempt.outcome}")

    def _manage(self) -> None:
        """Start attempts and runs, as Airflow's scheduler does, and clear runs, as users do."""
        for run in self.runs:
            if not run.succeeded and run.attempts[-1].has_ended:
                self._wait_for_days()
                self.start(run)
        if self.clears_left and (done := [run for run in self.runs if run.succeeded]) and self.random.random() < 0.1:
            self.clears_left -= 1
            run = self.random.choice(done)
            self.trace.append(f"a user clears {run.run_id}")
            self.start(run)
        all_done = all(run.is_done for run in self.runs)
        if len(self.runs) < self.schedule.runs and (all_done or self.chance(self.schedule.parallel)):
            self._start_run()

    def _wait_for_days(self) -> None:
        if not self.calm:
            self.now += self.random.uniform(0, 86_400 * self.schedule.days)

    def _start_run(self) -> TaskRun:
        run = TaskRun(self, f"run_{len(self.runs) + 1}", START + timedelta(seconds=int(self.now)))
        self.runs.append(run)
        self.start(run)
        return run

    def start(self, run: TaskRun) -> Attempt:
        """Start an attempt."""
        attempt = Attempt(self, run, len(self.attempts) + 1)
        run.attempts.append(attempt)
        self.attempts.append(attempt)
        attempt.greenlet.switch()
        return attempt

    def _step(self) -> None:
        """Let one attempt do its next operation."""
        self.steps += 1
        self.now += self.random.uniform(0.05, 1.5)
        if self.changes_left and self.chance(self.schedule.changes):
            self.changes_left -= 1
            self.api.change()
        self._land()
        active = self._active()
        if not active:
            return
        attempt = self.attempts[-1] if self.attempts[-1] in active else active[-1]
        if len(active) > 1 and not self.schedule.plan and self.random.random() < 0.3:
            attempt = self.random.choice(active)
        fate = self._fate(attempt)
        if fate is Fate.STALL:
            self._lose(attempt)
            return
        attempt.greenlet.switch(fate)
        self.referee.check()

    def _active(self, *, with_lost: bool = False) -> list[Attempt]:
        """Return the attempts that can do an operation now.

        :param with_lost: whether to include those that are suspended
        """
        return [
            attempt for attempt in self.attempts if not attempt.has_ended and (with_lost or not self._stands(attempt))
        ]

    def _stands(self, attempt: Attempt) -> bool:
        if not attempt.is_lost or self.calm:
            return False
        if not self.schedule.plan:
            return attempt.continues_at > self.steps
        return not self._next_has_come_to_its_step(attempt)

    def _next_has_come_to_its_step(self, attempt: Attempt) -> bool:
        """Return whether the next attempt has come to the step in the plan, or has ended."""
        if len(self.attempts) <= attempt.number:
            return False
        following = self.attempts[attempt.number]
        step = self.schedule.resumes.get(attempt.number)
        return following.has_ended or (step is not None and following.steps + 1 >= step)

    # --- faults

    def chance(self, share: float) -> bool:
        """Return whether an event with this share happens now."""
        return not self.calm and share > 0 and self.random.random() < share

    def _fate(self, attempt: Attempt) -> Fate:
        schedule = self.schedule
        if self.calm:
            return Fate.OK
        if schedule.plan:
            fate = schedule.plan.get((attempt.number, attempt.steps + 1), Fate.OK)
            return Fate.OK if fate is Fate.STALL and attempt.is_lost else fate
        if self._can_be_lost(attempt) and self.chance(schedule.lost):
            return Fate.STALL
        if self.chance(schedule.kills):
            return Fate.KILL
        if self.chance(schedule.failing):
            return self.random.choice([Fate.FAIL, Fate.FAIL_AFTER])
        if self.chance(schedule.late):
            return self.random.choice([Fate.KILL_LATE, Fate.FAIL_LATE])
        return Fate.OK

    def _can_be_lost(self, attempt: Attempt) -> bool:
        run = attempt.run
        alive = [each for each in run.attempts if not each.has_ended]
        return not attempt.is_lost and not run.succeeded and len(alive) < self.schedule.alive

    def _lose(self, attempt: Attempt) -> None:
        attempt.is_lost = True
        # Half of the lost attempts continue immediately, at the same time as the retry.
        attempt.continues_at = self.steps + self.random.choice([0, self.random.randrange(self.schedule.stall + 1)])
        self.trace.append(f"{attempt} is suspended before: {attempt.operation}")
        if attempt.run.attempts[-1] is attempt:
            self._wait_for_days()
            self.start(attempt.run)

    def later(self, attempt: Attempt, name: str, effect: Callable[[], Any]) -> None:
        """Let an operation take effect later."""
        due = self.steps + self.random.randrange(1, self.schedule.stall + 1)
        self._late.append(Late(attempt, name, effect, due))

    def _land(self) -> None:
        for late in list(self._late):
            is_due = self._next_has_come_to_its_step(late.attempt) if self.schedule.plan else late.due <= self.steps
            if is_due or self.calm:
                self._late.remove(late)
                self.trace.append(f"{late.attempt}: takes effect late: {late.name}")
                with suppress(OSError):  # nobody waits for the result
                    late.effect()
                self.referee.check()

    def log(self, attempt: Attempt, name: str, fate: Fate) -> None:
        """Add an operation to the trace."""
        suffix = "" if fate is Fate.OK else f" [{fate.value}]"
        self.trace.append(f"{self.now:8.1f} {attempt} step {attempt.steps}: {name}{suffix}")


@dataclass
class Late:
    """An operation that takes effect later.

    :param due: the step of the world at which it does
    """

    attempt: Attempt
    name: str
    effect: Callable[[], Any]
    due: int


@dataclass(eq=False)
class TaskRun:
    """The task in one run of the DAG."""

    world: World
    run_id: str
    run_after: datetime
    attempts: list[Attempt] = field(default_factory=list)

    def execute(self, attempt: Attempt) -> None:
        """Execute the task."""
        execute(attempt)

    @property
    def succeeded(self) -> bool:
        """Whether the latest attempt has succeeded. The outcome of a lost one does not count."""
        return bool(self.attempts) and self.attempts[-1].outcome == "success"

    @property
    def is_done(self) -> bool:
        """Whether it has succeeded and no attempt of it runs any more."""
        return self.succeeded and all(attempt.has_ended for attempt in self.attempts)


def run(schedule: Schedule) -> World:
    """Run a schedule.

    :raises AssertionError: if a rule was broken
    """
    world = World(schedule)
    world.run()
    assert not world.referee.problems, world.referee.report()
    return world
