"""Who renews, and when: the rules of design.md, "Renewal", with time, network and storage in the test's hands."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

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
from airflow_provider_oauth.oauth.config import OAuthConfig
from airflow_provider_oauth.oauth.source import PATIENCE, RESPITE, TokenSource
from airflow_provider_oauth.oauth.store import Record, fingerprint
from airflow_provider_oauth.oauth.token import Token

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """Time that moves when told to, or when somebody sleeps."""

    def __init__(self):
        self.seconds = 0.0
        self.on_sleep = lambda: None

    def now(self):
        return START + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds
        self.on_sleep()


class FakeEndpoint:
    """Issues token 1, token 2, …; refuses where told to. Refresh tokens are good for one use."""

    def __init__(self, clock, lifetime=1000, refresh_tokens=False):
        self.clock = clock
        self.lifetime = lifetime
        self.refresh_tokens = refresh_tokens
        self.asked = []
        self.patience = []
        self.errors = []
        self.during = lambda: None

    def grant(self, scope=None, *, patient=True):
        return self._issue(("grant", scope), patient)

    def refresh(self, refresh_token, *, patient=True):
        return self._issue(("refresh", refresh_token), patient)

    def _issue(self, question, patient):
        self.asked.append(question)
        self.patience.append(patient)
        self.during()
        if self.errors and (error := self.errors.pop(0)):
            raise error
        number = len(self.asked)
        return Token(
            access_token=f"token-{number}",
            issued_at=self.clock.now(),
            expires_at=self.clock.now() + timedelta(seconds=self.lifetime),
            refresh_token=f"refresh-{number}" if self.refresh_tokens else None,
        )


class FakeStore:
    """A record that all sources of a test share."""

    name = "the Variable"

    def __init__(self, record=None):
        self.record = record
        self.writes = []
        self.reads = 0
        self.failing_writes = 0
        self.landing_writes = 0
        self.seems_absent = False
        self.failing_reads = 0
        self.failing_reads_after_write = 0

    def read(self):
        self.reads += 1
        if self.failing_reads:
            self.failing_reads -= 1
            raise TokenStoreError("the Variable cannot be read")
        return None if self.seems_absent else self.record

    def write(self, record):
        if self.landing_writes:
            self.landing_writes -= 1
            self.record = record
            raise TokenStoreError("written, but the answer was lost")
        if self.failing_writes:
            self.failing_writes -= 1
            self.failing_reads, self.failing_reads_after_write = self.failing_reads_after_write, 0
            raise TokenStoreError("not written")
        self.writes.append(record)
        self.record = record

    def is_absent(self):
        return self.record is None


class FakeLock:
    """A host lock that may be held by another process."""

    def __init__(self):
        self.taken_elsewhere = False
        self.attempts = 0

    @contextmanager
    def attempt(self):
        self.attempts += 1
        yield not self.taken_elsewhere


class World:
    """One connection, its server and its storage, and as many processes as a test starts."""

    def __init__(self, **config):
        self.lifetime = 1000
        self.clock = FakeClock()
        self.endpoint = FakeEndpoint(self.clock)
        self.store = FakeStore()
        self.lock = FakeLock()
        self.masked = []
        values = {"client_id": "fake-id", "client_secret": "fake-secret", "leeway": 60, **config}
        if values.get("grant_type") == "password":
            values |= {"username": "ann", "user_password": "fake-password"}
        self.config = OAuthConfig(
            conn_id="api", base_url="https://api.test", token_url="https://auth.test/token", **values
        )
        self.endpoint.refresh_tokens = self.config.lives_by_refresh or self.config.use_refresh

    def record_of(self, refresh_token):
        origins = (fingerprint("api", self.config.refresh_token),)
        return Record(generation=1, nonce="n", origins=origins, refresh_token=refresh_token)

    def process(self, **config):
        source = TokenSource(
            replace(self.config, **config), self.endpoint, self.store, self.lock, self.clock, self.masked.append
        )
        source._jitter = 0.0
        return source


@pytest.fixture
def world():
    return World()


@pytest.fixture
def rotating():
    return World(grant_type="refresh_token", refresh_token="fake-first")


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
    assert world.endpoint.patience[-1] is False


def test_after_renewal_ahead_failed_a_process_leaves_the_endpoint_alone_for_a_while(world):
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.endpoint.errors = [TokenRequestError("the endpoint is down", retryable=True)]
    source.token()
    world.clock.seconds += RESPITE - 1
    assert source.token().access_token == "token-1"
    assert len(world.endpoint.asked) == 2
    world.clock.seconds += 1
    assert source.token().access_token == "token-3"


def test_without_a_usable_token_a_failing_endpoint_fails_the_call(world):
    world.endpoint.errors = [TokenRequestError("the endpoint is down", retryable=True)]
    with pytest.raises(TokenRequestError, match="the endpoint is down"):
        world.process().token()
    assert world.endpoint.patience == [True]


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
    assert world.clock.seconds <= PATIENCE


def test_a_waiter_never_uses_a_refresh_token_without_the_lock(rotating):
    rotating.lock.taken_elsewhere = True
    with pytest.raises(RenewalTimeout, match="'api'"):
        rotating.process().token()
    assert rotating.endpoint.asked == []
    assert rotating.clock.seconds <= PATIENCE


def test_the_winner_of_the_lock_looks_again_before_it_asks(world):
    source = world.process()
    original = world.lock.attempt

    @contextmanager
    def attempt_after_another_renewed():
        world.store.record = Record(generation=1, nonce="n", tokens={"": token(world, "from-the-other")})
        with original() as taken:
            yield taken

    world.lock.attempt = attempt_after_another_renewed
    assert source.token().access_token == "from-the-other"
    assert world.endpoint.asked == []


def test_a_token_good_for_one_use_is_returned_but_not_kept(world):
    world.endpoint.lifetime = 0
    source = world.process()
    assert source.token().access_token == "token-1"
    assert source.token().access_token == "token-2"
    assert world.store.record is None


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
    assert {"token-1", "refresh-1"} <= set(rotating.masked)


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
    assert rotating.store.record.origins == (fingerprint("api", "fake-first"), fingerprint("api", "fake-second"))


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
    damaged = Record(readable=False, damaged=True)
    rotating.store.record = damaged
    with pytest.raises(ConsentRequired, match="the Variable is damaged"):
        rotating.process().token()
    assert rotating.store.record is damaged
    assert rotating.endpoint.asked == []


def test_a_damaged_record_is_replaced_where_the_grant_can_be_repeated(world):
    world.store.record = Record(readable=False, damaged=True)
    world.process().token()
    assert world.store.record.tokens[""].access_token == "token-1"


def test_a_failed_read_is_not_taken_for_an_absent_record(rotating):
    rotating.process().token()
    rotating.store.seems_absent = True
    with pytest.raises(TokenStoreError, match="not sent, because it may be spent"):
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
    with pytest.raises(ConsentRequired, match="'api': it holds no refresh token yet"):
        world.process().token()


def test_a_refused_refresh_token_asks_for_consent_and_deletes_nothing(rotating):
    rotating.process().token()
    record = rotating.store.record
    rotating.clock.seconds = 990
    rotating.endpoint.errors = [InvalidGrant("no", error="invalid_grant", error_description="Token is revoked")]
    with pytest.raises(ConsentRequired, match="Token is revoked"):
        rotating.process().token()
    assert rotating.store.record is record


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
    assert 25 < rotating.clock.seconds <= 30


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
    assert source.token().access_token == "token-1"
    assert "known to this process only" in caplog.text
    rotating.store.failing_writes = 0
    rotating.clock.seconds = 990
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
    world.lock.attempt = lambda: (_ for _ in ()).throw(ConfigurationError("no lock folder"))
    assert source.token().access_token == "token-1"


def test_a_repeatable_grants_token_is_used_even_if_it_cannot_be_stored(world, caplog):
    world.store.failing_writes = 1
    source = world.process()
    assert source.token().access_token == "token-1"
    assert source.token().access_token == "token-1"
    assert "other tasks have to ask for their own" in caplog.text


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
    with pytest.raises(ConfigurationError, match="has the scope consented to"):
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
