"""What a process does that was suspended in the middle of a renewal: it does not overwrite newer state."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_provider_oauth.exceptions import ConsentRequired, InvalidGrant, Overtaken, TokenStoreError
from airflow_provider_oauth.protocol import clock
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.durable_write import write_with_retry
from airflow_provider_oauth.tokens.lease import MAX_EXCHANGE_TIME, TERM, WAIT, Claim
from airflow_provider_oauth.tokens.record import Record, Refusal
from airflow_provider_oauth.tokens.waiting import HOST_LOCK_TIMEOUT, RENEWAL_WAIT_TIMEOUT
from tests.unit.tokens.world import World


def suspend(world, seconds, meanwhile=lambda: None):
    """Suspend the process in its next token or revocation request."""

    def stand_still():
        world.endpoint.during = lambda: None
        world.clock.seconds += seconds
        meanwhile()

    world.endpoint.during = stand_still


def others_renew(world, **changes):
    """Leave what another process leaves that has renewed."""
    now = world.clock.now()
    token = Token(access_token="theirs", issued_at=now, expires_at=now + timedelta(seconds=1000))
    record = replace(
        world.record_of("refresh-of-another"),
        **{"generation": 2, "nonce": "theirs", "tokens": {"": token}, **changes},
    )
    world.store.record, world.store.lease = record, record.nonce


@pytest.fixture
def used(rotating):
    """A connection that was used before."""
    others_renew(rotating, generation=1, nonce="first", tokens={}, refresh_token="refresh-0")
    return rotating


@pytest.fixture
def consented():
    """A connection to which a person has consented."""
    world = World(grant_type="authorization_code")
    consent(world, "first")
    return world


def consent(world, name):
    now = world.clock.now()
    world.process().actions.store_grant(
        Token(
            access_token=f"access-{name}",
            refresh_token=f"refresh-{name}",
            issued_at=now,
            expires_at=now + timedelta(seconds=1000),
        )
    )


# --- renewals


def test_a_newer_record_is_not_overwritten(used):
    suspend(used, 300, lambda: others_renew(used))
    assert used.process().token().access_token == "theirs"
    assert used.store.record.nonce == "theirs"
    assert used.store.writes == []


@pytest.mark.parametrize("generation", [2, 3])
def test_a_record_of_the_same_generation_or_a_higher_one_replaces_the_renewed_token(used, generation):
    suspend(used, 300, lambda: others_renew(used, generation=generation))
    source = used.process()
    source.token()
    used.clock.seconds += 990
    source.token()
    assert used.endpoint.asked == [("refresh", "refresh-0"), ("refresh", "refresh-of-another")]


def test_if_nobody_else_has_renewed_the_token_is_stored_under_a_new_claim(used):
    suspend(used, 70)  # the claim covers storing no more, but has not ended
    begun = used.clock.seconds
    assert used.process().token().access_token == "token-1"
    assert used.endpoint.asked == [("refresh", "refresh-0")]
    assert used.store.record.refresh_token == "refresh-1"
    assert len(used.store.leases) == 2
    assert used.store.record.nonce == used.store.leases[1]
    assert used.clock.seconds - begun < 70 + 6 * WAIT  # it does not wait for its own claim


def test_a_process_of_the_host_that_is_frozen_is_not_waited_for_twice(used):
    used.lock.taken_elsewhere = True
    suspend(used, 70)
    used.process().token()
    assert used.store.record.refresh_token == "refresh-1"
    assert used.clock.seconds < HOST_LOCK_TIMEOUT + 70 + 8 * WAIT


def test_a_usable_token_is_not_used_instead_of_one_that_has_to_be_stored_first(used):
    source = used.process()
    source.token()
    used.clock.seconds = 800
    suspend(used, 70)
    assert source.token().access_token == "token-2"
    assert used.store.record.refresh_token == "refresh-2"


def test_a_process_that_was_suspended_for_longer_than_it_waits_for_others_still_stores_the_token(used):
    suspend(used, RENEWAL_WAIT_TIMEOUT + 60)
    assert used.process().token().access_token == "token-1"
    assert used.store.record.refresh_token == "refresh-1"


def test_a_refusal_of_the_older_refresh_token_does_not_matter(used):
    def another_is_refused():
        refused = Refusal(error=ConsentRequired("spent"), until=used.clock.now() + timedelta(days=1))
        used.store.record = replace(used.store.record, nonce="theirs", refused=refused)
        used.store.lease = "theirs"

    suspend(used, 300, another_is_refused)
    assert used.process().token().access_token == "token-1"
    assert (used.store.record.refresh_token, used.store.record.refused) == ("refresh-1", None)


def test_forgotten_tokens_stay_forgotten(used):
    suspend(used, 300, lambda: used.process().actions.forget())
    with pytest.raises(ConsentRequired):
        used.process().token()
    assert used.store.record.refresh_token is None


def test_a_new_consent_stays(consented):
    consented.clock.seconds += 990
    suspend(consented, 300, lambda: consent(consented, "second"))
    assert consented.process().token().access_token == "access-second"
    assert consented.store.record.refresh_token == "refresh-second"


def test_a_claim_whose_record_could_not_be_written_is_not_waited_for(used):
    source = used.process()
    used.store.failing_writes = 10_000

    def the_database_recovers():
        if used.clock.seconds > TERM + 1:
            used.store.failing_writes = 0

    used.clock.on_sleep = the_database_recovers
    assert source.token().access_token == "token-1"
    assert used.clock.seconds < TERM + 5 * WAIT


def test_while_a_renewed_token_is_not_stored_no_error_leads_to_the_older_one(used):
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


def test_a_token_that_is_due_is_not_returned_while_a_renewed_one_is_not_stored(used):
    used.endpoint.lifetime = 100_000
    source = used.process()
    source.token()
    used.clock.seconds = 80_000
    used.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        source.token()
    assert used.clock.seconds < 90_000  # the older token is still usable


def test_a_renewed_token_is_stored_though_the_older_one_needs_no_renewal(used):
    used.endpoint.lifetime = 100_000
    source = used.process()
    source.token()
    used.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        source.renew()
    used.store.failing_writes = 0
    begun = used.clock.seconds
    assert source.token().access_token == "token-2"
    assert used.store.record.refresh_token == "refresh-2"
    assert used.clock.seconds - begun < TERM


def test_a_failure_is_not_noted_under_a_claim_that_covers_storing_no_more(used):
    before = used.store.record
    suspend(used, 70)
    used.endpoint.errors = [InvalidGrant("spent", error="invalid_grant")]
    with pytest.raises(ConsentRequired):
        used.process().token()
    assert used.store.record is before


def claim_until(world, ends):
    return Claim(nonce="mine", record=None, exclusive=True, made_at=world.clock.now(), ends=ends)


def test_the_last_attempt_to_store_is_made_before_the_claim_ends(rotating):
    attempts = []

    def fail(record):
        attempts.append(rotating.clock.seconds)
        raise TokenStoreError("not written")

    rotating.store.write = fail
    with pytest.raises(TokenStoreError):
        write_with_retry(rotating.store, rotating.clock, Record(generation=1), claim_until(rotating, TERM))
    assert TERM - 2 < attempts[-1] <= TERM


def test_after_a_read_that_took_too_long_the_record_is_read_again_before_the_next_write(used):
    store, read = used.store, used.store.read

    def read_slowly():
        store.read = read
        record = read()
        used.clock.seconds += WAIT / 2 + 0.1
        others_renew(used)
        return record

    store.failing_writes, store.read = 1, read_slowly
    write_with_retry(store, used.clock, Record(generation=2), claim_until(used, TERM))
    assert store.record.nonce == "theirs"


# --- grants that can be repeated


@pytest.mark.parametrize("use_refresh", [False, True])
def test_the_token_of_a_repeatable_grant_is_used_but_not_stored(use_refresh, caplog):
    world = World(use_refresh=use_refresh)
    world.process().token()
    before = world.store.record
    world.clock.seconds = 990
    suspend(world, 100)
    assert world.process().token().access_token == "token-2"
    assert world.store.record is before
    assert "other tasks request their own" in caplog.text


@pytest.mark.parametrize(("seconds", "is_stored"), [(MAX_EXCHANGE_TIME, True), (MAX_EXCHANGE_TIME + 0.1, False)])
def test_the_token_of_a_repeatable_grant_is_stored_after_the_longest_exchange(world, seconds, is_stored):
    suspend(world, seconds)
    world.process().token()
    assert (world.store.record is not None) is is_stored


def test_a_repeatable_grant_does_not_undo_that_its_tokens_were_forgotten(world):
    suspend(world, 120, lambda: world.process().actions.forget())
    assert world.process().token().access_token == "token-1"
    assert world.store.record.tokens == {}


def test_the_last_resort_of_a_repeatable_grant_is_not_stored_late_either(world):
    world.lock.taken_elsewhere = True
    suspend(world, 100)
    assert world.process().token().access_token == "token-1"
    assert world.store.record is None


# --- what people decide


ACTS = {
    "consent": lambda source, token: source.actions.store_grant(token),
    "forget": lambda source, token: source.actions.forget(),
    "revoke": lambda source, token: source.actions.revoke(),
}


def acting(world, act, seconds, meanwhile=lambda: None):
    """Suspend the process of a person as soon as it has a claim."""
    source = world.process()
    now = world.clock.now()
    token = Token(access_token="new", refresh_token="refresh-new", issued_at=now, expires_at=now + timedelta(hours=9))
    granted = source._lease._granted

    def stand_still(claim):
        source._lease._granted = granted
        world.clock.seconds += seconds / 2
        meanwhile()
        world.clock.seconds += seconds / 2
        return granted(claim)

    source._lease._granted = stand_still
    ACTS[act](source, token)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("seconds", [70, 300])
def test_a_decision_is_stored_under_another_claim(consented, act, seconds):
    acting(consented, act, seconds)
    assert consented.store.record.refresh_token == ("refresh-new" if act == "consent" else None)
    assert consented.store.record.nonce == consented.store.lease == consented.store.leases[-1]
    assert len(consented.store.leases) == 3  # of the first consent, of the first attempt, of the second


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("other", ["consent", "forget"])
def test_a_decision_does_not_replace_a_later_one(consented, act, other):
    def another_decides():
        consent(consented, "later") if other == "consent" else consented.process().actions.forget()
        kept.append(consented.store.record)

    kept = []
    with pytest.raises(TokenStoreError, match="another user has authorized the connection or forgotten") as caught:
        acting(consented, act, 300, another_decides)
    assert not isinstance(caught.value, Overtaken)
    assert replace(consented.store.record, nonce="") == replace(kept[0], nonce="")
    assert consented.store.record.nonce == consented.store.lease  # the next one need not wait
    assert consented.endpoint.revoked == []


@pytest.mark.parametrize("act", ACTS)
def test_a_decision_replaces_what_was_renewed_meanwhile(consented, act):
    record = consented.store.record
    acting(
        consented,
        act,
        300,
        lambda: others_renew(
            consented, generation=record.generation + 1, used_refresh_tokens=record.used_refresh_tokens
        ),
    )
    assert consented.store.record.refresh_token == ("refresh-new" if act == "consent" else None)


def test_revoking_is_repeated_for_what_was_renewed_meanwhile(consented):
    record = consented.store.record
    suspend(
        consented,
        300,
        lambda: others_renew(
            consented, generation=record.generation + 1, used_refresh_tokens=record.used_refresh_tokens
        ),
    )
    consented.process().actions.revoke()
    assert [token for token, _ in consented.endpoint.revoked] == ["refresh-first", "refresh-of-another", "theirs"]
    assert consented.store.record.refresh_token is None


def test_revoking_leaves_a_later_consent_alone(consented):
    suspend(consented, 300, lambda: consent(consented, "later"))
    with pytest.raises(TokenStoreError, match="could not be revoked. Try again"):
        consented.process().actions.revoke()
    assert consented.store.record.refresh_token == "refresh-later"
    assert "refresh-later" not in [token for token, _ in consented.endpoint.revoked]


def test_a_failed_attempt_to_forget_keeps_what_could_not_be_stored(rotating):
    source = rotating.process()
    rotating.store.failing_writes = 10_000
    for act in (source.token, source.actions.forget):
        with pytest.raises(TokenStoreError):
            act()
    rotating.store.failing_writes = 0
    assert source.token().access_token == "token-1"
    assert rotating.endpoint.asked == [("refresh", "fake-first")]


# --- the clock


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="the system has no such clock")
def test_the_clock_counts_the_time_in_suspend(monkeypatch):
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: 7.0}.__getitem__)
    assert clock.Clock().monotonic() == 7.0


def test_where_there_is_no_such_clock_another_one_is_used(monkeypatch):
    monkeypatch.setattr(clock, "_BOOTTIME", None)
    monkeypatch.setattr(time, "monotonic", lambda: 8.0)
    assert clock.Clock().monotonic() == 8.0
