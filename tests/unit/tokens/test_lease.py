"""Claims of the lease: cases that are rare in the simulation, or clearer as single tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import (
    TokenRequestError,
    TokenStoreError,
)
from airflow_provider_oauth.tokens.lease import EXCHANGE_TIMEOUT, MAX_EXCHANGE_TIME, TERM, WAIT
from airflow_provider_oauth.tokens.record import Record
from airflow_provider_oauth.tokens.waiting import HOST_LOCK_TIMEOUT, RENEWAL_WAIT_TIMEOUT
from tests.unit.tokens.world import World


def test_a_free_lease_is_claimed_by_writing_a_nonce_and_waiting(rotating: World) -> None:
    rotating.another_renewed()
    rotating.process().token()
    assert len(rotating.store.leases) == 1
    assert rotating.store.record.nonce == rotating.store.lease == rotating.store.leases[0]
    assert WAIT <= rotating.clock.seconds <= 2 * WAIT


def test_the_first_renewal_waits_as_long_as_any_other(rotating: World) -> None:
    rotating.process().token()
    assert WAIT <= rotating.clock.seconds <= 2 * WAIT


def test_if_the_lease_was_deleted_the_claim_waits_for_the_longest_token_request(rotating: World) -> None:
    rotating.another_renewed()
    rotating.store.lease = None  # a user has deleted it
    rotating.process().token()
    assert EXCHANGE_TIMEOUT <= rotating.clock.seconds <= EXCHANGE_TIMEOUT + WAIT


def test_if_the_variables_cannot_be_listed_a_missing_lease_is_treated_as_deleted(rotating: World) -> None:
    rotating.store.lease_is_listed = rotating.store.is_listed = lambda: None
    rotating.process().token()
    assert EXCHANGE_TIMEOUT <= rotating.clock.seconds <= EXCHANGE_TIMEOUT + WAIT


def test_a_lease_that_could_not_be_read_is_not_claimed(rotating: World) -> None:
    rotating.store.lease, rotating.store.lease_seems_missing = "of-another-host", True

    def the_database_recovers() -> None:
        if rotating.clock.seconds > 30:
            rotating.store.lease_seems_missing = False
        if rotating.clock.seconds > 60:
            rotating.another_renewed(tokens={"": rotating.token("theirs")})

    rotating.clock.on_sleep = the_database_recovers
    assert rotating.process().token().access_token == "theirs"
    assert rotating.store.leases == []
    assert rotating.endpoint.requests == []


@pytest.mark.parametrize("grant_type", ["client_credentials", "password"])
def test_a_repeatable_grant_is_renewed_without_waiting(grant_type: str) -> None:
    world = World(grant_type=grant_type)
    world.process().token()
    assert world.clock.seconds == 0
    assert world.store.record.nonce == world.store.lease


def test_a_repeatable_grant_waits_for_a_renewal_on_another_host(world: World) -> None:
    world.store.lease = "of-another-host"

    def the_other_host_stores() -> None:
        world.store.record = Record(generation=1, nonce="of-another-host", tokens={"": world.token("theirs")})

    world.clock.on_sleep = the_other_host_stores
    assert world.process().token().access_token == "theirs"
    assert world.endpoint.requests == []


def test_a_repeatable_grant_waits_for_a_dead_process_as_long_as_a_token_request_may_take(world: World) -> None:
    world.store.lease = "of-a-dead-one"
    world.process().token()
    assert MAX_EXCHANGE_TIME <= world.clock.seconds < MAX_EXCHANGE_TIME + 2


def test_while_another_host_renews_a_due_token_is_used_without_waiting(rotating: World) -> None:
    source = rotating.process()
    source.token()
    rotating.clock.seconds = started = 800
    rotating.store.lease = "of-another-host"
    assert source.token().access_token == "token-1"
    assert rotating.clock.seconds == started
    assert len(rotating.endpoint.requests) == 1


def test_a_claim_that_another_process_has_overwritten_is_not_used(rotating: World) -> None:
    rotating.another_renewed()

    def another_claims_then_renews() -> None:
        if rotating.store.leases and rotating.store.lease == rotating.store.leases[0]:
            rotating.store.lease = "n-2"
        elif rotating.clock.seconds > 20:
            rotating.another_renewed(nonce="n-2", generation=2, tokens={"": rotating.token("theirs")})

    rotating.clock.on_sleep = another_claims_then_renews
    assert rotating.process().token().access_token == "theirs"
    assert rotating.endpoint.requests == []


def test_if_the_first_reads_took_too_long_nothing_is_written(rotating: World) -> None:
    rotating.another_renewed()
    read = rotating.store.read
    written = []

    def slowly() -> Any:
        written.append(len(rotating.store.leases))
        if len(written) <= 4:
            rotating.clock.seconds += WAIT / 8 + 0.01
        return read()

    rotating.store.read = slowly
    rotating.process().token()
    assert written[:5] == [0] * 5


def test_if_the_last_reads_took_too_long_the_claim_is_not_used(rotating: World) -> None:
    rotating.another_renewed()
    read_lease = rotating.store.read_lease

    def slowly() -> Any:
        if len(rotating.store.leases) == 1 and rotating.store.read_lease is slowly:
            rotating.store.read_lease = read_lease
            rotating.clock.seconds += WAIT / 2 + 0.1
        return read_lease()

    rotating.store.read_lease = slowly
    rotating.process().token()
    assert len(rotating.store.leases) == 2
    assert rotating.clock.seconds > TERM


def test_a_missing_record_counts_only_while_the_nonce_is_in_the_lease(rotating: World) -> None:
    def another_claims() -> Any:
        rotating.store.lease = "n-2"
        rotating.store.is_listed = lambda: rotating.store.record is not None
        rotating.clock.on_sleep = another_is_done
        return False

    def another_is_done() -> None:
        rotating.another_renewed(nonce="n-2", tokens={"": rotating.token("theirs")})

    rotating.store.is_listed = another_claims
    assert rotating.process().token().access_token == "theirs"
    assert rotating.endpoint.requests == []


def test_a_claim_that_took_too_long_to_write_is_void_and_stays_in_the_lease(rotating: World) -> None:
    rotating.another_renewed()
    write = rotating.store.write_lease

    def slowly(nonce: str) -> None:
        write(nonce)
        rotating.clock.seconds += WAIT / 2 + 0.1
        rotating.store.write_lease = write

    rotating.store.write_lease = slowly
    rotating.process().token()
    assert len(rotating.store.leases) == 2
    assert TERM < rotating.clock.seconds < TERM + 10  # it waits for its own void claim as for any other one


def test_after_a_failed_token_request_the_lease_is_free_immediately(rotating: World) -> None:
    rotating.another_renewed()
    rotating.endpoint.errors = [TokenRequestError("no answer", retryable=True)]
    with pytest.raises(TokenRequestError):
        rotating.process().token()
    assert rotating.store.record.nonce == rotating.store.lease
    assert (rotating.store.record.generation, rotating.store.record.refresh_token) == (1, "refresh-0")
    before = rotating.clock.seconds
    rotating.process().token()
    assert rotating.clock.seconds - before <= 2 * WAIT
    assert rotating.endpoint.requests == [("refresh", "refresh-0"), ("refresh", "refresh-0")]


def test_a_failed_renewal_does_not_overwrite_a_newer_record(rotating: World) -> None:
    rotating.another_renewed()
    newer = replace(rotating.store.record, generation=5, nonce="n-5", refresh_token="refresh-5")

    def a_late_write_lands() -> None:
        rotating.store.record = newer

    rotating.endpoint.on_request = a_late_write_lands
    rotating.endpoint.errors = [TokenRequestError("no answer", retryable=True)]
    with pytest.raises(TokenRequestError):
        rotating.process().token()
    assert rotating.store.record is newer


def test_a_process_waits_while_the_store_fails(rotating: World) -> None:
    rotating.another_renewed()
    rotating.store.failing_reads = 5
    assert rotating.process().token().access_token == "token-1"


def test_if_the_store_keeps_failing_its_error_is_raised(rotating: World) -> None:
    rotating.store.failing_reads = 10_000
    with pytest.raises(TokenStoreError, match="cannot be read"):
        rotating.process().token()
    assert rotating.clock.seconds > RENEWAL_WAIT_TIMEOUT


def test_a_repeatable_grant_is_renewed_without_a_store_after_waiting(world: World) -> None:
    world.store.failing_reads = 10_000
    assert world.process().token().access_token == "token-1"
    assert HOST_LOCK_TIMEOUT < world.clock.seconds < HOST_LOCK_TIMEOUT + 5


def test_a_repeatable_grant_ignores_a_lease_that_cannot_be_written(world: World) -> None:
    world.store.failing_lease_writes = True
    assert world.process().token().access_token == "token-1"
    assert world.clock.seconds == 0


def test_with_use_refresh_a_refresh_token_is_used_only_with_an_exclusive_claim() -> None:
    world = World(use_refresh=True)
    world.process().token()
    assert world.clock.seconds == 0
    world.clock.seconds = 990
    world.process().token()
    assert WAIT <= world.clock.seconds - 990 <= 2 * WAIT
    world.clock.seconds = 2000
    world.lock.held_elsewhere = True
    world.clock.on_sleep = lambda: setattr(world.store, "lease", f"n-{world.clock.seconds}")
    world.store.lease = "n"
    assert world.process().token().access_token == "token-3"
    assert [question for question, _ in world.endpoint.requests] == ["grant", "refresh", "grant"]
