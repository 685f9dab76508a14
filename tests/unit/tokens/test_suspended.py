"""A process that was suspended during a renewal does not overwrite newer data."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ConsentRequired, InvalidGrant, Overtaken, TokenStoreError
from airflow_provider_oauth.protocol import clock
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.durable_write import write_with_retry
from airflow_provider_oauth.tokens.lease import MAX_EXCHANGE_TIME, TERM, WAIT, Claim
from airflow_provider_oauth.tokens.record import Record, Refusal
from airflow_provider_oauth.tokens.waiting import HOST_LOCK_TIMEOUT, RENEWAL_WAIT_TIMEOUT
from tests.unit.tokens.world import World

if TYPE_CHECKING:
    from collections.abc import Callable


def suspend(world: World, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Suspend the process during its next token or revocation request.

    :param world: its connection
    :param seconds: for how long
    :param meanwhile: called at the end of the suspension
    """

    def freeze() -> None:
        world.endpoint.on_request = lambda: None
        world.clock.seconds += seconds
        meanwhile()

    world.endpoint.on_request = freeze


def others_renew(world: World, **changes: Any) -> None:
    """Store what another process stores after a renewal."""
    now = world.clock.now()
    token = Token(access_token="theirs", issued_at=now, expires_at=now + timedelta(seconds=1000))
    record = replace(
        world.record_of("refresh-of-another"),
        **{"generation": 2, "nonce": "theirs", "tokens": {"": token}, **changes},
    )
    world.store.record, world.store.lease = record, record.nonce


@pytest.fixture
def used(rotating: World) -> World:
    """Return a connection that was used before."""
    others_renew(rotating, generation=1, nonce="first", tokens={}, refresh_token="refresh-0")
    return rotating


# --- renewals


def test_a_newer_record_is_not_overwritten(used: World) -> None:
    suspend(used, 300, lambda: others_renew(used))
    assert used.process().token().access_token == "theirs"
    assert used.store.record.nonce == "theirs"
    assert used.store.writes == []


@pytest.mark.parametrize("generation", [2, 3])
def test_a_stored_record_of_the_same_or_a_higher_generation_replaces_the_renewed_one(
    used: World, generation: int
) -> None:
    suspend(used, 300, lambda: others_renew(used, generation=generation))
    source = used.process()
    source.token()
    used.clock.seconds += 990
    source.token()
    assert used.endpoint.requests == [("refresh", "refresh-0"), ("refresh", "refresh-of-another")]


def test_if_no_other_process_has_renewed_the_token_is_stored_under_a_new_claim(used: World) -> None:
    suspend(used, 70)  # the rest of the claim no longer covers storing, but the claim has not ended
    started = used.clock.seconds
    assert used.process().token().access_token == "token-1"
    assert used.endpoint.requests == [("refresh", "refresh-0")]
    assert used.store.record.refresh_token == "refresh-1"
    assert len(used.store.leases) == 2
    assert used.store.record.nonce == used.store.leases[1]
    assert used.clock.seconds - started < 70 + 6 * WAIT  # it does not wait for its own claim


def test_a_process_waits_only_once_for_a_frozen_process_of_its_host(used: World) -> None:
    used.lock.held_elsewhere = True
    suspend(used, 70)
    used.process().token()
    assert used.store.record.refresh_token == "refresh-1"
    assert used.clock.seconds < HOST_LOCK_TIMEOUT + 70 + 8 * WAIT


def test_a_renewed_token_is_stored_before_a_usable_older_one_is_used(used: World) -> None:
    source = used.process()
    source.token()
    used.clock.seconds = 800
    suspend(used, 70)
    assert source.token().access_token == "token-2"
    assert used.store.record.refresh_token == "refresh-2"


def test_a_process_that_was_suspended_for_longer_than_its_waiting_time_still_stores_the_token(used: World) -> None:
    suspend(used, RENEWAL_WAIT_TIMEOUT + 60)
    assert used.process().token().access_token == "token-1"
    assert used.store.record.refresh_token == "refresh-1"


def test_a_refusal_of_the_older_refresh_token_is_ignored(used: World) -> None:
    def another_is_refused() -> None:
        refused = Refusal(error=ConsentRequired("already used"), until=used.clock.now() + timedelta(days=1))
        used.store.record = replace(used.store.record, nonce="theirs", refused=refused)
        used.store.lease = "theirs"

    suspend(used, 300, another_is_refused)
    assert used.process().token().access_token == "token-1"
    assert (used.store.record.refresh_token, used.store.record.refused) == ("refresh-1", None)


def test_forgotten_tokens_stay_forgotten(used: World) -> None:
    suspend(used, 300, lambda: used.process().actions.forget())
    with pytest.raises(ConsentRequired):
        used.process().token()
    assert used.store.record.refresh_token is None


def test_a_new_authorization_is_not_overwritten(authorized: World) -> None:
    authorized.clock.seconds += 990
    suspend(authorized, 300, lambda: authorized.authorize("second"))
    assert authorized.process().token().access_token == "access-second"
    assert authorized.store.record.refresh_token == "refresh-second"


def test_a_process_does_not_wait_for_its_own_claim_after_a_failed_write(used: World) -> None:
    source = used.process()
    used.store.failing_writes = 10_000

    def the_database_recovers() -> None:
        if used.clock.seconds > TERM + 1:
            used.store.failing_writes = 0

    used.clock.on_sleep = the_database_recovers
    assert source.token().access_token == "token-1"
    assert used.clock.seconds < TERM + 5 * WAIT


def test_while_a_renewed_token_is_not_stored_an_error_does_not_lead_to_the_older_one(used: World) -> None:
    source = used.process()
    source.token()
    used.clock.seconds = 800
    used.endpoint.lifetime = 100_000
    used.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        source.token()
    used.store.failing_writes, used.store.failing_reads = 0, 2
    assert source.token().access_token == "token-2"
    assert used.store.record.refresh_token == "refresh-2"


def test_a_token_that_is_due_is_not_returned_while_a_renewed_one_is_not_stored(used: World) -> None:
    used.endpoint.lifetime = 100_000
    source = used.process()
    source.token()
    used.clock.seconds = 80_000
    used.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        source.token()
    assert used.clock.seconds < 90_000  # the older token is still usable


def test_a_renewed_token_is_stored_even_if_the_older_one_is_not_due(used: World) -> None:
    used.endpoint.lifetime = 100_000
    source = used.process()
    source.token()
    used.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        source.renew()
    used.store.failing_writes = 0
    started = used.clock.seconds
    assert source.token().access_token == "token-2"
    assert used.store.record.refresh_token == "refresh-2"
    assert used.clock.seconds - started < TERM


def test_a_failure_is_not_stored_if_the_claim_no_longer_covers_storing(used: World) -> None:
    before = used.store.record
    suspend(used, 70)
    used.endpoint.errors = [InvalidGrant("already used", error="invalid_grant")]
    with pytest.raises(ConsentRequired):
        used.process().token()
    assert used.store.record is before


def claim_until(world: World, ends: float) -> Claim:
    return Claim(nonce="mine", record=None, exclusive=True, made_at=world.clock.now(), ends=ends)


def test_the_last_attempt_to_store_is_made_before_the_claim_ends(rotating: World) -> None:
    attempts = []

    def fail(record: Record) -> None:
        attempts.append(rotating.clock.seconds)
        raise TokenStoreError("not written")

    rotating.store.write = fail
    with pytest.raises(TokenStoreError):
        write_with_retry(rotating.store, rotating.clock, Record(generation=1), claim_until(rotating, TERM))
    assert TERM - 2 < attempts[-1] <= TERM


def test_after_a_read_that_took_too_long_the_record_is_read_again_before_the_next_write(used: World) -> None:
    store, read = used.store, used.store.read

    def read_slowly() -> Any:
        store.read = read
        record = read()
        used.clock.seconds += WAIT / 2 + 0.1
        others_renew(used)
        return record

    store.failing_writes, store.read = 1, read_slowly
    write_with_retry(store, used.clock, Record(generation=2), claim_until(used, TERM))
    assert store.record.nonce == "theirs"


# --- repeatable grants


@pytest.mark.parametrize("use_refresh", [False, True])
def test_after_a_suspension_the_token_of_a_repeatable_grant_is_used_but_not_stored(
    use_refresh: bool, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(use_refresh=use_refresh)
    world.process().token()
    before = world.store.record
    world.clock.seconds = 990
    suspend(world, 100)
    assert world.process().token().access_token == "token-2"
    assert world.store.record is before
    assert "other tasks request their own" in caplog.text


@pytest.mark.parametrize(("seconds", "is_stored"), [(MAX_EXCHANGE_TIME, True), (MAX_EXCHANGE_TIME + 0.1, False)])
def test_the_token_of_a_repeatable_grant_is_stored_after_the_longest_token_request(
    world: World, seconds: float, is_stored: bool
) -> None:
    suspend(world, seconds)
    world.process().token()
    assert (world.store.record is not None) is is_stored


def test_a_suspended_repeatable_grant_does_not_restore_forgotten_tokens(world: World) -> None:
    suspend(world, 120, lambda: world.process().actions.forget())
    assert world.process().token().access_token == "token-1"
    assert world.store.record.tokens == {}


def test_a_token_requested_after_the_waiting_time_is_not_stored_late(world: World) -> None:
    world.lock.held_elsewhere = True
    suspend(world, 100)
    assert world.process().token().access_token == "token-1"
    assert world.store.record is None


# --- users' actions


ACTS = {
    "consent": lambda source, token: source.actions.store_grant(token),
    "forget": lambda source, token: source.actions.forget(),
    "revoke": lambda source, token: source.actions.revoke(),
}


def acting(world: World, act: str, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Suspend the process of a user's action as soon as it has a claim."""
    source = world.process()
    now = world.clock.now()
    token = Token(access_token="new", refresh_token="refresh-new", issued_at=now, expires_at=now + timedelta(hours=9))
    granted = source._lease._granted

    def freeze(claim: Claim) -> Any:
        source._lease._granted = granted
        world.clock.seconds += seconds / 2
        meanwhile()
        world.clock.seconds += seconds / 2
        return granted(claim)

    source._lease._granted = freeze
    ACTS[act](source, token)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("seconds", [70, 300])
def test_a_users_action_is_repeated_under_another_claim(authorized: World, act: str, seconds: float) -> None:
    acting(authorized, act, seconds)
    assert authorized.store.record.refresh_token == ("refresh-new" if act == "consent" else None)
    assert authorized.store.record.nonce == authorized.store.lease == authorized.store.leases[-1]
    assert len(authorized.store.leases) == 3  # of the first consent, of the first attempt, of the second


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("other", ["consent", "forget"])
def test_a_users_action_does_not_replace_a_later_one(authorized: World, act: str, other: str) -> None:
    def another_decides() -> None:
        authorized.authorize("later") if other == "consent" else authorized.process().actions.forget()
        kept.append(authorized.store.record)

    kept = []
    with pytest.raises(TokenStoreError, match="another user authorized the connection again or deleted") as caught:
        acting(authorized, act, 300, another_decides)
    assert not isinstance(caught.value, Overtaken)
    assert replace(authorized.store.record, nonce="") == replace(kept[0], nonce="")
    assert authorized.store.record.nonce == authorized.store.lease  # the next one need not wait
    assert authorized.endpoint.revoked == []


@pytest.mark.parametrize("act", ACTS)
def test_a_users_action_replaces_a_renewal_that_happened_meanwhile(authorized: World, act: str) -> None:
    record = authorized.store.record
    acting(
        authorized,
        act,
        300,
        lambda: others_renew(
            authorized, generation=record.generation + 1, used_refresh_tokens=record.used_refresh_tokens
        ),
    )
    assert authorized.store.record.refresh_token == ("refresh-new" if act == "consent" else None)


def test_a_revocation_is_repeated_for_tokens_that_were_renewed_meanwhile(authorized: World) -> None:
    record = authorized.store.record
    suspend(
        authorized,
        300,
        lambda: others_renew(
            authorized, generation=record.generation + 1, used_refresh_tokens=record.used_refresh_tokens
        ),
    )
    authorized.process().actions.revoke()
    assert [token for token, _ in authorized.endpoint.revoked] == ["refresh-first", "refresh-of-another", "theirs"]
    assert authorized.store.record.refresh_token is None


def test_a_revocation_does_not_revoke_a_later_authorization(authorized: World) -> None:
    suspend(authorized, 300, lambda: authorized.authorize("later"))
    with pytest.raises(TokenStoreError, match="could not be revoked, because another user"):
        authorized.process().actions.revoke()
    assert authorized.store.record.refresh_token == "refresh-later"
    assert "refresh-later" not in [token for token, _ in authorized.endpoint.revoked]


def test_a_failed_attempt_to_forget_keeps_the_unwritten_record(rotating: World) -> None:
    source = rotating.process()
    rotating.store.failing_writes = 10_000
    for act in (source.token, source.actions.forget):
        with pytest.raises(TokenStoreError):
            act()
    rotating.store.failing_writes = 0
    assert source.token().access_token == "token-1"
    assert rotating.endpoint.requests == [("refresh", "fake-first")]


# --- the clock


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="the system has no such clock")
def test_the_clock_includes_the_time_in_suspend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: 7.0}.__getitem__)
    assert clock.Clock().monotonic() == 7.0


def test_without_such_a_clock_the_monotonic_clock_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_BOOTTIME", None)
    monkeypatch.setattr(time, "monotonic", lambda: 8.0)
    assert clock.Clock().monotonic() == 8.0
