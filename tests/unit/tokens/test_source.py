"""Tests the rules of docs/renewal.md with a simulated clock, network and store."""

from __future__ import annotations

import threading
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
    TokenResponseError,
    TokenStoreError,
    WrongPassword,
)
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.cool_down import COOL_DOWN, MAX_COOL_DOWN
from airflow_provider_oauth.tokens.coordinator import RENEWAL_RETRY_INTERVAL
from airflow_provider_oauth.tokens.lease import EXCHANGE_TIMEOUT, MAX_EXCHANGE_TIME, TERM, WAIT
from airflow_provider_oauth.tokens.record import Record, fingerprint
from airflow_provider_oauth.tokens.waiting import HOST_LOCK_TIMEOUT, RENEWAL_WAIT_TIMEOUT
from tests.fake_clock import START, SkewedClock
from tests.unit.tokens.world import World


def test_the_first_process_asks_and_stores_and_the_others_find_the_token(world):
    first = world.process().token()
    assert world.process().token() == first
    assert world.endpoint.asked == [("grant", None)]
    assert world.store.record.generation == 1
    assert world.store.record.nonce


def test_a_held_token_that_is_not_due_costs_no_read(world):
    source = world.process()
    source.token()
    reads = world.store.reads
    world.clock.seconds = 749
    assert source.token().access_token == "token-1"
    assert source.fresh().access_token == "token-1"
    assert world.store.reads == reads


def test_from_three_quarters_of_its_life_one_process_renews_in_its_own_call(world):
    source = world.process()
    source.token()
    world.clock.seconds = 750
    assert source.fresh() is None
    assert source.token().access_token == "token-2"
    assert world.store.record.generation == 2


def test_while_another_process_renews_a_due_token_is_still_used_without_waiting(world):
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.lock.taken_elsewhere = True
    assert source.token().access_token == "token-1"
    assert world.clock.seconds == 800


def test_when_renewal_ahead_fails_the_usable_token_is_used_with_a_warning(world, caplog):
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.endpoint.errors = [TokenRequestError("the endpoint is down", retryable=True)]
    assert source.token().access_token == "token-1"
    assert "the endpoint is down" in caplog.text
    assert world.endpoint.rate_limit_timeout[-1] is False


def test_after_renewal_ahead_failed_a_process_leaves_the_endpoint_alone_for_a_while(world):
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.endpoint.errors = [TokenRequestError("the endpoint is down", retryable=True)]
    source.token()
    world.clock.seconds += RENEWAL_RETRY_INTERVAL - 1
    assert source.token().access_token == "token-1"
    assert len(world.endpoint.asked) == 2
    world.clock.seconds += 1
    assert source.token().access_token == "token-3"


def test_without_a_usable_token_a_failing_endpoint_fails_the_call(world):
    world.endpoint.errors = [TokenRequestError("the endpoint is down", retryable=True)]
    with pytest.raises(TokenRequestError, match="the endpoint is down"):
        world.process().token()
    assert world.endpoint.rate_limit_timeout == [True]


def test_without_a_usable_token_the_others_wait_for_the_record_to_change(world):
    world.lock.taken_elsewhere = True
    waiter = world.process()

    def the_other_process_stores():
        world.store.record = Record(generation=1, nonce="n", tokens={"": token(world, "from-the-other")})

    world.clock.on_sleep = the_other_process_stores
    assert waiter.token().access_token == "from-the-other"
    assert world.endpoint.asked == []


def test_a_waiter_renews_too_when_renewing_twice_is_harmless(world):
    world.lock.taken_elsewhere = True
    assert world.process().token().access_token == "token-1"
    assert world.clock.seconds <= RENEWAL_WAIT_TIMEOUT


def test_who_holds_the_lock_of_the_host_for_too_long_is_taken_to_be_frozen(rotating):
    rotating.lock.taken_elsewhere = True
    rotating.process().token()
    assert HOST_LOCK_TIMEOUT < rotating.clock.seconds < HOST_LOCK_TIMEOUT + 30


@pytest.mark.parametrize("taken_elsewhere", [True, False])
def test_a_waiter_never_uses_a_refresh_token_without_the_lease(rotating, taken_elsewhere):
    rotating.lock.taken_elsewhere = taken_elsewhere
    rotating.store.record = rotating.record_of("refresh-0")

    def others_renew_and_renew():
        rotating.store.lease = f"nonce-{rotating.clock.seconds // 60}"

    others_renew_and_renew()
    rotating.clock.on_sleep = others_renew_and_renew
    with pytest.raises(RenewalTimeout, match="'api'"):
        rotating.process().token()
    assert rotating.endpoint.asked == []
    assert RENEWAL_WAIT_TIMEOUT < rotating.clock.seconds < RENEWAL_WAIT_TIMEOUT + 5


def test_the_winner_of_the_lock_looks_again_before_it_asks(world):
    source = world.process()

    def acquire_after_another_renewed():
        world.store.record = Record(generation=1, nonce="n", tokens={"": token(world, "from-the-other")})
        return True

    world.lock.acquire = acquire_after_another_renewed
    assert source.token().access_token == "from-the-other"
    assert world.endpoint.asked == []


def test_a_token_good_for_one_use_is_returned_but_not_kept(world):
    world.endpoint.lifetime = 0
    source = world.process()
    assert source.token().access_token == "token-1"
    assert source.token().access_token == "token-2"
    assert world.store.record.tokens == {}


def renewed(world, **config):
    """Renew in another process, whatever is stored; return the record."""
    source = world.process(**config)
    source.token(rejected=source.grant_state().token())
    return world.store.record


def test_the_record_knows_when_its_refresh_token_ends_and_the_token_does_not(rotating):
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    record = renewed(rotating)
    assert record.refresh_expires_at == START + timedelta(seconds=rotating.clock.seconds, days=2)
    assert record.tokens[""].refresh_expires_at is None
    assert rotating.process().grant_state().consent_by == record.refresh_expires_at


def test_every_renewal_says_anew_when_the_refresh_token_ends(rotating):
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    first = renewed(rotating).refresh_expires_at
    rotating.clock.seconds += 86400
    assert renewed(rotating).refresh_expires_at >= first + timedelta(days=1)


def test_of_a_new_refresh_token_nothing_is_known_that_was_known_of_the_old_one(rotating):
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    renewed(rotating)
    rotating.endpoint.refresh_lifetime = None
    assert renewed(rotating).refresh_expires_at is None


def test_of_a_refresh_token_that_stays_what_was_known_is_kept_until_it_proves_wrong(rotating):
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    ends = renewed(rotating).refresh_expires_at
    rotating.endpoint.refresh_lifetime, rotating.endpoint.refresh_tokens = None, False
    record = renewed(rotating)
    assert (record.refresh_token, record.refresh_expires_at) == ("refresh-1", ends)
    rotating.clock.seconds += 3 * 86400
    record = renewed(rotating)
    assert (record.refresh_token, record.refresh_expires_at) == ("refresh-1", None)


def test_a_pasted_refresh_token_does_not_end_when_the_one_before_it_did(rotating):
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    renewed(rotating)
    pasted = {"refresh_token": "fake-second"}
    assert rotating.process(**pasted).grant_state().consent_by is None
    rotating.endpoint.refresh_lifetime, rotating.endpoint.refresh_tokens = None, False
    record = renewed(rotating, **pasted)
    assert (record.refresh_token, record.refresh_expires_at) == ("fake-second", None)


def test_a_failed_renewal_changes_nothing_of_when_the_refresh_token_ends(rotating):
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    ends = renewed(rotating).refresh_expires_at
    rotating.endpoint.errors = [InvalidClient("the secret is wrong")]
    with pytest.raises(InvalidClient):
        renewed(rotating)
    assert rotating.store.record.refused
    assert rotating.store.record.refresh_expires_at == ends


def test_a_grant_that_is_repeated_keeps_no_refresh_token_that_could_end(world):
    world.endpoint.refresh_tokens, world.endpoint.refresh_lifetime = True, timedelta(days=2)
    record = renewed(world)
    assert (record.refresh_token, record.refresh_expires_at) == (None, None)


def test_a_repeatable_grant_that_refreshes_never_needs_consent_and_another_scope_leaves_its_refresh_token():
    world = World(use_refresh=True)
    world.endpoint.refresh_lifetime = timedelta(days=2)
    ends = renewed(world).refresh_expires_at
    assert ends is not None
    assert world.process().grant_state().consent_by is None
    world.clock.seconds += 10
    world.process().token(scope="other")
    assert (world.store.record.refresh_token, world.store.record.refresh_expires_at) == ("refresh-1", ends)


def test_the_refresh_token_of_a_one_use_token_is_kept_all_the_same(rotating):
    rotating.endpoint.lifetime = 0
    source = rotating.process()
    source.token()
    source.token()
    assert rotating.endpoint.asked == [("refresh", "fake-first"), ("refresh", "refresh-1")]


def test_every_secret_is_masked_before_anybody_gets_it(rotating):
    rotating.process().token()
    assert {"token-1", "refresh-1"} <= set(rotating.masked)
    rotating.masked.clear()
    rotating.process().token()
    assert "token-1" in rotating.masked
    rotating.clock.seconds = 990
    rotating.process().token()
    assert {"refresh-1", "token-2", "refresh-2"} <= set(rotating.masked)


# --- a token that the API rejected


def test_a_rejected_token_is_replaced_once_for_all_who_hold_it(world):
    first, second = world.process(), world.process()
    rejected = first.token()
    second.token()
    renewed = first.token(rejected=rejected)
    assert renewed.access_token == "token-2"
    assert second.token(rejected=rejected) == renewed
    assert len(world.endpoint.asked) == 2


def test_a_token_renewed_by_another_process_is_taken_from_memory_after_a_401(world):
    source = world.process()
    rejected = source.token()
    source.token(rejected=rejected)
    reads = world.store.reads
    assert source.token(rejected=rejected).access_token == "token-2"
    assert world.store.reads == reads


def test_a_rejected_token_is_not_used_when_the_renewal_fails(world):
    source = world.process()
    rejected = source.token()
    world.endpoint.errors = [InvalidClient("the secret was changed")]
    with pytest.raises(InvalidClient):
        source.token(rejected=rejected)


# --- refresh tokens


def test_the_connections_own_refresh_token_comes_first_then_the_rotated_ones(rotating):
    source = rotating.process()
    for _ in range(3):
        source.token()
        rotating.clock.seconds += 990
    assert rotating.endpoint.asked == [("refresh", "fake-first"), ("refresh", "refresh-1"), ("refresh", "refresh-2")]


def test_a_server_that_returns_no_new_refresh_token_means_the_old_one(rotating):
    rotating.endpoint.refresh_tokens = False
    source = rotating.process()
    source.token()
    rotating.clock.seconds += 990
    source.token()
    assert rotating.endpoint.asked == [("refresh", "fake-first"), ("refresh", "fake-first")]


def test_a_refresh_whose_response_has_no_scope_keeps_the_scope_that_was_granted(rotating):
    narrow = Token(access_token="old", issued_at=START, expires_at=START + timedelta(seconds=1000), scope="read")
    rotating.store.record = replace(rotating.record_of("refresh-0"), tokens={"": narrow})
    rotating.clock.seconds += 990
    assert rotating.process().token().scope == "read"
    assert rotating.store.record.tokens[""].scope == "read"


def test_a_spent_first_token_is_never_replayed_when_the_secret_was_changed(rotating):
    rotating.process().token()
    rotating.store.record = replace(rotating.store.record, readable=False, tokens={}, refresh_token=None)
    with pytest.raises(ConsentRequired, match="another client, secret, user, URL or scope"):
        rotating.process().token()
    assert len(rotating.endpoint.asked) == 1
    assert rotating.store.record.generation == 1


def test_a_newly_pasted_refresh_token_is_picked_up_and_the_old_grants_token_dropped(rotating):
    rotating.process().token()
    assert rotating.process(refresh_token="fake-second").token().access_token == "token-2"
    assert rotating.endpoint.asked[-1] == ("refresh", "fake-second")
    assert rotating.store.record.generation == 2
    assert rotating.store.record.used_refresh_tokens == (
        fingerprint("api", "fake-first"),
        fingerprint("api", "fake-second"),
    )


def test_a_newly_pasted_refresh_token_replaces_a_record_that_cannot_be_opened(rotating):
    rotating.process().token()
    rotating.store.record = replace(rotating.store.record, readable=False, tokens={}, refresh_token=None)
    rotating.process(refresh_token="fake-second").token()
    assert rotating.endpoint.asked[-1] == ("refresh", "fake-second")


def test_taking_the_spent_refresh_token_out_of_the_connection_changes_nothing(rotating):
    rotating.process().token()
    rotating.clock.seconds = 990
    rotating.process(refresh_token=None).token()
    assert rotating.endpoint.asked[-1] == ("refresh", "refresh-1")
    rotating.clock.seconds = 1980
    rotating.process().token()  # and putting it back does not replay it
    assert rotating.endpoint.asked[-1] == ("refresh", "refresh-2")


def test_a_damaged_record_asks_for_consent_and_is_left_alone(rotating):
    corrupt = Record(readable=False, corrupt=True)
    rotating.store.record = corrupt
    with pytest.raises(ConsentRequired, match="the Variable is corrupt"):
        rotating.process().token()
    assert rotating.store.record is corrupt
    assert rotating.endpoint.asked == []


def test_a_damaged_record_is_replaced_where_the_grant_can_be_repeated(world):
    world.store.record = Record(readable=False, corrupt=True)
    world.process().token()
    assert world.store.record.tokens[""].access_token == "token-1"


def test_a_failed_read_is_not_taken_for_an_absent_record(rotating):
    rotating.process().token()
    rotating.store.seems_absent = True
    with pytest.raises(TokenStoreError, match="exists, but cannot be read"):
        rotating.process().token()
    assert len(rotating.endpoint.asked) == 1


def test_a_failed_read_asks_nobody_for_consent_where_the_first_token_was_taken_out(rotating):
    rotating.process().token()
    rotating.store.seems_absent = True
    with pytest.raises(TokenStoreError):
        rotating.process(refresh_token=None).token()


def test_a_process_that_still_has_an_older_refresh_token_uses_the_record(rotating):
    rotating.process().token()
    rotating.process(refresh_token="fake-second").token()
    rotating.clock.seconds = 990
    assert rotating.process().token().access_token == "token-3"
    assert rotating.process(refresh_token="fake-second").token().access_token == "token-3"
    assert rotating.endpoint.asked == [("refresh", "fake-first"), ("refresh", "fake-second"), ("refresh", "refresh-2")]


def test_a_grant_that_was_never_consented_to_asks_for_consent():
    world = World(grant_type="authorization_code")
    with pytest.raises(ConsentRequired, match="'api': no refresh token is stored yet"):
        world.process().token()


def test_a_refused_refresh_token_asks_for_consent_and_deletes_nothing(rotating):
    rotating.process().token()
    record = rotating.store.record
    rotating.clock.seconds = 990
    rotating.endpoint.errors = [InvalidGrant("no", error="invalid_grant", error_description="Token is revoked")]
    with pytest.raises(ConsentRequired, match="Token is revoked"):
        rotating.process().token()
    assert rotating.store.record.refresh_token == record.refresh_token
    assert rotating.store.record.tokens == record.tokens
    assert rotating.store.record.generation == record.generation


def test_a_refused_refresh_token_gives_way_to_a_newer_one_that_was_stored_meanwhile(rotating):
    rotating.process().token()
    rotating.clock.seconds = 990
    newer = replace(rotating.store.record, generation=7, nonce="n", refresh_token="refresh-of-another")

    def another_stores():
        rotating.store.record = newer
        rotating.endpoint.during = lambda: None

    rotating.endpoint.during = another_stores
    rotating.endpoint.errors = [InvalidGrant("spent")]
    assert rotating.process().token().access_token == "token-3"
    assert rotating.endpoint.asked[1:] == [("refresh", "refresh-1"), ("refresh", "refresh-of-another")]
    assert rotating.store.record.generation == 8


def test_a_newer_refresh_token_that_is_refused_too_asks_for_consent(rotating):
    rotating.process().token()
    rotating.clock.seconds = 990

    def another_stores():
        rotating.store.record = replace(rotating.store.record, refresh_token="refresh-of-another")
        rotating.endpoint.during = lambda: None

    rotating.endpoint.during = another_stores
    rotating.endpoint.errors = [InvalidGrant("spent"), InvalidGrant("spent", error_description="revoked")]
    with pytest.raises(ConsentRequired, match="revoked"):
        rotating.process().token()
    assert rotating.endpoint.asked[1:] == [("refresh", "refresh-1"), ("refresh", "refresh-of-another")]


@pytest.mark.parametrize("grant_type", ["client_credentials", "password"])
def test_use_refresh_renews_by_the_refresh_token_of_the_last_answer(grant_type):
    world = World(grant_type=grant_type, use_refresh=True)
    world.process().token()
    world.clock.seconds = 990
    world.process().token()
    assert world.endpoint.asked == [("grant", None), ("refresh", "refresh-1")]


@pytest.mark.parametrize("grant_type", ["client_credentials", "password"])
def test_use_refresh_falls_back_to_the_full_grant_when_the_refresh_token_is_refused(grant_type):
    world = World(grant_type=grant_type, use_refresh=True)
    world.process().token()
    world.clock.seconds = 990
    world.endpoint.errors = [InvalidGrant("expired")]
    assert world.process().token().access_token == "token-3"
    assert world.endpoint.asked[1:] == [("refresh", "refresh-1"), ("grant", None)]
    assert world.store.record.refresh_token == "refresh-3"


def test_without_use_refresh_a_repeatable_grant_keeps_no_refresh_token(world):
    world.endpoint.refresh_tokens = True
    world.process().token()
    assert world.store.record.refresh_token is None


# --- storing


def test_a_renewed_refresh_token_is_stored_before_anybody_gets_the_token(rotating):
    rotating.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        rotating.process().token()
    assert rotating.endpoint.asked == [("refresh", "fake-first")]


def test_storing_is_tried_again_as_long_as_nobody_else_may_renew(rotating):
    rotating.store.failing_writes = 10_000

    def the_database_recovers():
        if rotating.clock.seconds > TERM - 5:
            rotating.store.failing_writes = 0

    rotating.clock.on_sleep = the_database_recovers
    rotating.process().token()
    assert rotating.store.record.refresh_token == "refresh-1"
    assert rotating.store.leases == [rotating.store.record.nonce]  # under the same claim
    assert rotating.clock.seconds < TERM


def test_storing_is_tried_again_until_it_works(rotating):
    rotating.store.failing_writes = 3
    rotating.process().token()
    assert rotating.store.record.refresh_token == "refresh-1"


def test_a_write_that_landed_though_it_failed_is_not_repeated(rotating):
    rotating.store.landing_writes = 1
    rotating.process().token()
    assert rotating.store.writes == []
    assert rotating.store.record.refresh_token == "refresh-1"


def test_a_refresh_token_that_could_not_be_stored_is_stored_before_another_is_asked_for(rotating, caplog):
    source = rotating.process()
    source.token()
    rotating.clock.seconds = 800
    rotating.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        source.token()
    assert "Only this process has it" in caplog.text
    rotating.store.failing_writes = 0
    assert source.token().access_token == "token-2"
    assert rotating.endpoint.asked == [("refresh", "fake-first"), ("refresh", "refresh-1")]
    assert rotating.store.record.refresh_token == "refresh-2"


def test_an_unstored_refresh_token_gives_way_to_a_newer_record(rotating):
    source = rotating.process()
    rotating.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        source.token()
    rotating.store.failing_writes = 0
    rotating.store.record = replace(rotating.record_of("refresh-of-another"), generation=9)
    source.token()
    assert rotating.endpoint.asked[-1] == ("refresh", "refresh-of-another")


def test_storing_insists_though_reading_fails_too(rotating):
    rotating.store.failing_writes = 2
    rotating.store.failing_reads_after_write = 1
    rotating.process().token()
    assert rotating.store.record.refresh_token == "refresh-1"


def test_nothing_is_stored_again_before_it_is_known_what_is_stored(rotating):
    rotating.store.failing_writes = 1
    rotating.store.failing_reads_after_write = 10_000
    with pytest.raises(TokenStoreError):
        rotating.process().token()
    assert rotating.store.writes == []


def test_a_usable_token_is_used_though_the_store_cannot_be_read(world, caplog):
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.store.failing_reads = 1
    assert source.token().access_token == "token-1"
    assert "cannot be read" in caplog.text


def test_a_usable_token_is_used_though_the_lock_cannot_be_taken(world):
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.lock.acquire = lambda: (_ for _ in ()).throw(ConfigurationError("no lock folder"))
    assert source.token().access_token == "token-1"


def test_a_repeatable_grants_token_is_used_even_if_it_cannot_be_stored(world, caplog):
    world.store.failing_writes = 1
    source = world.process()
    assert source.token().access_token == "token-1"
    assert source.token().access_token == "token-1"
    assert "other tasks request their own" in caplog.text


# --- a scope of its own


def test_a_scope_of_its_own_has_its_own_token_in_the_same_record(world):
    source = world.process()
    assert source.token().access_token == "token-1"
    assert source.token("write read").access_token == "token-2"
    assert world.endpoint.asked == [("grant", None), ("grant", "read write")]
    assert source.token("read  write").access_token == "token-2"
    assert world.process().token("read write").access_token == "token-2"
    assert world.process().token().access_token == "token-1"


def test_the_connections_scope_in_another_order_is_the_connections_own_token():
    world = World(scope="read write")
    source = world.process()
    source.token()
    assert source.token("write read").access_token == "token-1"


def test_tokens_of_other_scopes_are_dropped_when_they_have_ended(world):
    source = world.process()
    source.token("read")
    world.clock.seconds = 1001
    source.token()
    assert set(world.store.record.tokens) == {""}


def test_a_scope_of_its_own_does_not_touch_the_refresh_token():
    world = World(use_refresh=True)
    source = world.process()
    source.token()
    source.token("read")
    assert world.endpoint.asked == [("grant", None), ("grant", "read")]
    assert world.store.record.refresh_token == "refresh-1"


def test_a_scope_of_its_own_is_refused_where_a_person_consented(rotating):
    with pytest.raises(ConfigurationError, match="does not allow the scope 'admin' for a single call"):
        rotating.process().token("admin")


# --- threads of one process


def test_threads_of_one_process_wait_for_the_one_that_asks(world):
    source = world.process()
    inside, go_on = threading.Event(), threading.Event()

    def hold():
        inside.set()
        assert go_on.wait(10)

    world.endpoint.during = hold
    tokens = []
    threads = [threading.Thread(target=lambda: tokens.append(source.token())) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert inside.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert [each.access_token for each in tokens] == ["token-1"] * 8
    assert len(world.endpoint.asked) == 1


def test_threads_go_on_with_a_usable_token_while_one_renews(world):
    source = world.process()
    source.token()
    world.clock.seconds = 800
    inside, go_on = threading.Event(), threading.Event()

    def hold():
        inside.set()
        assert go_on.wait(10)

    world.endpoint.during = hold
    renewer = threading.Thread(target=source.token)
    renewer.start()
    assert inside.wait(10)
    assert source.token().access_token == "token-1"
    go_on.set()
    renewer.join(10)
    assert source.token().access_token == "token-2"


def token(world, name):
    return Token(access_token=name, issued_at=world.clock.now(), expires_at=world.clock.now() + timedelta(seconds=1000))


# --- the lease: what is too rare for the simulation, or says more by itself


def another_renewed(world, nonce="n-1", **changes):
    """Leave what another process leaves that is done."""
    own = fingerprint("api", world.config.refresh_token) if world.config.refresh_token else ""
    values = {"generation": 1, "nonce": nonce, "used_refresh_tokens": (own,), "refresh_token": "refresh-0", **changes}
    world.store.record = Record(**values)
    world.store.lease = nonce


def test_a_free_lease_is_claimed_by_writing_and_waiting(rotating):
    another_renewed(rotating)
    rotating.process().token()
    assert len(rotating.store.leases) == 1
    assert rotating.store.record.nonce == rotating.store.lease == rotating.store.leases[0]
    assert WAIT <= rotating.clock.seconds <= 2 * WAIT


def test_the_first_renewal_waits_no_longer_than_others(rotating):
    rotating.process().token()
    assert WAIT <= rotating.clock.seconds <= 2 * WAIT


def test_a_lease_that_is_absent_though_there_is_a_record_is_waited_for_as_long_as_an_exchange_may_take(rotating):
    another_renewed(rotating)
    rotating.store.lease = None  # somebody has deleted it
    rotating.process().token()
    assert EXCHANGE_TIMEOUT <= rotating.clock.seconds <= EXCHANGE_TIMEOUT + WAIT


def test_an_absent_lease_is_waited_for_as_long_where_the_list_of_variables_cannot_tell(rotating):
    rotating.store.lease_is_listed = rotating.store.is_listed = lambda: None
    rotating.process().token()
    assert EXCHANGE_TIMEOUT <= rotating.clock.seconds <= EXCHANGE_TIMEOUT + WAIT


def test_a_lease_that_only_seems_absent_is_left_to_who_holds_it(rotating):
    rotating.store.lease, rotating.store.lease_seems_absent = "of-another-host", True

    def the_database_recovers():
        if rotating.clock.seconds > 30:
            rotating.store.lease_seems_absent = False
        if rotating.clock.seconds > 60:
            another_renewed(rotating, tokens={"": token(rotating, "theirs")})

    rotating.clock.on_sleep = the_database_recovers
    assert rotating.process().token().access_token == "theirs"
    assert rotating.store.leases == []
    assert rotating.endpoint.asked == []


@pytest.mark.parametrize("grant_type", ["client_credentials", "password"])
def test_where_renewing_twice_is_harmless_nobody_waits(grant_type):
    world = World(grant_type=grant_type)
    world.process().token()
    assert world.clock.seconds == 0
    assert world.store.record.nonce == world.store.lease


def test_where_renewing_twice_is_harmless_a_renewal_elsewhere_is_still_waited_for(world):
    world.store.lease = "of-another-host"

    def the_other_host_stores():
        world.store.record = Record(generation=1, nonce="of-another-host", tokens={"": token(world, "theirs")})

    world.clock.on_sleep = the_other_host_stores
    assert world.process().token().access_token == "theirs"
    assert world.endpoint.asked == []


def test_where_renewing_twice_is_harmless_a_dead_holder_is_waited_for_as_long_as_it_may_ask(world):
    world.store.lease = "of-a-dead-one"
    world.process().token()
    assert MAX_EXCHANGE_TIME <= world.clock.seconds < MAX_EXCHANGE_TIME + 2


def test_while_another_host_renews_a_due_token_is_used_without_waiting(rotating):
    source = rotating.process()
    source.token()
    rotating.clock.seconds = begun = 800
    rotating.store.lease = "of-another-host"
    assert source.token().access_token == "token-1"
    assert rotating.clock.seconds == begun
    assert len(rotating.endpoint.asked) == 1


def test_a_claim_that_another_has_overwritten_is_given_up(rotating):
    another_renewed(rotating)

    def another_claims_then_renews():
        if rotating.store.leases and rotating.store.lease == rotating.store.leases[0]:
            rotating.store.lease = "n-2"
        elif rotating.clock.seconds > 20:
            another_renewed(rotating, "n-2", generation=2, tokens={"": token(rotating, "theirs")})

    rotating.clock.on_sleep = another_claims_then_renews
    assert rotating.process().token().access_token == "theirs"
    assert rotating.endpoint.asked == []


def test_a_round_whose_first_look_took_too_long_is_given_up_before_anything_is_written(rotating):
    another_renewed(rotating)
    read = rotating.store.read
    written = []

    def slowly():
        written.append(len(rotating.store.leases))
        if len(written) <= 4:
            rotating.clock.seconds += WAIT / 8 + 0.01
        return read()

    rotating.store.read = slowly
    rotating.process().token()
    assert written[:5] == [0] * 5


def test_a_last_look_that_took_too_long_gives_the_claim_up(rotating):
    another_renewed(rotating)
    read_lease = rotating.store.read_lease

    def slowly():
        if len(rotating.store.leases) == 1 and rotating.store.read_lease is slowly:
            rotating.store.read_lease = read_lease
            rotating.clock.seconds += WAIT / 2 + 0.1
        return read_lease()

    rotating.store.read_lease = slowly
    rotating.process().token()
    assert len(rotating.store.leases) == 2
    assert rotating.clock.seconds > TERM


def test_that_there_is_no_record_is_believed_only_while_the_lease_is_still_ours(rotating):
    def another_claims():
        rotating.store.lease = "n-2"
        rotating.store.is_listed = lambda: rotating.store.record is not None
        rotating.clock.on_sleep = another_is_done
        return False

    def another_is_done():
        another_renewed(rotating, "n-2", tokens={"": token(rotating, "theirs")})

    rotating.store.is_listed = another_claims
    assert rotating.process().token().access_token == "theirs"
    assert rotating.endpoint.asked == []


def test_a_claim_that_took_too_long_to_write_is_void_and_stays(rotating):
    another_renewed(rotating)
    write = rotating.store.write_lease

    def slowly(nonce):
        write(nonce)
        rotating.clock.seconds += WAIT / 2 + 0.1
        rotating.store.write_lease = write

    rotating.store.write_lease = slowly
    rotating.process().token()
    assert len(rotating.store.leases) == 2
    assert TERM < rotating.clock.seconds < TERM + 10  # it waits for its own void claim as for anybody's


def test_a_holder_that_was_refused_by_the_network_makes_the_lease_free_at_once(rotating):
    another_renewed(rotating)
    rotating.endpoint.errors = [TokenRequestError("no answer", retryable=True)]
    with pytest.raises(TokenRequestError):
        rotating.process().token()
    assert rotating.store.record.nonce == rotating.store.lease
    assert (rotating.store.record.generation, rotating.store.record.refresh_token) == (1, "refresh-0")
    before = rotating.clock.seconds
    rotating.process().token()
    assert rotating.clock.seconds - before <= 2 * WAIT
    assert rotating.endpoint.asked == [("refresh", "refresh-0"), ("refresh", "refresh-0")]


def test_a_failed_renewal_is_not_noted_over_a_newer_record(rotating):
    another_renewed(rotating)
    newer = replace(rotating.store.record, generation=5, nonce="n-5", refresh_token="refresh-5")

    def a_late_write_lands():
        rotating.store.record = newer

    rotating.endpoint.during = a_late_write_lands
    rotating.endpoint.errors = [TokenRequestError("no answer", retryable=True)]
    with pytest.raises(TokenRequestError):
        rotating.process().token()
    assert rotating.store.record is newer


def test_storage_that_fails_for_a_while_is_waited_for(rotating):
    another_renewed(rotating)
    rotating.store.failing_reads = 5
    assert rotating.process().token().access_token == "token-1"


def test_storage_that_fails_for_good_is_what_the_error_says(rotating):
    rotating.store.failing_reads = 10_000
    with pytest.raises(TokenStoreError, match="cannot be read"):
        rotating.process().token()
    assert rotating.clock.seconds > RENEWAL_WAIT_TIMEOUT


def test_a_repeatable_grant_needs_no_storage_in_the_end(world):
    world.store.failing_reads = 10_000
    assert world.process().token().access_token == "token-1"
    assert HOST_LOCK_TIMEOUT < world.clock.seconds < HOST_LOCK_TIMEOUT + 5


def test_a_repeatable_grant_does_not_mind_a_lease_that_cannot_be_written(world):
    world.store.failing_lease_writes = True
    assert world.process().token().access_token == "token-1"
    assert world.clock.seconds == 0


def test_use_refresh_spends_a_refresh_token_only_while_it_is_alone():
    world = World(use_refresh=True)
    world.process().token()
    assert world.clock.seconds == 0
    world.clock.seconds = 990
    world.process().token()
    assert WAIT <= world.clock.seconds - 990 <= 2 * WAIT
    world.clock.seconds = 2000
    world.lock.taken_elsewhere = True
    world.clock.on_sleep = lambda: setattr(world.store, "lease", f"n-{world.clock.seconds}")
    world.store.lease = "n"
    assert world.process().token().access_token == "token-3"
    assert [question for question, _ in world.endpoint.asked] == ["grant", "refresh", "grant"]


# --- credentials that were refused


WRONG = {
    "client_credentials": InvalidClient("who are you", error="invalid_client"),
    "password": WrongPassword("wrong", error="invalid_grant"),
    "refresh_token": InvalidClient("who are you", error="invalid_client"),
}


@pytest.mark.parametrize("grant_type", WRONG)
def test_after_wrong_credentials_nobody_asks_again_for_a_while(grant_type):
    error = WRONG[grant_type]
    world = World(grant_type=grant_type, refresh_token="fake-first")
    world.endpoint.errors = [error]
    with pytest.raises(type(error)):
        world.process().token()
    refused_at = world.clock.seconds
    for seconds in (0, COOL_DOWN - 0.1):
        world.clock.seconds = refused_at + seconds
        with pytest.raises(type(error), match=rf"{error}.*No request is sent until 2026-01-01 00:0\d:\d\d UTC"):
            world.process().token()
        assert world.clock.seconds == refused_at + seconds  # it fails at once
    assert len(world.endpoint.asked) == 1
    world.clock.seconds = refused_at + COOL_DOWN
    assert world.process().token().access_token == "token-2"
    assert world.store.record.refused is None


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(None, COOL_DOWN), (0.0, COOL_DOWN), (5.0, COOL_DOWN), (61.0, 61.0), (1e12, MAX_COOL_DOWN)],
)
def test_the_server_may_request_a_longer_time_up_to_a_day_but_never_a_shorter_one(world, asked, seconds):
    world.endpoint.errors = [InvalidClient("who are you", retry_after=asked)]
    with pytest.raises(InvalidClient):
        world.process().token()
    assert world.store.record.refused.until == START + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "error",
    [
        TokenRequestError("busy", status_code=503, retryable=True, retry_after=30.0),
        TokenRequestError("no answer", retryable=True),
        TokenResponseError("not a token"),
    ],
)
def test_server_errors_and_timeouts_are_no_wrong_credentials(world, error):
    world.endpoint.errors = [error]
    with pytest.raises(type(error)):
        world.process().token()
    assert world.process().token().access_token == "token-2"


def test_a_refused_refresh_token_is_not_sent_again_for_a_while_either(rotating):
    another_renewed(rotating)
    rotating.endpoint.errors = [InvalidGrant("spent", error_description="revoked")]
    for _ in range(3):
        with pytest.raises(ConsentRequired, match="revoked"):
            rotating.process().token()
    assert len(rotating.endpoint.asked) == 1


def test_while_credentials_are_refused_a_usable_token_is_still_used(world, caplog):
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.endpoint.errors = [InvalidClient("who are you")]
    assert source.token().access_token == "token-1"
    assert world.process().token().access_token == "token-1"
    assert len(world.endpoint.asked) == 2
    assert "who are you" in caplog.text


def test_a_refusal_keeps_what_is_stored(rotating):
    rotating.process().token()
    before = rotating.store.record
    rotating.clock.seconds = 990
    rotating.endpoint.errors = [InvalidClient("who are you")]
    with pytest.raises(InvalidClient):
        rotating.process().token()
    after = rotating.store.record
    assert replace(after, nonce=before.nonce, refused=None) == before


def test_wrong_credentials_replace_a_damaged_record_of_a_repeatable_grant(world):
    world.store.record = Record(readable=False, corrupt=True)
    world.endpoint.errors = [InvalidClient("who are you")]
    for _ in range(2):
        with pytest.raises(InvalidClient):
            world.process().token()
    assert len(world.endpoint.asked) == 1


def test_a_refusal_that_cannot_be_stored_is_told_all_the_same(world):
    world.endpoint.errors = [InvalidClient("who are you")]
    world.store.failing_writes = 1
    with pytest.raises(InvalidClient, match="who are you"):
        world.process().token()


# --- clocks


@pytest.mark.parametrize("lifetime", [3, 180, 3600])
@pytest.mark.parametrize("minutes", [-5, 5])
def test_hosts_whose_clocks_differ_get_good_tokens(rotating, lifetime, minutes):
    rotating.endpoint.lifetime = lifetime
    here, there = rotating.process(), rotating.process(clock=SkewedClock(rotating.clock, minutes * 60))
    for _ in range(3):
        for process in (here, there):
            process._cache.clear()
            token = process.token()
            assert token.access_token
            token = process.token(rejected=token)  # as if the API took it for too old
            assert token.access_token == f"token-{len(rotating.endpoint.asked)}"
        rotating.clock.seconds += lifetime
    refresh_tokens = [refresh_token for _, refresh_token in rotating.endpoint.asked]
    assert len(set(refresh_tokens)) == len(refresh_tokens)
