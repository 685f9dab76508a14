"""The rules of renewal, under schedules that hypothesis makes up: ``docs/renewal.md`` explains them."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_oauth.tokens import lease, waiting
from airflow_provider_oauth.tokens.grant_actions import GrantActions
from airflow_provider_oauth.tokens.lease import TERM, WAIT, Claim
from tests.simulation.rules import LOST, OLDER, UNWRITTEN, without
from tests.simulation.schedule import Schedule
from tests.simulation.server import FIRST
from tests.simulation.world import RECORD_TIMEOUT, World, run

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Schedules of each kind. CI runs at least 10,000 in all.
EXAMPLES = int(os.environ.get("SCHEDULES", "2500"))
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="SCHEDULES" not in os.environ,  # the same ones every time in CI; others where somebody asks for more
    suppress_health_check=list(HealthCheck),
)
share = st.floats(0, 1)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Logging takes most of the time otherwise."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def schedules(**faults: Any) -> st.SearchStrategy[Schedule]:
    """Return schedules with up to so many faults: the greatest share of each, by its name."""
    return st.builds(
        Schedule,
        seed=st.integers(0, 2**32),
        processes=st.sampled_from([2, 3, 5, 8]),
        hosts=st.sampled_from([8, 2, 1]),
        lifetime=st.sampled_from([180.0, 3600.0, 3.0]),
        rounds=st.sampled_from([1, 2, 4]),
        spread=st.sampled_from([5.0, 0.1, 200.0]),
        grace=st.booleans(),
        skew=st.sampled_from([0.0, 300.0, -300.0]),
        new=st.booleans(),
        **{name: st.sampled_from([greatest, greatest / 4]) for name, greatest in faults.items()},
    )


KINDS: dict[str, dict[str, float]] = {
    "all is well": {},
    "processes are killed, or sleep too long": {"crashes": 0.02, "naps": 0.1},
    "processes sleep far too long": {"naps": 0.3, "nap": 150.0, "late": 0.02},
    "storage fails, and reads find nothing": {"failing": 0.04, "absent": 0.02},
    "storage is late": {"late": 0.15, "naps": 0.05},
    "storage is late, and reads find nothing": {"late": 0.15, "absent": 0.01},
    "storage is late, and fails": {"late": 0.1, "failing": 0.05},
    "the server is down, and answers are lost": {"down": 0.3, "lost": 0.1},
    "processes are frozen": {"freezes": 0.01, "stalls": 0.4},
    "processes are frozen, and killed": {"freezes": 0.01, "stalls": 0.4, "crashes": 0.01},
    "processes are frozen, storage is late, and fails": {
        "freezes": 0.01, "stalls": 0.4, "late": 0.05, "failing": 0.02
    },
    "processes are frozen, the server is down, and answers are lost": {
        "freezes": 0.01, "stalls": 0.4, "down": 0.1, "lost": 0.05
    },
    "everything at once": {
        "crashes": 0.01, "naps": 0.03, "failing": 0.02, "absent": 0.01, "late": 0.15, "down": 0.1, "lost": 0.05
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_no_refresh_token_is_used_by_two_processes_and_none_is_lost_but_by_a_lost_answer(kind: str) -> None:
    @SETTINGS
    @given(schedules(**KINDS[kind]))
    def holds(schedule: Schedule) -> None:
        run(schedule)

    holds()


@pytest.mark.parametrize("kind", KINDS)
def test_what_people_have_consented_to_or_forgotten_stays_so(kind: str) -> None:
    @settings(SETTINGS, max_examples=max(EXAMPLES // 4, 50))
    @given(schedules(**KINDS[kind]), st.sampled_from([1, 2, 3]))
    def holds(schedule: Schedule, people: int) -> None:
        run(replace(schedule, people=people))

    holds()


def delete_the_lease(schedule: Schedule) -> None:
    run(replace(schedule, new=False, deletions=5))


def test_it_holds_though_somebody_deletes_the_lease() -> None:
    settings(SETTINGS, max_examples=max(EXAMPLES // 4, 50))(given(schedules())(delete_the_lease))()


@settings(SETTINGS, max_examples=max(EXAMPLES // 20, 50))
@given(schedules(crashes=0.005, failing=0.01, late=0.02).map(lambda each: replace(each, processes=32, hosts=32)))
def test_it_holds_with_32_hosts_too(schedule: Schedule) -> None:
    run(schedule)


# --- that the simulation would notice


FROZEN = "processes are frozen"


@pytest.mark.parametrize(
    ("rule", "kind", "people", "breaks"),
    [
        ("the lease", "all is well", 0, LOST),
        ("the wait", "all is well", 0, LOST),
        ("that the lease is given up only after its term", "all is well", 0, LOST),
        ("that the record is unchanged", "storage is late, and reads find nothing", 0, LOST),
        ("that a write begins only while the claim covers it", FROZEN, 0, OLDER),
        ("that a write begins only while the claim covers it", FROZEN, 3, OLDER),
        ("that a renewed record is kept until it is stored", FROZEN, 0, LOST),
        ("that a stored record of the same generation replaces it", FROZEN, 0, LOST),
        ("that nothing is used instead of it", f"{FROZEN}, storage is late, and fails", 0, UNWRITTEN),
        ("that a refusal of the older refresh token does not matter then", FROZEN, 0, UNWRITTEN),
        ("that a process that was frozen tries again", FROZEN, 0, UNWRITTEN),
        ("that the last own nonce is free", FROZEN, 0, LOST),
        ("that a later decision is respected", FROZEN, 3, "later decision|consented to later"),
    ],
)
def test_without_a_rule_it_fails(
    rule: str, kind: str, people: int, breaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @settings(SETTINGS, max_examples=20_000, derandomize=True, phases=[Phase.generate])
    @given(schedules(**KINDS[kind]))
    def holds(schedule: Schedule) -> None:
        run(replace(schedule, people=people))

    with without(rule, monkeypatch), pytest.raises(AssertionError, match=breaks):
        holds()


def test_if_an_absent_lease_was_believed_though_there_is_a_record_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    holds = settings(SETTINGS, max_examples=20_000, derandomize=True, phases=[Phase.generate])(
        given(schedules())(delete_the_lease)
    )
    with without("that an absent lease is believed only if there is no record either", monkeypatch):  # noqa: SIM117
        with pytest.raises(AssertionError, match=LOST):
            holds()


def test_with_a_clock_that_stops_in_suspend_it_fails() -> None:
    @settings(SETTINGS, max_examples=20_000, derandomize=True, phases=[Phase.generate])
    @given(schedules(**KINDS[FROZEN]))
    def holds(schedule: Schedule) -> None:
        run(replace(schedule, stops_clocks=True))

    with pytest.raises(AssertionError, match=OLDER):
        holds()


def test_if_forgetting_deleted_the_record_what_was_spent_would_be_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def delete(self: GrantActions, claim: Claim) -> None:
        self._store.world.record = None  # type: ignore[attr-defined]

    monkeypatch.setattr(GrantActions, "_forget", delete)

    @settings(SETTINGS, max_examples=500, derandomize=True, phases=[Phase.generate])
    @given(schedules())
    def holds(schedule: Schedule) -> None:
        run(replace(schedule, people=2))

    with pytest.raises(AssertionError, match="was replaced or forgotten|again, after"):
        holds()


def a_holder_is_slow() -> list[str]:
    """Let a process sleep while its claim settles, and the server be slow then; another waits for the lease."""
    world = World(Schedule(grace=False, spread=0.0))
    slow = world.start(0, 1)
    sleep, refresh = slow.source._lease._let_settle, slow.endpoint.refresh

    def oversleep(seconds: float) -> None:
        world.start(1, 1)
        slow.pause(75)
        sleep(seconds)

    def take_long(refresh_token: str, access_token: str | None = None, *, retry: bool = True) -> Any:
        token = refresh(refresh_token, retry=retry)
        slow.pause(19)
        return token

    slow.source._lease._let_settle = oversleep  # type: ignore[method-assign]
    slow.endpoint.refresh = take_long  # type: ignore[method-assign]
    world.run_all()
    return world.referee.problems


def test_a_claim_is_given_up_if_its_rest_does_not_cover_exchange_and_storing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert a_holder_is_slow() == []
    with without("that the rest of the term covers exchange and storing", monkeypatch):
        assert any("again, after" in problem for problem in a_holder_is_slow())


def a_void_claim_lands_on_a_holders(seed: int) -> list[str]:
    """Let a process write its claim so late that it is void, over that of another one, whose server is slow."""
    world = World(Schedule(seed=seed, grace=False, spread=0.0))
    holder, late = world.start(0, 1), world.start(1, 1)
    refresh, write_lease = holder.endpoint.refresh, late.source._lease._store.write_lease

    def take_long(refresh_token: str, access_token: str | None = None, *, retry: bool = True) -> Any:
        token = refresh(refresh_token, retry=retry)
        holder.pause(19)
        return token

    delays = iter([8.0])

    def be_late(nonce: str) -> None:
        late.pause(next(delays, 0.0))
        write_lease(nonce)

    holder.endpoint.refresh = take_long  # type: ignore[method-assign]
    late.source._lease._store.write_lease = be_late  # type: ignore[method-assign]
    world.run_all()
    return world.referee.problems


def test_a_void_claim_is_waited_for_even_by_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(a_void_claim_lands_on_a_holders(seed) for seed in range(10))
    with without("that the nonce of a void claim is not free", monkeypatch):
        assert any("again, after" in problem for seed in range(10) for problem in a_void_claim_lands_on_a_holders(seed))


@pytest.mark.parametrize("act", ["consent", "revoke", "forget"])
def test_a_person_whose_process_was_frozen_under_a_claim_is_not_asked_to_try_again(
    act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def frozen() -> list[str]:
        world = World(Schedule(processes=0, spread=0.0, stalls=1.0, people=1))
        world.random.choice = lambda choices: act  # type: ignore[method-assign]
        freezes = iter([200.0])
        world.random.uniform = lambda low, high: next(freezes, 0.0) if high == 300.0 else high  # type: ignore[method-assign]
        world.run()
        return world.referee.problems

    assert frozen() == []
    with without("that a process that was frozen tries again", monkeypatch):
        assert any(f"did not try again to {act}" in problem for problem in frozen())


# --- a process that is killed


def killed_at(seam: int, schedule: Schedule) -> tuple[World, bool]:
    """Kill the only process at one of its seams, then let another one want a token; also return whether it died."""
    world = World(replace(schedule, rounds=1, spread=0.0))
    world.start(0, 1).dies_at = seam
    world.run_all()
    died = len(world.processes) > 1  # the one that takes its place is the next
    assert not world.referee.problems, world.referee.problems
    return world, died


@pytest.mark.parametrize("new", [False, True])
def test_a_process_killed_between_any_two_steps_leaves_a_state_that_the_next_recovers_from(new: bool) -> None:
    schedule = Schedule(new=new, grace=True)
    seam, died = 1, True
    while died:
        world, died = killed_at(seam, schedule)
        waited = world.processes[-1].waits[0]
        # From first seeing the lease of the dead: L, W, the random moment, and its own renewal.
        assert waited < TERM + 2 * WAIT + (lease.EXCHANGE_TIMEOUT if new else 0) + 5, seam
        assert world.record is not None
        assert world.record.refresh_token == world.server.valid[0], seam
        # With the newest stored token; what was used already only if the first process died before it could store.
        assert len(world.server.uses[FIRST]) <= 2
        seam += 1
    assert seam > 20


def test_killed_between_sending_and_storing_the_next_sends_the_old_token_once_and_then_asks_for_consent() -> None:
    schedule = Schedule(grace=False)
    seam, died, asked = 1, True, []
    while died:
        world, died = killed_at(seam, schedule)
        if world.lost_an_answer():
            asked.append(world.record.refused if world.record else None)
            assert world.server.requests == 2
        seam += 1
    assert len(asked) == 2  # while it waits for the answer, and while it writes the record
    assert all(refused and "no longer accepts" in str(refused.error) for refused in asked)


# --- beyond the bounds


def test_a_holder_frozen_between_its_last_check_and_the_token_request_cannot_be_stopped_by_a_lease() -> None:
    """This is a limit of the lease, see "Limits" in docs/renewal.md. The test documents it."""
    world = World(Schedule(grace=False))
    frozen = world.start(0, 1)
    refresh = frozen.endpoint.refresh

    def wake_up_after_the_term(refresh_token: str, access_token: str | None = None, *, retry: bool = True) -> Any:
        world.start(1, 1)
        frozen.pause(TERM + 30)
        return refresh(refresh_token, retry=retry)

    frozen.endpoint.refresh = wake_up_after_the_term  # type: ignore[method-assign]
    world.run_all()
    assert world.processes[1].waits[0] > TERM - 5  # it gave the frozen one all the time that was due
    assert world.referee.problems == []
    assert any("process 1 used fake-first again, after [process 2" in event for event in world.referee.remains)


@pytest.mark.parametrize(("seconds", "is_replaced"), [(60.0, False), (2 * TERM, True)])
def test_a_holder_frozen_between_its_check_and_the_write_replaces_a_newer_record(
    seconds: float, is_replaced: bool
) -> None:
    """This is a limit too, see "Limits" in docs/renewal.md."""
    world = World(Schedule(grace=True, spread=0.0))
    frozen = world.start(0, 1)
    write = frozen.source._lease._store._write  # type: ignore[attr-defined]

    def wake_up_late(land: Any, longest: float) -> None:
        def land_late() -> None:
            frozen.freeze(seconds)
            land()

        if longest == RECORD_TIMEOUT and len(world.processes) == 1:
            world.start(1, 1)
            return write(land_late, longest)
        return write(land, longest)

    frozen.source._lease._store._write = wake_up_late  # type: ignore[attr-defined]
    world.run_all()
    assert world.referee.problems == []
    assert (
        any("process 1 replaced the record of a newer claim" in event for event in world.referee.remains) is is_replaced
    )
    assert world.referee.older_over_newer == is_replaced


def test_under_steady_load_each_period_costs_one_token_request() -> None:
    @settings(SETTINGS, max_examples=500)
    @given(schedules().map(lambda each: replace(each, rounds=6, skew=0.0, lifetime=max(each.lifetime, 180.0))))
    def holds(schedule: Schedule) -> None:
        world = run(schedule)
        assert world.server.requests <= 1 + world.now / (0.7 * schedule.lifetime), schedule

    holds()


def test_patience_outlasts_a_dead_holder_and_a_slow_renewal() -> None:
    assert (
        waiting.RENEWAL_WAIT_TIMEOUT
        > TERM + 2 * WAIT + lease.EXCHANGE_TIMEOUT + lease.MAX_EXCHANGE_TIME + lease.MAX_STORING_TIME
    )
