"""Runs of one task that read and write its mark at the same moment, in many orders of their steps.

Variables have no compare-and-set. Each test checks after each step that all rows up to the mark are in the files.
"""

from __future__ import annotations

import os
import random
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.runtime import airflow_variables, mark_codec
from airflow_provider_oauth.runtime.mark_store import MarkStore
from tests.unit.runtime.marks import NAME, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
#: Number of steps of an attempt.
STEPS = 9
#: Number of orders that a test tries.
ORDERS = int(os.environ.get("ORDERS", "60"))
SETTINGS = settings(initial="0")


@dataclass
class World:
    """An API whose rows are the numbers of the past steps, files with rows, and the Variable of the mark.

    :param limit: whether the mark is never later than the start of the run, as for times
    :param is_one_finishing: whether processes that confirm or finish do not read and write at the same moment
    """

    limit: bool
    time: int = 0
    text: str | None = None
    files: dict[str, set[int]] = field(default_factory=dict)
    step: Callable[[], None] = lambda: None
    is_one_finishing: bool = False
    is_quiet: bool = False
    begun: int = 0

    def pause(self) -> None:
        """Let other processes run."""
        if not self.is_quiet:
            self.step()

    def get(self, name: str) -> str | None:
        self.pause()
        return self.text

    def set(self, name: str, text: str, description: str) -> None:
        self.pause()
        self.text = text

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.time)

    def attempt(
        self, run_id: str, *, after: int, is_killed: bool = False, begins_after: int = 0, reads_after: int = 0
    ) -> None:
        """Run an attempt of a task. It ends early after an error, or if it is killed after it has stored its rows.

        :param begins_after: how many attempts have begun before this one begins
        :param reads_after: how many attempts have begun before this one reads rows
        """
        store = MarkStore(NAME)
        while self.begun < begins_after:
            self.pause()
        self.is_quiet = begins_after > 0
        try:
            run = store.begin(run_id, EPOCH + timedelta(seconds=after), SETTINGS, self.now())
            self.is_quiet = False
            self.begun += 1
            self.pause()
            while self.begun < reads_after:
                self.pause()
            rows = set(range(int(run.since), self.time + 1))
            limit = int((run.started - EPOCH).total_seconds()) if self.limit else self.time
            self.is_quiet = self.is_one_finishing
            store.confirm(run_id, run, SETTINGS)
            self.is_quiet = False
            self.pause()
            self.files[run_id] = rows
            if not is_killed:
                self.pause()
                self.is_quiet = self.is_one_finishing
                store.finish(run_id, run, str(min(max(rows), limit)), SETTINGS)
                self.is_quiet = False
        except OAuthError:
            self.is_quiet = False

    def check(self) -> None:
        """Check that all rows up to the mark are in the files."""
        if self.text is not None:
            mark = int(mark_codec.decode(self.text).mark)
            stored = set().union(*self.files.values())
            assert not set(range(1, mark + 1)) - stored, f"the mark is {mark}, but the files have only {stored}"


def play(world: World, processes: Sequence[Callable[[], None]], order: Iterable[int], *, always: bool = True) -> None:
    """Run processes, one step of one process at a time; then each to its end.

    :param world: what the processes share
    :param processes: the processes
    :param order: the numbers of the processes, in the order of their steps
    :param always: whether to check the world after each step, not only at the end
    """
    turns = [threading.Semaphore(0) for _ in processes]
    back = threading.Semaphore(0)
    own = threading.local()
    alive = set(range(len(processes)))

    def step() -> None:
        back.release()
        turns[own.number].acquire()

    def run(number: int) -> None:
        own.number = number
        turns[number].acquire()
        try:
            processes[number]()
        finally:
            alive.discard(number)
            back.release()

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(processes))]
    world.step = step
    for thread in threads:
        thread.start()
    try:
        for number in (*order, *(number for number in range(len(processes)) for _ in range(100))):
            if number in alive:
                world.time += 1
                turns[number].release()
                back.acquire()
                if always:
                    world.check()
    finally:
        world.step = lambda: None
        world.check()


def orders(processes: int) -> Iterator[list[int]]:
    """Yield random orders of the steps of some processes. Long turns are as likely as short ones."""
    source = random.Random(processes)
    for _ in range(ORDERS):
        order: list[int] = []
        while len(order) < processes * STEPS:
            order += [source.randrange(processes)] * source.randint(1, STEPS)
        yield order


@pytest.fixture(params=[True, False], ids=["times", "integers"])
def new_world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], World]:
    def new_world() -> World:
        world = World(request.param)
        monkeypatch.setattr(airflow_variables, "get_variable", world.get)
        monkeypatch.setattr(airflow_variables, "set_variable", world.set)
        monkeypatch.setattr(airflow_variables, "is_listed", lambda name: world.text is not None)
        return world

    return new_world


def test_runs_that_are_the_first_ones(new_world: Callable[[], World]) -> None:
    for order in orders(2):
        world = new_world()
        play(world, [partial(world.attempt, "a", after=1), partial(world.attempt, "b", after=2)], order)
        world.attempt("c", after=3)
        world.check()
        assert len(world.files) == 3


@pytest.mark.parametrize("killed", [(), ("b",), ("b", "c")])
def test_runs_that_begin_together_and_are_retried(new_world: Callable[[], World], killed: Sequence[str]) -> None:
    for order in orders(3):
        world = new_world()
        world.attempt("a", after=1)
        processes = [
            partial(world.attempt, run_id, after=number, is_killed=run_id in killed)
            for number, run_id in enumerate("bcd", 2)
        ]
        play(world, processes, order)
        for number, run_id in enumerate("abcde", 1):
            world.time += 1
            world.attempt(run_id, after=number)
            world.check()
        assert len(world.files) == 5


@pytest.mark.parametrize("is_new", [True, False])
def test_two_attempts_of_one_run(new_world: Callable[[], World], is_new: bool) -> None:
    """A worker that was lost still runs the first attempt.

    Integers have no limit by time. So the mark can be ahead of the files until an attempt that has replaced the file
    has set the mark back, or permanently if two attempts set it at the same moment.
    """
    for order in orders(2):
        world = new_world()
        world.is_one_finishing = not world.limit
        if not is_new:
            world.attempt("a", after=1)
            world.time += 1
        play(world, [partial(world.attempt, "b", after=2)] * 2, order, always=world.limit)
        world.time += 1
        world.attempt("c", after=3)
        world.check()


def test_two_attempts_of_one_run_and_another_run_that_begins_with_the_first(new_world: Callable[[], World]) -> None:
    """The entry of the first attempt can be lost. Then the second attempt is like a new run.

    It begins later than the first one, because Airflow starts it after it has lost the first one.
    """
    for order in orders(3):
        world = new_world()
        world.is_one_finishing = True
        world.attempt("a", after=1)
        first = partial(world.attempt, "b", after=2, reads_after=3)
        second = partial(world.attempt, "b", after=2, begins_after=3)
        play(world, [first, partial(world.attempt, "c", after=3, reads_after=3), second], order, always=world.limit)
        world.attempt("d", after=4)
        world.check()


def test_the_simulation_fails_if_the_mark_is_stored_before_the_file(
    new_world: Callable[[], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = new_world()
    monkeypatch.setattr(
        MarkStore, "confirm", lambda self, run_id, run, settings: self.finish(run_id, run, "9", settings)
    )
    with pytest.raises(AssertionError, match="the mark is 9"):
        play(world, [lambda: world.attempt("a", after=1)], [0] * 8)
