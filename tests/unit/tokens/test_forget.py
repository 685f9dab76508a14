"""Storing a first authorization, and forgetting what is stored."""

from __future__ import annotations

import random

import pytest

from airflow_provider_oauth.exceptions import (
    ConsentRequired,
    InvalidClient,
    RenewalTimeout,
    TokenStoreError,
)
from airflow_provider_oauth.tokens.lease import MAX_USER_DELAY, WAIT
from airflow_provider_oauth.tokens.record import Record, fingerprint
from airflow_provider_oauth.tokens.waiting import RENEWAL_WAIT_TIMEOUT
from tests.unit.tokens.world import World


def test_a_first_authorization_is_stored_after_a_short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    world = World(grant_type="authorization_code")
    world.authorize("first")
    assert world.clock.seconds == WAIT + MAX_USER_DELAY == 2.5


def test_forget_writes_a_record_without_tokens(authorized: World) -> None:
    before = authorized.store.record
    authorized.process().actions.forget()

    record = authorized.store.record
    assert record == Record(generation=record.generation, nonce=authorized.store.lease)
    assert record.generation > before.generation
    with pytest.raises(ConsentRequired, match="no refresh token is stored.*the tokens were forgotten"):
        authorized.process().token()
    assert authorized.endpoint.requests == authorized.endpoint.revoked == []


def test_forget_takes_no_longer_than_a_renewal_and_the_lease_is_free_afterwards(authorized: World) -> None:
    started = authorized.clock.seconds
    authorized.process().actions.forget()
    assert WAIT <= authorized.clock.seconds - started <= WAIT + MAX_USER_DELAY
    started = authorized.clock.seconds
    authorized.authorize("second")

    assert authorized.clock.seconds - started <= WAIT + MAX_USER_DELAY
    assert authorized.process().token().access_token == "access-second"


def test_forget_writes_a_record_even_if_nothing_was_stored() -> None:
    world = World(grant_type="authorization_code")
    world.process().actions.forget()

    assert world.store.record.refresh_token is None
    assert WAIT <= world.clock.seconds <= WAIT + MAX_USER_DELAY
    assert world.lease_is_free()


def test_forget_lists_the_connections_own_refresh_token_as_used(rotating: World) -> None:
    rotating.process().token()
    rotating.process().actions.forget()

    assert rotating.store.record.used_refresh_tokens == (fingerprint("api", "fake-first"),)
    with pytest.raises(ConsentRequired):
        rotating.process().token()
    assert rotating.endpoint.requests == [("refresh", "fake-first")]


def test_forget_lists_the_connections_own_refresh_token_even_if_it_was_not_used_yet(rotating: World) -> None:
    rotating.process().actions.forget()

    with pytest.raises(ConsentRequired):
        rotating.process().token()
    assert rotating.endpoint.requests == []


def test_a_refresh_token_entered_after_forget_is_used(rotating: World) -> None:
    rotating.process().token()
    rotating.process().actions.forget()
    rotating.process(refresh_token="fake-second").token()

    assert rotating.endpoint.requests == [("refresh", "fake-first"), ("refresh", "fake-second")]


def test_forget_clears_the_memory_of_this_process(world: World) -> None:
    source = world.process()
    source.token()
    source.actions.forget()

    assert source.fresh() is None
    assert source.usable() is None
    assert source.token().access_token == "token-2"


def test_forget_removes_the_tokens_of_all_scopes(world: World) -> None:
    world.process().token()
    world.process().token(scope="other")
    world.process().actions.forget()

    assert world.store.record.tokens == {}
    assert world.process().token().access_token == "token-3"


def test_after_forget_a_repeatable_grant_is_repeated_without_a_refresh_token() -> None:
    world = World(use_refresh=True)
    world.process().token()
    world.process().actions.forget()
    world.process().token()

    assert world.endpoint.requests == [("grant", None), ("grant", None)]


def test_forget_removes_the_stored_refusal(rotating: World) -> None:
    rotating.endpoint.errors = [InvalidClient("the secret is wrong")]
    with pytest.raises(InvalidClient):
        rotating.process().token()
    rotating.process().actions.forget()

    assert rotating.store.record.refused is None


@pytest.mark.parametrize(
    "record",
    [
        Record(readable=False, corrupt=True),
        Record(generation=5, nonce="n", readable=False, used_refresh_tokens=("seen",), raw={"sealed": "x"}),
    ],
)
def test_forget_replaces_a_record_that_cannot_be_decrypted(rotating: World, record: Record) -> None:
    rotating.store.record = record
    rotating.process().actions.forget()

    kept = rotating.store.record
    assert (kept.readable, kept.corrupt, kept.raw, kept.tokens) == (True, False, {}, {})
    assert kept.used_refresh_tokens == (*record.used_refresh_tokens, fingerprint("api", "fake-first"))


def test_forget_is_not_undone_by_a_process_that_could_not_store_a_renewed_record(rotating: World) -> None:
    late = rotating.process()
    late.token()
    rotating.clock.seconds += 990
    rotating.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        late.token()
    rotating.store.failing_writes = 0
    rotating.process().actions.forget()
    forgotten = rotating.store.record

    with pytest.raises(ConsentRequired):
        late.token()
    assert rotating.store.record == forgotten


def test_forget_is_not_undone_even_if_the_record_was_deleted_before(rotating: World) -> None:
    late = rotating.process()
    for _ in range(3):
        late.token()
        rotating.clock.seconds += 990
    rotating.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        late.token()
    rotating.store.failing_writes, rotating.store.record = 0, None
    rotating.process().actions.forget()

    with pytest.raises(ConsentRequired):
        late.token()
    assert rotating.store.record.refresh_token is None


def test_forget_drops_the_unwritten_record_of_the_same_process(rotating: World) -> None:
    source = rotating.process()
    rotating.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        source.token()
    rotating.store.failing_writes = 0
    source.actions.forget()

    with pytest.raises(ConsentRequired):
        source.token()
    assert rotating.store.record.refresh_token is None


def test_forget_repeats_a_failed_write(authorized: World) -> None:
    authorized.store.failing_writes = 1
    authorized.process().actions.forget()

    assert authorized.store.record.refresh_token is None


def test_forget_raises_if_it_cannot_be_stored(authorized: World) -> None:
    authorized.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        authorized.process().actions.forget()

    assert authorized.store.record.refresh_token == "refresh-first"


def test_forget_waits_for_a_renewal_but_only_for_a_limited_time(authorized: World) -> None:
    def others_renew_and_renew() -> None:
        authorized.store.lease = f"nonce-{authorized.clock.seconds // 60}"

    others_renew_and_renew()
    authorized.clock.on_sleep = others_renew_and_renew
    started = authorized.clock.seconds
    with pytest.raises(RenewalTimeout, match=r"could not be forgotten, because other .* within 240 s\. Try again"):
        authorized.process().actions.forget()

    assert RENEWAL_WAIT_TIMEOUT < authorized.clock.seconds - started < RENEWAL_WAIT_TIMEOUT + 10
    assert authorized.store.record.refresh_token == "refresh-first"


def test_forget_writes_a_higher_generation_than_any_earlier_grant_can_have_reached(authorized: World) -> None:
    authorized.store.record = None  # a user has deleted it
    authorized.process().actions.forget()

    assert authorized.store.record.generation >= authorized.clock.now().timestamp() - 60
