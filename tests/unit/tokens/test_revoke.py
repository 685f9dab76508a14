"""Revoking the stored tokens at the server, then forgetting them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    ConsentRequired,
    InvalidClient,
    RenewalTimeout,
    TokenRequestError,
)
from airflow_provider_oauth.tokens.lease import WAIT
from airflow_provider_oauth.tokens.record import Record
from tests.unit.tokens.world import World

DOWN = TokenRequestError("the endpoint is down", retryable=True)


def test_revoke_revokes_the_refresh_token_first_and_then_forgets(authorized: World) -> None:
    source = authorized.process()

    assert source.actions.revoke() == 2
    assert authorized.endpoint.revoked == [("refresh-first", "refresh_token"), ("access-first", "access_token")]
    assert (authorized.store.record.refresh_token, authorized.store.record.tokens) == (None, {})
    assert authorized.lease_is_free()
    assert source.usable() is None


def test_revoke_masks_the_tokens_that_it_sends(authorized: World) -> None:
    authorized.masked.clear()
    authorized.process().actions.revoke()

    assert {"refresh-first", "access-first"} <= set(authorized.masked)


def test_revoke_revokes_the_tokens_of_all_scopes(world: World) -> None:
    world.process().token()
    world.process().token(scope="other")
    world.process().actions.revoke()

    assert world.endpoint.revoked == [("token-1", "access_token"), ("token-2", "access_token")]


def test_revoke_revokes_the_connections_own_unused_refresh_token(rotating: World) -> None:
    assert rotating.process().actions.revoke() == 1
    assert rotating.endpoint.revoked == [("fake-first", "refresh_token")]
    with pytest.raises(ConsentRequired):
        rotating.process().token()
    assert rotating.endpoint.requests == []


def test_revoke_revokes_the_rotated_refresh_token_and_not_the_used_one(rotating: World) -> None:
    rotating.process().token()
    rotating.process().actions.revoke()

    assert rotating.endpoint.revoked == [("refresh-1", "refresh_token"), ("token-1", "access_token")]


def test_revoke_revokes_a_newly_entered_refresh_token_and_the_stored_one(rotating: World) -> None:
    rotating.process().token()
    rotating.process(refresh_token="fake-second").actions.revoke()

    assert [token for token, _ in rotating.endpoint.revoked] == ["fake-second", "refresh-1", "token-1"]


def test_revoke_sends_no_request_if_there_are_no_tokens() -> None:
    world = World(grant_type="authorization_code")

    assert world.process().actions.revoke() == 0
    assert world.endpoint.revoked == []


def test_revoke_has_nothing_to_revoke_the_second_time(authorized: World) -> None:
    authorized.process().actions.revoke()

    assert authorized.process().actions.revoke() == 0
    assert len(authorized.endpoint.revoked) == 2


def test_revoke_forgets_access_tokens_that_the_server_cannot_revoke(authorized: World) -> None:
    authorized.endpoint.revocation_results = [True, False]

    assert authorized.process().actions.revoke() == 1
    assert authorized.store.record.tokens == {}


def test_revoke_fails_if_the_server_cannot_revoke_any_token(authorized: World) -> None:
    before = authorized.store.record
    authorized.endpoint.revocation_results = [False, False]
    with pytest.raises(
        TokenRequestError, match="supports revocation for none of the stored tokens.*then forget the tokens"
    ):
        authorized.process().actions.revoke()

    assert replace(authorized.store.record, nonce=before.nonce) == before


@pytest.mark.parametrize("answers", [[DOWN], [True, DOWN], [InvalidClient("who are you")]])
def test_a_revocation_that_fails_half_way_forgets_nothing(authorized: World, answers: list[Exception | bool]) -> None:
    before = authorized.store.record
    authorized.endpoint.revocation_results = answers
    source = authorized.process()
    source.token()
    with pytest.raises(TokenRequestError):
        source.actions.revoke()

    assert replace(authorized.store.record, nonce=before.nonce) == before
    assert source.usable().access_token == "access-first"


@pytest.mark.parametrize(
    "error", [DOWN, InvalidClient("who are you"), ConfigurationError("there is no revocation URL")]
)
def test_the_lease_is_free_after_a_failed_revocation(authorized: World, error: BaseException) -> None:
    authorized.endpoint.revocation_results = [error]
    with pytest.raises(type(error)):
        authorized.process().actions.revoke()

    assert authorized.lease_is_free()
    started = authorized.clock.seconds
    authorized.process().actions.revoke()
    assert authorized.clock.seconds - started <= 2 * WAIT


def test_the_connections_own_refresh_token_is_used_after_a_failed_revocation(rotating: World) -> None:
    rotating.endpoint.revocation_results = [DOWN]
    with pytest.raises(TokenRequestError):
        rotating.process().actions.revoke()
    rotating.process().token()

    assert rotating.endpoint.requests == [("refresh", "fake-first")]


def test_a_failed_revocation_keeps_the_stored_refusal(authorized: World) -> None:
    authorized.clock.seconds += 990
    authorized.endpoint.errors = [InvalidClient("who are you")]
    with pytest.raises(InvalidClient):
        authorized.process().token()
    refused = authorized.store.record.refused
    authorized.endpoint.revocation_results = [DOWN]
    with pytest.raises(TokenRequestError):
        authorized.process().actions.revoke()

    assert authorized.store.record.refused == refused


def test_a_failed_revocation_does_not_overwrite_a_newer_record(authorized: World) -> None:
    def another_stores() -> None:
        authorized.store.record = replace(authorized.store.record, generation=2**40, nonce="theirs")

    authorized.endpoint.on_request = another_stores
    authorized.endpoint.revocation_results = [DOWN]
    with pytest.raises(TokenRequestError):
        authorized.process().actions.revoke()

    assert authorized.store.record.nonce == "theirs"


def test_revoke_stops_in_time_if_the_server_is_slow(authorized: World) -> None:
    def slowly() -> None:
        authorized.clock.seconds += 40

    authorized.endpoint.on_request = slowly
    with pytest.raises(RenewalTimeout, match="took too long to revoke 2 tokens. The stored tokens were kept"):
        authorized.process().actions.revoke()

    assert authorized.store.record.refresh_token == "refresh-first"
    assert len(authorized.endpoint.revoked) == 1


@pytest.mark.parametrize(
    "record",
    [
        Record(readable=False, corrupt=True),
        Record(generation=5, nonce="n", readable=False, raw={"sealed": "x"}),
    ],
)
def test_revoke_refuses_a_record_that_cannot_be_decrypted_and_does_not_change_it(
    rotating: World, record: Record
) -> None:
    rotating.store.record = record
    with pytest.raises(ConfigurationError, match="cannot be revoked, because they were stored for a different client"):
        rotating.process().actions.revoke()

    assert rotating.store.record is record
    assert rotating.endpoint.revoked == rotating.store.leases == []


def test_revoke_repeats_a_failed_write(authorized: World) -> None:
    authorized.store.failing_writes = 1

    assert authorized.process().actions.revoke() == 2
    assert authorized.store.record.refresh_token is None
