"""The record after a renewal: which refresh tokens it lists as used, and when it contains a failure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import InvalidClient
from airflow_provider_oauth.tokens.grant_state import MAX_USED_REFRESH_TOKENS
from airflow_provider_oauth.tokens.lease import MAX_STORING_TIME, TERM, WAIT
from airflow_provider_oauth.tokens.record import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.tokens.world import World


@pytest.fixture
def renewed(rotating: World) -> World:
    """Return a connection that was used before. The server refuses the next request."""
    rotating.store.record = rotating.record_of("refresh-0")
    rotating.store.lease = rotating.store.record.nonce
    rotating.endpoint.errors = [InvalidClient("who are you")]
    return rotating


def refused_after(world: World, during: Callable[[], object]) -> bool:
    """Try to renew; return whether the refusal was stored, so that the lease is free again."""
    before = world.store.record
    world.endpoint.on_request = during
    with pytest.raises(InvalidClient):
        world.process().token()
    after = world.store.record
    assert replace(after, nonce=before.nonce, refused=None) == before
    return after.nonce == world.store.lease and after.refused is not None


@pytest.mark.parametrize(("seconds", "stored"), [(WAIT / 8 - 0.001, True), (WAIT / 8 + 0.001, False)])
def test_a_failure_is_not_stored_if_the_record_may_have_changed_since_it_was_read(
    renewed: World, seconds: float, stored: bool
) -> None:
    read = renewed.store.read

    def read_slowly() -> Any:
        renewed.clock.seconds += seconds
        return read()

    assert refused_after(renewed, lambda: setattr(renewed.store, "read", read_slowly)) is stored


@pytest.mark.parametrize(("left", "stored"), [(MAX_STORING_TIME + WAIT / 2, True), (MAX_STORING_TIME - 0.001, False)])
def test_a_failure_is_not_stored_if_too_little_of_the_claim_is_left(renewed: World, left: float, stored: bool) -> None:
    write_lease, claimed = renewed.store.write_lease, []

    def write_lease_and_note_the_time(nonce: str) -> None:
        claimed.append(renewed.clock.seconds)
        write_lease(nonce)

    renewed.store.write_lease = write_lease_and_note_the_time

    def take_long() -> None:
        renewed.clock.seconds = claimed[0] + TERM - left

    assert refused_after(renewed, take_long) is stored


def test_the_latest_refresh_tokens_of_the_connection_are_listed_in_order(rotating: World) -> None:
    entered = [f"fake-entered-{number}" for number in range(MAX_USED_REFRESH_TOKENS + 5)]
    for refresh_token in entered:
        rotating.process(refresh_token=refresh_token).token()
    fingerprints = tuple(fingerprint("api", refresh_token) for refresh_token in entered)
    assert rotating.store.record.used_refresh_tokens == fingerprints[-MAX_USED_REFRESH_TOKENS:]


def test_the_refresh_token_that_is_configured_now_is_listed_last(rotating: World) -> None:
    for refresh_token in ("fake-first", "fake-second", "fake-third"):
        rotating.process(refresh_token=refresh_token).token()
    rotating.clock.seconds += 990
    rotating.process(
        refresh_token="fake-first"
    ).token()  # one host still has it in its configuration; the stored one is used
    assert rotating.endpoint.requests[-1] == ("refresh", "refresh-3")
    order = ("fake-second", "fake-third", "fake-first")
    assert rotating.store.record.used_refresh_tokens == tuple(
        fingerprint("api", refresh_token) for refresh_token in order
    )
