"""What a renewal leaves in the record: which refresh tokens were used, and when a failure is noted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_oauth.exceptions import InvalidClient
from airflow_provider_oauth.tokens.grant_state import MAX_USED_REFRESH_TOKENS
from airflow_provider_oauth.tokens.lease import MAX_STORING_TIME, TERM, WAIT
from airflow_provider_oauth.tokens.record import fingerprint


@pytest.fixture
def renewed(rotating):
    """Return a world in which another process has renewed, and the server refuses the next refresh."""
    rotating.store.record = rotating.record_of("refresh-0")
    rotating.store.lease = rotating.store.record.nonce
    rotating.endpoint.errors = [InvalidClient("who are you")]
    return rotating


def refused_after(world, during):
    """Try to renew; return whether the refusal was noted, so that the lease is free again."""
    before = world.store.record
    world.endpoint.during = during
    with pytest.raises(InvalidClient):
        world.process().token()
    after = world.store.record
    assert replace(after, nonce=before.nonce, refused=None) == before
    return after.nonce == world.store.lease and after.refused is not None


@pytest.mark.parametrize(("seconds", "noted"), [(WAIT / 8 - 0.001, True), (WAIT / 8 + 0.001, False)])
def test_a_failure_is_not_noted_if_the_record_may_have_changed_since_it_was_read(renewed, seconds, noted):
    read = renewed.store.read

    def read_slowly():
        renewed.clock.seconds += seconds
        return read()

    assert refused_after(renewed, lambda: setattr(renewed.store, "read", read_slowly)) is noted


@pytest.mark.parametrize(("left", "noted"), [(MAX_STORING_TIME + WAIT / 2, True), (MAX_STORING_TIME - 0.001, False)])
def test_a_failure_is_not_noted_if_too_little_of_the_claim_is_left(renewed, left, noted):
    write_lease, claimed = renewed.store.write_lease, []

    def write_lease_and_note_the_time(nonce):
        claimed.append(renewed.clock.seconds)
        write_lease(nonce)

    renewed.store.write_lease = write_lease_and_note_the_time

    def take_long():
        renewed.clock.seconds = claimed[0] + TERM - left

    assert refused_after(renewed, take_long) is noted


def test_the_last_refresh_tokens_of_the_connection_are_remembered_in_order(rotating):
    pasted = [f"fake-pasted-{number}" for number in range(MAX_USED_REFRESH_TOKENS + 5)]
    for refresh_token in pasted:
        rotating.process(refresh_token=refresh_token).token()
    fingerprints = tuple(fingerprint("api", refresh_token) for refresh_token in pasted)
    assert rotating.store.record.used_refresh_tokens == fingerprints[-MAX_USED_REFRESH_TOKENS:]


def test_a_refresh_token_that_is_used_by_the_connection_again_is_the_last_one(rotating):
    for refresh_token in ("fake-first", "fake-second", "fake-third"):
        rotating.process(refresh_token=refresh_token).token()
    rotating.clock.seconds += 990
    rotating.process(refresh_token="fake-first").token()  # still configured on one host; the record's own is used
    assert rotating.endpoint.asked[-1] == ("refresh", "refresh-3")
    order = ("fake-second", "fake-third", "fake-first")
    assert rotating.store.record.used_refresh_tokens == tuple(
        fingerprint("api", refresh_token) for refresh_token in order
    )
