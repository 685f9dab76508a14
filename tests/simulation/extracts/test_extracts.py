"""No row is lost, whatever happens to the storage, the Variables and the attempts of an incremental extract."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.simulation.extracts.rules import without
from tests.simulation.extracts.schedule import Fate, Schedule
from tests.simulation.extracts.task import simulated
from tests.simulation.extracts.world import World, run

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Number of schedules of each kind. It is smaller than that of renewals, because one takes more time.
EXAMPLES = max(int(os.environ.get("SCHEDULES", "2500")) // 50, 20)
#: Of all pairs of two steps, which share is tried.
EVERY = 1 if "SCHEDULES" in os.environ else 4
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="SCHEDULES" not in os.environ,  # CI always runs the same schedules; SCHEDULES runs others
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # a schedule cannot be made much shorter
)
STORAGES = ("s3", "azure", "rename", "local")
#: A list of two pages and, with a folder, two parts. The task runs once, and once more without faults.
SMALL = Schedule(rows=3, part_rows=2, runs=1, max_changes=4, order="cursor")


@pytest.fixture(autouse=True)
def simulation(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace the outside world, and turn off logging, which would take most of the time."""
    logging.disable(logging.CRITICAL)
    with simulated(monkeypatch):
        yield
    logging.disable(logging.NOTSET)


def at_each_step(schedule: Schedule, fate: Fate, attempt: int = 1) -> Iterator[World]:
    """Let one operation of an attempt have a fate, each in turn."""
    for step in count(1):
        world = run(replace(schedule, plan={**schedule.plan, (attempt, step): fate}))
        yield world
        if len(world.attempts) < attempt or world.attempts[attempt - 1].steps < step:
            return


# --- one attempt after the other


@pytest.mark.parametrize("folder", [True, False], ids=["folder", "file"])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("fate", [Fate.KILL, Fate.FAIL, Fate.FAIL_AFTER], ids=lambda fate: fate.name)
def test_a_retry_succeeds_after_a_kill_or_an_error_at_any_step(fate: Fate, storage: str, folder: bool) -> None:
    worlds = list(at_each_step(replace(SMALL, storage=storage, folder=folder), fate))
    assert len(worlds) > (20 if folder else 10)
    assert not any(world.referee.overtakings for world in worlds if storage != "rename")


def at_two_steps(schedule: Schedule, first: Fate, second: Fate | None = None) -> Iterator[World]:
    """Let an operation of the first attempt have a fate, for each pair of a step of it and a step of the second one.

    :param second: the fate of the operation of the second attempt; None if the first one continues there
    """
    for step in count(1):
        for other in count(1 + step % EVERY, EVERY):
            plan = {(1, step): first} if second is None else {(1, step): first, (2, other): second}
            world = run(replace(schedule, plan=plan, resumes={1: other}))
            yield world
            if len(world.attempts) < 2 or world.attempts[1].steps < other:
                break
        if world.attempts[0].steps < step:
            return


def test_a_retry_succeeds_after_kills_at_two_steps() -> None:
    worlds = list(at_two_steps(SMALL, Fate.KILL, Fate.KILL))
    assert len(worlds) > 500 / EVERY
    assert not any(world.referee.overtakings for world in worlds)


SEQUENTIAL: dict[str, dict[str, float]] = {
    "no faults": {},
    "attempts are killed": {"kills": 0.05},
    "operations fail": {"failing": 0.06},
    "attempts are killed, operations fail, and users clear runs": {"kills": 0.03, "failing": 0.02, "clears": 2},
    "cursors expire, and retries start days later": {"kills": 0.04, "expiry": 0.3, "days": 2},
}


def schedules(**changes: Any) -> st.SearchStrategy[Schedule]:
    """Return schedules."""
    return st.builds(
        Schedule,
        seed=st.integers(0, 2**32),
        storage=st.sampled_from(changes.pop("storages", STORAGES)),
        folder=st.sampled_from([True, True, False]),
        order=st.sampled_from(["pages", "cursor", "links", "descending"]),
        client_side=st.sampled_from([False, False, True]),
        sends_end=st.booleans(),
        rows=st.sampled_from([4, 0, 7]),
        part_rows=st.sampled_from([2, 3]),
        max_changes=st.just(8),
        commit_time=st.sampled_from([0.0, 5.0]),
        skew=st.sampled_from([0.0, 20.0, -20.0]),
        **{name: st.just(value) for name, value in changes.items()},
    )


@pytest.mark.parametrize("kind", SEQUENTIAL)
def test_no_row_is_lost_if_one_attempt_runs_after_the_other(kind: str) -> None:
    @SETTINGS
    @given(schedules(**SEQUENTIAL[kind]))
    def holds(schedule: Schedule) -> None:
        world = run(schedule)
        assert not world.referee.excused, world.referee.report()

    holds()


# --- several attempts at the same time


@pytest.mark.parametrize("folder", [True, False], ids=["folder", "file"])
@pytest.mark.parametrize("fate", [Fate.STALL, Fate.KILL_LATE, Fate.FAIL_LATE], ids=lambda fate: fate.name)
def test_a_lost_attempt_harms_nothing_if_it_continues_after_the_retry(fate: Fate, folder: bool) -> None:
    for world in at_each_step(replace(SMALL, folder=folder), fate):
        assert not world.referee.lost, world.referee.report()


@pytest.mark.parametrize("folder", [True, False], ids=["folder", "file"])
def test_a_lost_attempt_harms_nothing_whenever_it_continues(folder: bool) -> None:
    for world in at_two_steps(replace(SMALL, folder=folder), Fate.STALL):
        assert not world.referee.lost, world.referee.report()


CONCURRENT: dict[str, dict[str, Any]] = {
    "workers are lost": {"lost": 0.03},
    "workers are lost, attempts are killed, and users clear runs": {"lost": 0.03, "kills": 0.01, "clears": 1},
    "operations take effect late": {"lost": 0.02, "late": 0.03},
    "runs are parallel": {"parallel": 0.1, "kills": 0.02},
    "everything": {
        "parallel": 0.05, "lost": 0.02, "late": 0.01, "kills": 0.01, "failing": 0.01, "clears": 1, "days": 1.5,
        "alive": 4,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", CONCURRENT)
def test_no_row_is_lost_if_attempts_run_at_the_same_time_unless_one_is_overtaken(kind: str) -> None:
    @SETTINGS
    @given(schedules(**CONCURRENT[kind]))
    def holds(schedule: Schedule) -> None:
        run(schedule)

    holds()


# --- limits


def test_an_attempt_that_is_suspended_for_a_day_between_its_last_check_and_its_manifest_cannot_be_stopped() -> None:
    """This is a limit, because storages have no compare-and-set. See "Limits" in docs/resume.md."""
    worlds = list(at_each_step(replace(SMALL, days=10.0), Fate.STALL))
    lost = [world for world in worlds if world.referee.lost]
    # In the meantime, another attempt has started from zero, and has deleted the parts that this manifest lists.
    assert [world.referee.overtakings[0] for world in lost] == [
        "attempt 1 (run_1, try 1) writes _manifest.json after attempt 2 (run_1, try 2) has become the owner"
    ]


# --- the simulation fails without a rule


#: Runs whose rows change while they are read.
CHANGING = Schedule(rows=5, max_changes=20, kills=0.03, runs=3)
SKEWED = replace(CHANGING, order="pages", skew=20.0)


@pytest.mark.parametrize(
    ("rule", "schedule", "breaks"),
    [
        ("the file is in place before the mark moves", CHANGING, "is ahead of the files|is lost"),
        (
            "the file is in place before the mark moves",
            replace(CHANGING, folder=False),
            "is ahead of the files|is lost",
        ),
        (
            "all parts are in place before the manifest",
            replace(CHANGING, part_rows=2),
            "writes _manifest.json with part-.*, which is not complete",
        ),
        (
            "a part is in place before the progress",
            CHANGING,
            "writes _progress.json with part-.*, which is not complete",
        ),
        (
            "the manifest is in place before parts are deleted",
            replace(CHANGING, clears=1),
            "which is in _manifest.json",
        ),
        ("a writer checks that it owns the folder", replace(CHANGING, lost=0.03), "without a check"),
        ("the entry of a run is stored before the pull", replace(CHANGING, parallel=0.1), "but the run began with"),
        ("a run reads from the same value again", replace(CHANGING, clears=1), "but the run began with"),
        ("the mark is at most the start of the pull", replace(CHANGING, order="pages"), "is lost"),
        ("the start of the pull is at most the time of the API", SKEWED, "is lost"),
        ("the start of the pull is that of the first attempt", replace(CHANGING, order="pages"), "is lost"),
        ("the lookback is subtracted from the mark", replace(CHANGING, commit_time=30.0), "is lost"),
    ],
)
def test_the_simulation_fails_without_a_rule(
    rule: str, schedule: Schedule, breaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_all() -> None:
        for seed in range(500):
            run(replace(schedule, seed=seed))

    with without(rule, monkeypatch), pytest.raises(AssertionError, match=breaks):
        run_all()
