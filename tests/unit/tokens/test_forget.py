"""Forgetting what is stored, and having the server take it back first."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    ConsentRequired,
    InvalidClient,
    InvalidGrant,
    RenewalTimeout,
    TokenRequestError,
    TokenStoreError,
)
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.lease import MAX_USER_DELAY, WAIT
from airflow_provider_oauth.tokens.record import Record, fingerprint
from airflow_provider_oauth.tokens.waiting import RENEWAL_WAIT_TIMEOUT
from tests.unit.tokens.world import World

DOWN = TokenRequestError("the endpoint is down", retryable=True)


@pytest.fixture
def consented():
    """A connection to which a person has consented."""
    world = World(grant_type="authorization_code")
    world.endpoint.refresh_tokens = True
    consent(world)
    return world


def consent(world, number=0):
    """Keep what a person has just consented to."""
    now = world.clock.now()
    world.process().actions.store_grant(
        Token(
            access_token=f"access-{number}",
            refresh_token=f"consent-{number}",
            issued_at=now,
            expires_at=now + timedelta(seconds=1000),
        )
    )


def test_a_first_consent_is_stored_after_a_short_wait(monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    world = World(grant_type="authorization_code")
    consent(world)
    assert world.clock.seconds == WAIT + MAX_USER_DELAY == 2.5


def is_free(world):
    """Tell whether the lease is: then nobody who comes next waits for who was here."""
    return world.store.record is not None and world.store.lease == world.store.record.nonce


class TestForgetting:
    def test_leaves_a_record_with_nothing_to_use(self, consented):
        before = consented.store.record
        consented.process().actions.forget()

        record = consented.store.record
        assert record == Record(generation=record.generation, nonce=consented.store.lease)
        assert record.generation > before.generation
        with pytest.raises(ConsentRequired, match="no refresh token is stored.*the tokens were forgotten"):
            consented.process().token()
        assert consented.endpoint.asked == consented.endpoint.revoked == []

    def test_takes_no_longer_than_a_renewal_and_leaves_the_lease_free(self, consented):
        begun = consented.clock.seconds
        consented.process().actions.forget()
        assert WAIT <= consented.clock.seconds - begun <= WAIT + MAX_USER_DELAY
        begun = consented.clock.seconds
        consent(consented, 1)

        assert consented.clock.seconds - begun <= WAIT + MAX_USER_DELAY
        assert consented.process().token().access_token == "access-1"

    def test_of_what_was_never_there_is_noted_too(self):
        world = World(grant_type="authorization_code")
        world.process().actions.forget()

        assert world.store.record.refresh_token is None
        assert WAIT <= world.clock.seconds <= WAIT + MAX_USER_DELAY
        assert is_free(world)

    def test_remembers_the_connections_own_refresh_token_and_never_uses_it_again(self, rotating):
        rotating.process().token()
        rotating.process().actions.forget()

        assert rotating.store.record.used_refresh_tokens == (fingerprint("api", "fake-first"),)
        with pytest.raises(ConsentRequired):
            rotating.process().token()
        assert rotating.endpoint.asked == [("refresh", "fake-first")]

    def test_counts_an_own_refresh_token_that_was_not_used_yet(self, rotating):
        rotating.process().actions.forget()

        with pytest.raises(ConsentRequired):
            rotating.process().token()
        assert rotating.endpoint.asked == []

    def test_leaves_a_refresh_token_that_is_pasted_later_to_be_used(self, rotating):
        rotating.process().token()
        rotating.process().actions.forget()
        rotating.process(refresh_token="fake-second").token()

        assert rotating.endpoint.asked == [("refresh", "fake-first"), ("refresh", "fake-second")]

    def test_clears_what_this_process_holds(self, world):
        source = world.process()
        source.token()
        source.actions.forget()

        assert source.fresh() is None
        assert source.usable() is None
        assert source.token().access_token == "token-2"

    def test_clears_what_other_processes_read(self, world):
        world.process().token()
        world.process().token(scope="other")
        world.process().actions.forget()

        assert world.store.record.tokens == {}
        assert world.process().token().access_token == "token-3"

    def test_of_a_refresh_token_that_is_not_needed_repeats_the_grant(self):
        world = World(use_refresh=True)
        world.process().token()
        world.process().actions.forget()
        world.process().token()

        assert world.endpoint.asked == [("grant", None), ("grant", None)]

    def test_clears_that_the_credentials_were_refused(self, rotating):
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
    def test_takes_what_cannot_be_opened_too(self, rotating, record):
        rotating.store.record = record
        rotating.process().actions.forget()

        kept = rotating.store.record
        assert (kept.readable, kept.corrupt, kept.raw, kept.tokens) == (True, False, {}, {})
        assert kept.used_refresh_tokens == (*record.used_refresh_tokens, fingerprint("api", "fake-first"))

    def test_is_not_undone_by_a_process_that_could_not_store_what_it_has_renewed(self, rotating):
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

    def test_is_not_undone_though_the_record_was_deleted_before(self, rotating):
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

    def test_forgets_what_the_same_process_could_not_store(self, rotating):
        source = rotating.process()
        rotating.store.failing_writes = 10_000
        with pytest.raises(TokenStoreError):
            source.token()
        rotating.store.failing_writes = 0
        source.actions.forget()

        with pytest.raises(ConsentRequired):
            source.token()
        assert rotating.store.record.refresh_token is None

    def test_is_tried_again_when_it_cannot_be_stored_at_once(self, consented):
        consented.store.failing_writes = 1
        consented.process().actions.forget()

        assert consented.store.record.refresh_token is None

    def test_says_so_when_it_cannot_be_stored(self, consented):
        consented.store.failing_writes = 10_000
        with pytest.raises(TokenStoreError):
            consented.process().actions.forget()

        assert consented.store.record.refresh_token == "consent-0"

    def test_waits_for_who_renews_but_not_for_ever(self, consented):
        def others_renew_and_renew():
            consented.store.lease = f"nonce-{consented.clock.seconds // 60}"

        others_renew_and_renew()
        consented.clock.on_sleep = others_renew_and_renew
        begun = consented.clock.seconds
        with pytest.raises(RenewalTimeout, match="could not be forgotten. Try again"):
            consented.process().actions.forget()

        assert RENEWAL_WAIT_TIMEOUT < consented.clock.seconds - begun < RENEWAL_WAIT_TIMEOUT + 10
        assert consented.store.record.refresh_token == "consent-0"


class TestRevoking:
    def test_takes_the_refresh_token_back_first_then_forgets(self, consented):
        source = consented.process()

        assert source.actions.revoke() == 2
        assert consented.endpoint.revoked == [("consent-0", "refresh_token"), ("access-0", "access_token")]
        assert (consented.store.record.refresh_token, consented.store.record.tokens) == (None, {})
        assert is_free(consented)
        assert source.usable() is None

    def test_masks_what_it_sends(self, consented):
        consented.masked.clear()
        consented.process().actions.revoke()

        assert {"consent-0", "access-0"} <= set(consented.masked)

    def test_takes_the_tokens_of_all_scopes_back(self, world):
        world.process().token()
        world.process().token(scope="other")
        world.process().actions.revoke()

        assert world.endpoint.revoked == [("token-1", "access_token"), ("token-2", "access_token")]

    def test_takes_an_own_refresh_token_back_that_was_not_used_yet(self, rotating):
        assert rotating.process().actions.revoke() == 1
        assert rotating.endpoint.revoked == [("fake-first", "refresh_token")]
        with pytest.raises(ConsentRequired):
            rotating.process().token()
        assert rotating.endpoint.asked == []

    def test_takes_the_rotated_refresh_token_back_and_not_the_spent_one(self, rotating):
        rotating.process().token()
        rotating.process().actions.revoke()

        assert rotating.endpoint.revoked == [("refresh-1", "refresh_token"), ("token-1", "access_token")]

    def test_takes_a_pasted_one_and_the_one_before_it_back(self, rotating):
        rotating.process().token()
        rotating.process(refresh_token="fake-second").actions.revoke()

        assert [token for token, _ in rotating.endpoint.revoked] == ["fake-second", "refresh-1", "token-1"]

    def test_of_nothing_asks_nobody(self):
        world = World(grant_type="authorization_code")

        assert world.process().actions.revoke() == 0
        assert world.endpoint.revoked == []

    def test_twice_finds_nothing_the_second_time(self, consented):
        consented.process().actions.revoke()

        assert consented.process().actions.revoke() == 0
        assert len(consented.endpoint.revoked) == 2

    def test_may_leave_access_tokens_that_the_server_cannot_take_back(self, consented):
        consented.endpoint.revocations = [True, False]

        assert consented.process().actions.revoke() == 1
        assert consented.store.record.tokens == {}

    def test_fails_where_the_server_cannot_take_anything_back(self, consented):
        before = consented.store.record
        consented.endpoint.revocations = [False, False]
        with pytest.raises(TokenRequestError, match="cannot revoke tokens of this type.*then forget the tokens"):
            consented.process().actions.revoke()

        assert replace(consented.store.record, nonce=before.nonce) == before

    @pytest.mark.parametrize("answers", [[DOWN], [True, DOWN], [InvalidClient("who are you")]])
    def test_that_fails_half_way_forgets_nothing(self, consented, answers):
        before = consented.store.record
        consented.endpoint.revocations = answers
        source = consented.process()
        source.token()
        with pytest.raises(TokenRequestError):
            source.actions.revoke()

        assert replace(consented.store.record, nonce=before.nonce) == before
        assert source.usable().access_token == "access-0"

    @pytest.mark.parametrize(
        "error", [DOWN, InvalidClient("who are you"), ConfigurationError("there is no revocation URL")]
    )
    def test_that_fails_leaves_the_lease_free(self, consented, error):
        consented.endpoint.revocations = [error]
        with pytest.raises(type(error)):
            consented.process().actions.revoke()

        assert is_free(consented)
        begun = consented.clock.seconds
        consented.process().actions.revoke()
        assert consented.clock.seconds - begun <= 2 * WAIT

    def test_that_fails_leaves_an_own_refresh_token_to_be_used(self, rotating):
        rotating.endpoint.revocations = [DOWN]
        with pytest.raises(TokenRequestError):
            rotating.process().actions.revoke()
        rotating.process().token()

        assert rotating.endpoint.asked == [("refresh", "fake-first")]

    def test_that_fails_does_not_end_that_credentials_are_refused(self, consented):
        consented.clock.seconds += 990
        consented.endpoint.errors = [InvalidClient("who are you")]
        with pytest.raises(InvalidClient):
            consented.process().token()
        refused = consented.store.record.refused
        consented.endpoint.revocations = [DOWN]
        with pytest.raises(TokenRequestError):
            consented.process().actions.revoke()

        assert consented.store.record.refused == refused

    def test_that_fails_is_not_noted_over_what_another_has_stored(self, consented):
        def another_stores():
            consented.store.record = replace(consented.store.record, generation=2**40, nonce="theirs")

        consented.endpoint.during = another_stores
        consented.endpoint.revocations = [DOWN]
        with pytest.raises(TokenRequestError):
            consented.process().actions.revoke()

        assert consented.store.record.nonce == "theirs"

    def test_stops_in_time_where_the_server_is_slow(self, consented):
        def slowly():
            consented.clock.seconds += 40

        consented.endpoint.during = slowly
        with pytest.raises(RenewalTimeout, match="takes too long to revoke 2 tokens. Try again. Nothing was forgotten"):
            consented.process().actions.revoke()

        assert consented.store.record.refresh_token == "consent-0"
        assert len(consented.endpoint.revoked) == 1

    @pytest.mark.parametrize(
        "record",
        [
            Record(readable=False, corrupt=True),
            Record(generation=5, nonce="n", readable=False, raw={"sealed": "x"}),
        ],
    )
    def test_of_what_cannot_be_opened_is_refused_and_that_stays(self, rotating, record):
        rotating.store.record = record
        with pytest.raises(ConfigurationError, match="cannot be decrypted, so they cannot be revoked"):
            rotating.process().actions.revoke()

        assert rotating.store.record is record
        assert rotating.endpoint.revoked == rotating.store.leases == []

    def test_is_tried_again_when_it_cannot_be_stored_that_they_are_gone(self, consented):
        consented.store.failing_writes = 1

        assert consented.process().actions.revoke() == 2
        assert consented.store.record.refresh_token is None


class TestRenewingNow:
    def test_renews_whatever_this_process_holds(self, consented):
        here, there = consented.process(), consented.process()
        first = here.renew()
        second = there.renew()
        third = here.renew()

        assert len({each.access_token for each in (first, second, third)}) == 3
        assert consented.store.record.tokens[""].access_token == third.access_token
        assert len(consented.endpoint.asked) == 3

    def test_does_not_find_what_was_forgotten_elsewhere(self, consented):
        here = consented.process()
        here.renew()
        consented.process().actions.forget()

        with pytest.raises(ConsentRequired):
            here.renew()

    def test_fails_if_the_server_refuses_though_the_token_is_good_still(self, consented):
        here = consented.process()
        here.renew()
        consented.endpoint.errors = [InvalidGrant("no", error="invalid_grant")]

        with pytest.raises(ConsentRequired):
            here.renew()


def test_a_refresh_does_not_change_who_has_consented(consented):
    issue = consented.endpoint.refresh

    def of_another(refresh_token, access_token=None, *, retry=True):
        return replace(issue(refresh_token, access_token, retry=retry), subject="mallory")

    consented.store.record = replace(consented.store.record, subject="ada")
    consented.endpoint.refresh = of_another
    consented.process().renew()

    assert consented.store.record.subject == "ada"


def test_a_new_grant_begins_above_all_that_an_earlier_one_can_have_reached(consented):
    consented.store.record = None  # somebody has deleted it
    consented.process().actions.forget()

    assert consented.store.record.generation >= consented.clock.now().timestamp() - 60
