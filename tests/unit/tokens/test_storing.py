"""Storing a renewed token, and what happens if the storage fails."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    TokenStoreError,
)
from airflow_provider_oauth.tokens.lease import TERM

if TYPE_CHECKING:
    from tests.unit.tokens.world import World


def test_a_token_is_not_returned_if_its_refresh_token_could_not_be_stored(rotating: World) -> None:
    rotating.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        rotating.process().token()
    assert rotating.endpoint.requests == [("refresh", "fake-first")]


def test_a_failed_write_is_repeated_until_the_claim_ends(rotating: World) -> None:
    rotating.store.failing_writes = 10_000

    def the_database_recovers() -> None:
        if rotating.clock.seconds > TERM - 5:
            rotating.store.failing_writes = 0

    rotating.clock.on_sleep = the_database_recovers
    rotating.process().token()
    assert rotating.store.record.refresh_token == "refresh-1"
    assert rotating.store.leases == [rotating.store.record.nonce]  # under the same claim
    assert rotating.clock.seconds < TERM


def test_a_failed_write_is_repeated_until_it_succeeds(rotating: World) -> None:
    rotating.store.failing_writes = 3
    rotating.process().token()
    assert rotating.store.record.refresh_token == "refresh-1"


def test_a_write_that_failed_but_landed_is_not_repeated(rotating: World) -> None:
    rotating.store.landing_writes = 1
    rotating.process().token()
    assert rotating.store.writes == []
    assert rotating.store.record.refresh_token == "refresh-1"


def test_a_refresh_token_that_could_not_be_stored_is_stored_before_another_token_is_requested(
    rotating: World, caplog: pytest.LogCaptureFixture
) -> None:
    source = rotating.process()
    source.token()
    rotating.clock.seconds = 800
    rotating.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        source.token()
    assert "Only this process has the renewed refresh token" in caplog.text
    rotating.store.failing_writes = 0
    assert source.token().access_token == "token-2"
    assert rotating.endpoint.requests == [("refresh", "fake-first"), ("refresh", "refresh-1")]
    assert rotating.store.record.refresh_token == "refresh-2"


def test_a_newer_record_replaces_a_refresh_token_that_could_not_be_stored(rotating: World) -> None:
    source = rotating.process()
    rotating.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        source.token()
    rotating.store.failing_writes = 0
    rotating.store.record = replace(rotating.record_of("refresh-of-another"), generation=9)
    source.token()
    assert rotating.endpoint.requests[-1] == ("refresh", "refresh-of-another")


def test_a_failed_write_is_repeated_even_if_a_read_fails(rotating: World) -> None:
    rotating.store.failing_writes = 2
    rotating.store.failing_reads_after_write = 1
    rotating.process().token()
    assert rotating.store.record.refresh_token == "refresh-1"


def test_a_failed_write_is_not_repeated_before_the_record_could_be_read(rotating: World) -> None:
    rotating.store.failing_writes = 1
    rotating.store.failing_reads_after_write = 10_000
    with pytest.raises(TokenStoreError):
        rotating.process().token()
    assert rotating.store.writes == []


def test_a_usable_token_is_used_if_the_store_cannot_be_read(world: World, caplog: pytest.LogCaptureFixture) -> None:
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.store.failing_reads = 1
    assert source.token().access_token == "token-1"
    assert "cannot be read" in caplog.text


def test_a_usable_token_is_used_if_the_host_lock_cannot_be_used(world: World) -> None:
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.lock.acquire = lambda: (_ for _ in ()).throw(ConfigurationError("no lock folder"))
    assert source.token().access_token == "token-1"


def test_a_token_of_a_repeatable_grant_is_used_if_it_cannot_be_stored(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.store.failing_writes = 1
    source = world.process()
    assert source.token().access_token == "token-1"
    assert source.token().access_token == "token-1"
    assert "other tasks request their own" in caplog.text
