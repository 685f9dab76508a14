"""When a token is renewed, and which process renews it: the rules in docs/renewal.md."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    InvalidClient,
    RenewalTimeout,
    TokenRequestError,
)
from airflow_provider_oauth.tokens.coordinator import RENEWAL_RETRY_INTERVAL
from airflow_provider_oauth.tokens.record import Record
from airflow_provider_oauth.tokens.waiting import HOST_LOCK_TIMEOUT, RENEWAL_WAIT_TIMEOUT
from tests.fake_clock import SkewedClock
from tests.unit.tokens.world import World


def test_the_first_process_requests_and_stores_a_token_and_the_others_use_it(world: World) -> None:
    first = world.process().token()
    assert world.process().token() == first
    assert world.endpoint.requests == [("grant", None)]
    assert world.store.record.generation == 1
    assert world.store.record.nonce


def test_a_token_in_memory_that_is_not_due_is_used_without_a_read(world: World) -> None:
    source = world.process()
    source.token()
    reads = world.store.reads
    world.clock.seconds = 749
    assert source.token().access_token == "token-1"
    assert source.fresh().access_token == "token-1"
    assert world.store.reads == reads


def test_a_process_renews_a_token_after_three_quarters_of_its_lifetime(world: World) -> None:
    source = world.process()
    source.token()
    world.clock.seconds = 750
    assert source.fresh() is None
    assert source.token().access_token == "token-2"
    assert world.store.record.generation == 2


def test_while_another_process_of_this_host_renews_a_due_token_is_used_without_waiting(world: World) -> None:
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.lock.held_elsewhere = True
    assert source.token().access_token == "token-1"
    assert world.clock.seconds == 800


def test_if_the_renewal_of_a_due_token_fails_the_token_is_used_and_a_warning_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.endpoint.errors = [TokenRequestError("the endpoint is down", retryable=True)]
    assert source.token().access_token == "token-1"
    assert "the endpoint is down" in caplog.text
    assert world.endpoint.retries[-1] is False


def test_after_the_renewal_of_a_due_token_has_failed_no_request_is_sent_for_some_time(world: World) -> None:
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.endpoint.errors = [TokenRequestError("the endpoint is down", retryable=True)]
    source.token()
    world.clock.seconds += RENEWAL_RETRY_INTERVAL - 1
    assert source.token().access_token == "token-1"
    assert len(world.endpoint.requests) == 2
    world.clock.seconds += 1
    assert source.token().access_token == "token-3"


def test_without_a_usable_token_a_failed_renewal_raises(world: World) -> None:
    world.endpoint.errors = [TokenRequestError("the endpoint is down", retryable=True)]
    with pytest.raises(TokenRequestError, match="the endpoint is down"):
        world.process().token()
    assert world.endpoint.retries == [True]


def test_without_a_usable_token_a_process_waits_until_another_one_has_stored_a_token(world: World) -> None:
    world.lock.held_elsewhere = True
    waiter = world.process()

    def the_other_process_stores() -> None:
        world.store.record = Record(generation=1, nonce="n", tokens={"": world.token("from-the-other")})

    world.clock.on_sleep = the_other_process_stores
    assert waiter.token().access_token == "from-the-other"
    assert world.endpoint.requests == []


def test_a_process_that_waits_for_another_one_logs_it_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    world.lock.held_elsewhere = True
    world.clock.on_sleep = lambda: setattr(world.lock, "held_elsewhere", world.clock.seconds < 30)
    world.process().token()
    waiting = [text for text in caplog.messages if "waiting" in text]
    assert waiting == ["Connection 'api': waiting for another process to renew the token, for at most 60 s."]


def test_a_repeatable_grant_is_renewed_after_waiting_for_another_process(world: World) -> None:
    world.lock.held_elsewhere = True
    assert world.process().token().access_token == "token-1"
    assert world.clock.seconds <= RENEWAL_WAIT_TIMEOUT


def test_a_process_that_has_the_host_lock_for_too_long_is_assumed_to_be_frozen(rotating: World) -> None:
    rotating.lock.held_elsewhere = True
    rotating.process().token()
    assert HOST_LOCK_TIMEOUT < rotating.clock.seconds < HOST_LOCK_TIMEOUT + 30


@pytest.mark.parametrize("held_elsewhere", [True, False])
def test_a_waiting_process_never_uses_a_refresh_token_without_a_claim(rotating: World, held_elsewhere: bool) -> None:
    rotating.lock.held_elsewhere = held_elsewhere
    rotating.store.record = rotating.record_of("refresh-0")

    def others_renew_and_renew() -> None:
        rotating.store.lease = f"nonce-{rotating.clock.seconds // 60}"

    others_renew_and_renew()
    rotating.clock.on_sleep = others_renew_and_renew
    with pytest.raises(RenewalTimeout, match="'api'"):
        rotating.process().token()
    assert rotating.endpoint.requests == []
    assert RENEWAL_WAIT_TIMEOUT < rotating.clock.seconds < RENEWAL_WAIT_TIMEOUT + 5


def test_the_record_is_read_again_after_the_host_lock_was_taken(world: World) -> None:
    source = world.process()

    def acquire_after_another_renewed() -> Any:
        world.store.record = Record(generation=1, nonce="n", tokens={"": world.token("from-the-other")})
        return True

    world.lock.acquire = acquire_after_another_renewed
    assert source.token().access_token == "from-the-other"
    assert world.endpoint.requests == []


def test_a_single_use_token_is_returned_but_not_stored(world: World) -> None:
    world.endpoint.lifetime = 0
    source = world.process()
    assert source.token().access_token == "token-1"
    assert source.token().access_token == "token-2"
    assert world.store.record.tokens == {}


def test_the_refresh_token_of_a_single_use_token_is_stored(rotating: World) -> None:
    rotating.endpoint.lifetime = 0
    source = rotating.process()
    source.token()
    source.token()
    assert rotating.endpoint.requests == [("refresh", "fake-first"), ("refresh", "refresh-1")]


def test_every_secret_is_masked_before_it_is_returned(rotating: World) -> None:
    rotating.process().token()
    assert {"token-1", "refresh-1"} <= set(rotating.masked)
    rotating.masked.clear()
    rotating.process().token()
    assert "token-1" in rotating.masked
    rotating.clock.seconds = 990
    rotating.process().token()
    assert {"refresh-1", "token-2", "refresh-2"} <= set(rotating.masked)


def test_a_rejected_token_is_renewed_once_for_all_processes(world: World) -> None:
    first, second = world.process(), world.process()
    rejected = first.token()
    second.token()
    renewed = first.token(rejected=rejected)
    assert renewed.access_token == "token-2"
    assert second.token(rejected=rejected) == renewed
    assert len(world.endpoint.requests) == 2


def test_a_token_renewed_by_another_process_is_taken_from_memory_after_a_401(world: World) -> None:
    source = world.process()
    rejected = source.token()
    source.token(rejected=rejected)
    reads = world.store.reads
    assert source.token(rejected=rejected).access_token == "token-2"
    assert world.store.reads == reads


def test_a_rejected_token_is_not_used_if_the_renewal_fails(world: World) -> None:
    source = world.process()
    rejected = source.token()
    world.endpoint.errors = [InvalidClient("the secret was changed")]
    with pytest.raises(InvalidClient):
        source.token(rejected=rejected)


def test_each_scope_has_its_own_token_in_the_same_record(world: World) -> None:
    source = world.process()
    assert source.token().access_token == "token-1"
    assert source.token("write read").access_token == "token-2"
    assert world.endpoint.requests == [("grant", None), ("grant", "read write")]
    assert source.token("read  write").access_token == "token-2"
    assert world.process().token("read write").access_token == "token-2"
    assert world.process().token().access_token == "token-1"


def test_the_connections_scope_in_another_order_uses_the_connections_own_token() -> None:
    world = World(scope="read write")
    source = world.process()
    source.token()
    assert source.token("write read").access_token == "token-1"


def test_expired_tokens_of_other_scopes_are_dropped(world: World) -> None:
    source = world.process()
    source.token("read")
    world.clock.seconds = 1001
    source.token()
    assert set(world.store.record.tokens) == {""}


def test_another_scope_does_not_use_the_refresh_token() -> None:
    world = World(use_refresh=True)
    source = world.process()
    source.token()
    source.token("read")
    assert world.endpoint.requests == [("grant", None), ("grant", "read")]
    assert world.store.record.refresh_token == "refresh-1"


def test_another_scope_is_refused_for_a_grant_that_a_user_authorized(rotating: World) -> None:
    with pytest.raises(ConfigurationError, match="does not allow the scope 'admin' for a single call"):
        rotating.process().token("admin")


def test_threads_of_one_process_wait_for_the_thread_that_renews(world: World) -> None:
    source = world.process()
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        assert go_on.wait(10)

    world.endpoint.on_request = hold
    tokens = []
    threads = [threading.Thread(target=lambda: tokens.append(source.token())) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert inside.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert [each.access_token for each in tokens] == ["token-1"] * 8
    assert len(world.endpoint.requests) == 1


def test_threads_use_a_usable_token_while_another_thread_renews(world: World) -> None:
    source = world.process()
    source.token()
    world.clock.seconds = 800
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        assert go_on.wait(10)

    world.endpoint.on_request = hold
    renewer = threading.Thread(target=source.token)
    renewer.start()
    assert inside.wait(10)
    assert source.token().access_token == "token-1"
    go_on.set()
    renewer.join(10)
    assert source.token().access_token == "token-2"


@pytest.mark.parametrize("lifetime", [3, 180, 3600])
@pytest.mark.parametrize("minutes", [-5, 5])
def test_hosts_whose_clocks_differ_get_usable_tokens(rotating: World, lifetime: int, minutes: int) -> None:
    rotating.endpoint.lifetime = lifetime
    here, there = rotating.process(), rotating.process(clock=SkewedClock(rotating.clock, minutes * 60))
    for _ in range(3):
        for process in (here, there):
            process._cache.clear()
            token = process.token()
            assert token.access_token
            token = process.token(rejected=token)  # as if the API had refused it because it seems too old
            assert token.access_token == f"token-{len(rotating.endpoint.requests)}"
        rotating.clock.seconds += lifetime
    refresh_tokens = [refresh_token for _, refresh_token in rotating.endpoint.requests]
    assert len(set(refresh_tokens)) == len(refresh_tokens)
