"""The rules of renewal (``docs/renewal.md``) hold in all schedules that Hypothesis generates."""

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

#: Number of schedules of each kind. CI runs at least 10,000 in total.
EXAMPLES = int(os.environ.get("SCHEDULES", "2500"))
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="SCHEDULES" not in os.environ,  # CI always runs the same schedules; SCHEDULES runs others
    suppress_health_check=list(HealthCheck),
)
share = st.floats(0, 1)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Turn off logging, which would take most of the time."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def schedules(**faults: Any) -> st.SearchStrategy[Schedule]:
    """Return schedules with faults, given the largest share of each."""
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
    "no faults": {},
    "processes are killed or sleep too long": {"crashes": 0.02, "naps": 0.1},
    "processes sleep far too long": {"naps": 0.3, "nap": 150.0, "late": 0.02},
    "storage fails and reads find nothing": {"failing": 0.04, "absent": 0.02},
    "storage is late": {"late": 0.15, "naps": 0.05},
    "storage is late and reads find nothing": {"late": 0.15, "absent": 0.01},
    "storage is late and fails": {"late": 0.1, "failing": 0.05},
    "the server is down and responses are lost": {"down": 0.3, "lost": 0.1},
    "processes are frozen": {"freezes": 0.01, "stalls": 0.4},
    "processes are frozen and killed": {"freezes": 0.01, "stalls": 0.4, "crashes": 0.01},
    "processes are frozen and storage is late and fails": {
        "freezes": 0.01, "stalls": 0.4, "late": 0.05, "failing": 0.02
    },
    "processes are frozen, the server is down and responses are lost": {
        "freezes": 0.01, "stalls": 0.4, "down": 0.1, "lost": 0.05
    },
    "all faults": {
        "crashes": 0.01, "naps": 0.03, "failing": 0.02, "absent": 0.01, "late": 0.15, "down": 0.1, "lost": 0.05
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_no_refresh_token_is_used_by_two_processes_and_none_is_lost_except_with_a_lost_response(kind: str) -> None:
    @SETTINGS
    @given(schedules(**KINDS[kind]))
    def holds(schedule: Schedule) -> None:
        run(schedule)

    holds()


@pytest.mark.parametrize("kind", KINDS)
def test_a_renewal_never_undoes_what_a_user_has_authorized_revoked_or_forgotten(kind: str) -> None:
    @settings(SETTINGS, max_examples=max(EXAMPLES // 4, 50))
    @given(schedules(**KINDS[kind]), st.sampled_from([1, 2, 3]))
    def holds(schedule: Schedule, users: int) -> None:
        run(replace(schedule, users=users))

    holds()


def delete_the_lease(schedule: Schedule) -> None:
    run(replace(schedule, new=False, deletions=5))


def test_the_rules_hold_if_a_user_deletes_the_lease() -> None:
    settings(SETTINGS, max_examples=max(EXAMPLES // 4, 50))(given(schedules())(delete_the_lease))()


@settings(SETTINGS, max_examples=max(EXAMPLES // 20, 50))
@given(schedules(crashes=0.005, failing=0.01, late=0.02).map(lambda each: replace(each, processes=32, hosts=32)))
def test_the_rules_hold_with_32_hosts(schedule: Schedule) -> None:
    run(schedule)


# --- the simulation fails without a rule


FROZEN = "processes are frozen"


@pytest.mark.parametrize(
    ("rule", "kind", "users", "breaks"),
    [
        ("the lease", "no faults", 0, LOST),
        ("the wait", "no faults", 0, LOST),
        ("the term", "no faults", 0, LOST),
        ("the check that the record is unchanged", "storage is late and reads find nothing", 0, LOST),
        ("the check of the claim before a write", FROZEN, 0, OLDER),
        ("the check of the claim before a write", FROZEN, 3, OLDER),
        ("the unwritten record", FROZEN, 0, LOST),
        ("the generation check of the unwritten record", FROZEN, 0, LOST),
        (
            "the rule that an unwritten record is stored before a token is used",
            f"{FROZEN} and storage is late and fails",
            0,
            UNWRITTEN,
        ),
        ("the rule that an unwritten record makes a refusal irrelevant", FROZEN, 0, UNWRITTEN),
        ("the repetition after a freeze", FROZEN, 0, UNWRITTEN),
        ("the rule that the last own nonce is free", FROZEN, 0, LOST),
        ("the check for a later action", FROZEN, 3, "later action|later authorization"),
    ],
)
def test_the_simulation_fails_without_a_rule(
    rule: str, kind: str, users: int, breaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @settings(SETTINGS, max_examples=20_000, derandomize=True, phases=[Phase.generate])
    @given(schedules(**KINDS[kind]))
    def holds(schedule: Schedule) -> None:
        run(replace(schedule, users=users))

    with without(rule, monkeypatch), pytest.raises(AssertionError, match=breaks):
        holds()


def test_the_simulation_fails_without_the_longer_wait_if_only_the_lease_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    holds = settings(SETTINGS, max_examples=20_000, derandomize=True, phases=[Phase.generate])(
        given(schedules())(delete_the_lease)
    )
    with without("the longer wait if the lease is missing but not the record", monkeypatch):  # noqa: SIM117
        with pytest.raises(AssertionError, match=LOST):
            holds()


def test_the_simulation_fails_with_a_clock_that_stops_in_suspend() -> None:
    @settings(SETTINGS, max_examples=20_000, derandomize=True, phases=[Phase.generate])
    @given(schedules(**KINDS[FROZEN]))
    def holds(schedule: Schedule) -> None:
        run(replace(schedule, stops_clocks=True))

    with pytest.raises(AssertionError, match=OLDER):
        holds()


def test_the_simulation_fails_if_forget_deletes_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def delete(self: GrantActions, claim: Claim) -> None:
        self._store.world.record = None  # type: ignore[attr-defined]

    monkeypatch.setattr(GrantActions, "_forget", delete)

    @settings(SETTINGS, max_examples=500, derandomize=True, phases=[Phase.generate])
    @given(schedules())
    def holds(schedule: Schedule) -> None:
        run(replace(schedule, users=2))

    with pytest.raises(AssertionError, match="was replaced or forgotten|again, after"):
        holds()


def slow_process() -> list[str]:
    """Run a process that sleeps too long after it has written its claim, and then has a slow token request."""
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


def test_a_claim_is_not_used_if_its_rest_does_not_cover_request_and_storing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert slow_process() == []
    with without("the check that the rest of the term covers request and storing", monkeypatch):
        assert any("again, after" in problem for problem in slow_process())


def late_void_claim(seed: int) -> list[str]:
    """Run a process whose void claim overwrites the claim of another process, which has a slow token request."""
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


def test_a_process_waits_even_for_its_own_void_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(late_void_claim(seed) for seed in range(10))
    with without("the rule that the nonce of a void claim is not free", monkeypatch):
        assert any("again, after" in problem for seed in range(10) for problem in late_void_claim(seed))


@pytest.mark.parametrize("act", ["authorize", "revoke", "forget"])
def test_a_users_action_is_repeated_after_a_freeze(act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def frozen() -> list[str]:
        world = World(Schedule(processes=0, spread=0.0, stalls=1.0, users=1))
        world.random.choice = lambda choices: act  # type: ignore[method-assign]
        freezes = iter([200.0])
        world.random.uniform = lambda low, high: next(freezes, 0.0) if high == 300.0 else high  # type: ignore[method-assign]
        world.run()
        return world.referee.problems

    assert frozen() == []
    with without("the repetition after a freeze", monkeypatch):
        assert any(f"did not try again to {act}" in problem for problem in frozen())


# --- a process that is killed


def killed_at(step: int, schedule: Schedule) -> tuple[World, bool]:
    """Kill the only process at one of its steps, then run another one; also return whether the first was killed."""
    world = World(replace(schedule, rounds=1, spread=0.0))
    world.start(0, 1).dies_at = step
    world.run_all()
    died = len(world.processes) > 1  # the process that replaces it
    assert not world.referee.problems, world.referee.problems
    return world, died


@pytest.mark.parametrize("new", [False, True])
def test_the_next_process_recovers_from_a_kill_at_any_step(new: bool) -> None:
    schedule = Schedule(new=new, grace=True)
    step, died = 1, True
    while died:
        world, died = killed_at(step, schedule)
        waited = world.processes[-1].waits[0]
        # L after it has first seen the nonce of the killed process, then the random wait, W and its own renewal.
        assert waited < TERM + 2 * WAIT + (lease.EXCHANGE_TIMEOUT if new else 0) + 5, step
        assert world.record is not None
        assert world.record.refresh_token == world.server.valid[0], step
        # A used refresh token is sent again only if the first process was killed before it could store the new one.
        assert len(world.server.uses[FIRST]) <= 2
        step += 1
    assert step > 20


def test_after_a_kill_between_request_and_storing_the_old_token_is_sent_once_and_then_consent_is_required() -> None:
    schedule = Schedule(grace=False)
    step, died, refusals = 1, True, []
    while died:
        world, died = killed_at(step, schedule)
        if world.lost_a_response():
            refusals.append(world.record.refused if world.record else None)
            assert world.server.requests == 2
        step += 1
    assert len(refusals) == 2  # killed while it waits for the response, and while it writes the record
    assert all(refused and "no longer accepts" in str(refused.error) for refused in refusals)


# --- limits


def test_a_process_frozen_between_its_last_check_and_its_token_request_cannot_be_stopped() -> None:
    """This is a limit of the lease, see "Limits" in docs/renewal.md. The test documents it."""
    world = World(Schedule(grace=False))
    frozen = world.start(0, 1)
    refresh = frozen.endpoint.refresh

    def continue_after_the_term(refresh_token: str, access_token: str | None = None, *, retry: bool = True) -> Any:
        world.start(1, 1)
        frozen.pause(TERM + 30)
        return refresh(refresh_token, retry=retry)

    frozen.endpoint.refresh = continue_after_the_term  # type: ignore[method-assign]
    world.run_all()
    assert world.processes[1].waits[0] > TERM - 5  # it has waited for the whole term
    assert world.referee.problems == []
    assert any("process 1 used fake-first again, after [process 2" in event for event in world.referee.excused)


@pytest.mark.parametrize(("seconds", "is_replaced"), [(60.0, False), (2 * TERM, True)])
def test_a_process_frozen_between_its_check_and_its_write_replaces_a_newer_record(
    seconds: float, is_replaced: bool
) -> None:
    """This is a limit too, see "Limits" in docs/renewal.md."""
    world = World(Schedule(grace=True, spread=0.0))
    frozen = world.start(0, 1)
    write = frozen.source._lease._store._write  # type: ignore[attr-defined]

    def continue_late(land: Any, longest: float) -> None:
        def land_late() -> None:
            frozen.freeze(seconds)
            land()

        if longest == RECORD_TIMEOUT and len(world.processes) == 1:
            world.start(1, 1)
            return write(land_late, longest)
        return write(land, longest)

    frozen.source._lease._store._write = continue_late  # type: ignore[attr-defined]
    world.run_all()
    assert world.referee.problems == []
    assert (
        any("process 1 replaced the record of a newer claim" in event for event in world.referee.excused) is is_replaced
    )
    assert world.referee.older_over_newer == is_replaced


def test_under_steady_load_each_period_causes_one_token_request() -> None:
    @settings(SETTINGS, max_examples=500)
    @given(schedules().map(lambda each: replace(each, rounds=6, skew=0.0, lifetime=max(each.lifetime, 180.0))))
    def holds(schedule: Schedule) -> None:
        world = run(schedule)
        assert world.server.requests <= 1 + world.now / (0.7 * schedule.lifetime), schedule

    holds()


def test_the_waiting_time_is_longer_than_a_dead_process_claim_and_a_slow_renewal() -> None:
    assert (
        waiting.RENEWAL_WAIT_TIMEOUT
        > TERM + 2 * WAIT + lease.EXCHANGE_TIMEOUT + lease.MAX_EXCHANGE_TIME + lease.MAX_STORING_TIME
    )
