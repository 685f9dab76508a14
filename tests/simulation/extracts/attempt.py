"""An attempt of a task: a greenlet that runs the production code, one operation after the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar, cast

from greenlet import getcurrent, greenlet

from tests.simulation.extracts.schedule import Fate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.extracts.world import TaskRun, World

    T = TypeVar("T")

START = datetime(2026, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """``kill -9``. Each later operation of the attempt raises it too, so no cleanup has an effect."""


class AttemptGreenlet(greenlet):
    """The greenlet of an attempt."""

    attempt: Attempt


class Attempt:
    """An attempt of a task of a run, on one of two hosts.

    :param world: the world
    :param run: the run
    :param number: its number in the world, from 1
    """

    def __init__(self, world: World, run: TaskRun, number: int) -> None:
        self.world = world
        self.run = run
        self.number = number
        self.try_number = len(run.attempts) + 1
        self.host = world.random.randrange(2)
        self.steps = 0
        self.operation = ""  # the next one
        self.is_killed = False
        self.is_lost = False  # Airflow has started a retry
        self.continues_at = 0  # the step of the world at which it continues after the worker was lost
        self.outcome: str | None = None  # "success", "killed", or the error
        #: What this attempt has last read of each shared object: the version of a Variable, the owner of a folder.
        self.seen: dict[str, int] = {}
        self.checked: set[str] = set()  # folders whose owner it has read since it has last written
        self.greenlet = AttemptGreenlet(self._live, parent=world.scheduler)
        self.greenlet.attempt = self

    def __repr__(self) -> str:
        return f"attempt {self.number} ({self.run.run_id}, try {self.try_number})"

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self.outcome is not None

    def now(self) -> datetime:
        """Return the time of day on its host."""
        skew = self.world.schedule.skew if self.host == 0 else 0.0
        return START + timedelta(seconds=self.world.now + skew)

    def _live(self, _: object = None) -> None:
        try:
            self.run.execute(self)
            self.outcome = "success"
        except Killed:
            self.outcome = "killed"
        except Exception as error:
            self.outcome = f"{type(error).__name__}: {error}"
        if self.is_killed:  # the production code has swallowed the exception
            self.outcome = "killed"

    def end(self) -> None:
        """Kill it if it still runs."""
        self.is_killed = True
        if not self.has_ended:
            self.greenlet.throw(Killed)

    def step(self, name: str, effect: Callable[[], T], *, error: Exception | None = None) -> T:
        """Do one operation. The scheduler decides when, and whether it succeeds.

        :param name: what it does, for reports
        :param effect: does it in the simulated world
        :param error: what a failure raises
        """
        if self.is_killed:
            raise Killed
        self.operation = name
        fate = self.world.scheduler.switch()
        self.steps += 1
        self.world.log(self, name, fate)
        error = error or OSError("the storage failed")
        if fate in (Fate.KILL, Fate.KILL_LATE):
            self.is_killed = True
            if fate is Fate.KILL_LATE:
                self.world.later(self, name, effect)
            raise Killed
        if fate in (Fate.FAIL, Fate.FAIL_LATE):
            if fate is Fate.FAIL_LATE:
                self.world.later(self, name, effect)
            raise error
        value = effect()
        if fate is Fate.FAIL_AFTER:
            raise error
        return value


def current() -> Attempt:
    """Return the attempt that runs now."""
    return cast("AttemptGreenlet", getcurrent()).attempt


def is_attempt() -> bool:
    """Return whether an attempt runs now, and not the simulation itself."""
    return isinstance(getcurrent(), AttemptGreenlet)
