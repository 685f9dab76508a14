"""Which refresh token a renewal uses, and what happens if it is refused."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import (
    ConsentRequired,
    InvalidGrant,
    RenewalTimeout,
    TokenStoreError,
)
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.lease import MAX_EXCHANGE_TIME, MAX_STORING_TIME, TERM
from airflow_provider_oauth.tokens.record import Record, fingerprint
from tests.fake_clock import START
from tests.unit.tokens.world import World


def test_the_connections_own_refresh_token_is_used_first_then_the_rotated_ones(rotating: World) -> None:
    source = rotating.process()
    for _ in range(3):
        source.token()
        rotating.clock.seconds += 990
    assert rotating.endpoint.requests == [("refresh", "fake-first"), ("refresh", "refresh-1"), ("refresh", "refresh-2")]


def test_the_old_refresh_token_is_used_again_if_the_server_returns_no_new_one(rotating: World) -> None:
    rotating.endpoint.refresh_tokens = False
    source = rotating.process()
    source.token()
    rotating.clock.seconds += 990
    source.token()
    assert rotating.endpoint.requests == [("refresh", "fake-first"), ("refresh", "fake-first")]


def test_a_refresh_whose_response_has_no_scope_keeps_the_scope_that_was_granted(rotating: World) -> None:
    narrow = Token(access_token="old", issued_at=START, expires_at=START + timedelta(seconds=1000), scope="read")
    rotating.store.record = replace(rotating.record_of("refresh-0"), tokens={"": narrow})
    rotating.clock.seconds += 990
    assert rotating.process().token().scope == "read"
    assert rotating.store.record.tokens[""].scope == "read"


def test_a_used_refresh_token_is_never_used_again_after_the_secret_was_changed(rotating: World) -> None:
    rotating.process().token()
    rotating.store.record = replace(rotating.store.record, readable=False, tokens={}, refresh_token=None)
    with pytest.raises(ConsentRequired, match="were stored for a different client"):
        rotating.process().token()
    assert len(rotating.endpoint.requests) == 1
    assert rotating.store.record.generation == 1


def test_a_newly_entered_refresh_token_is_used_and_the_tokens_of_the_old_grant_are_dropped(rotating: World) -> None:
    rotating.process().token()
    assert rotating.process(refresh_token="fake-second").token().access_token == "token-2"
    assert rotating.endpoint.requests[-1] == ("refresh", "fake-second")
    assert rotating.store.record.generation == 2
    assert rotating.store.record.used_refresh_tokens == (
        fingerprint("api", "fake-first"),
        fingerprint("api", "fake-second"),
    )


def test_a_newly_entered_refresh_token_replaces_a_record_that_cannot_be_decrypted(rotating: World) -> None:
    rotating.process().token()
    rotating.store.record = replace(rotating.store.record, readable=False, tokens={}, refresh_token=None)
    rotating.process(refresh_token="fake-second").token()
    assert rotating.endpoint.requests[-1] == ("refresh", "fake-second")


def test_removing_the_used_refresh_token_from_the_connection_changes_nothing(rotating: World) -> None:
    rotating.process().token()
    rotating.clock.seconds = 990
    rotating.process(refresh_token=None).token()
    assert rotating.endpoint.requests[-1] == ("refresh", "refresh-1")
    rotating.clock.seconds = 1980
    rotating.process().token()  # entering it again does not use it again
    assert rotating.endpoint.requests[-1] == ("refresh", "refresh-2")


def test_a_corrupt_record_requires_consent_and_is_not_changed(rotating: World) -> None:
    corrupt = Record(readable=False, corrupt=True)
    rotating.store.record = corrupt
    with pytest.raises(ConsentRequired, match="the Variable is corrupt"):
        rotating.process().token()
    assert rotating.store.record is corrupt
    assert rotating.endpoint.requests == []


def test_a_repeatable_grant_replaces_a_corrupt_record(world: World) -> None:
    world.store.record = Record(readable=False, corrupt=True)
    world.process().token()
    assert world.store.record.tokens[""].access_token == "token-1"


def test_a_failed_read_is_not_treated_as_a_missing_record(rotating: World) -> None:
    rotating.process().token()
    rotating.store.seems_missing = True
    with pytest.raises(TokenStoreError, match="exists, but cannot be read"):
        rotating.process().token()
    assert len(rotating.endpoint.requests) == 1


def test_a_failed_read_does_not_require_consent_after_the_first_refresh_token_was_removed(rotating: World) -> None:
    rotating.process().token()
    rotating.store.seems_missing = True
    with pytest.raises(TokenStoreError):
        rotating.process(refresh_token=None).token()


def test_a_process_with_an_older_refresh_token_in_its_configuration_uses_the_record(rotating: World) -> None:
    rotating.process().token()
    rotating.process(refresh_token="fake-second").token()
    rotating.clock.seconds = 990
    assert rotating.process().token().access_token == "token-3"
    assert rotating.process(refresh_token="fake-second").token().access_token == "token-3"
    assert rotating.endpoint.requests == [
        ("refresh", "fake-first"),
        ("refresh", "fake-second"),
        ("refresh", "refresh-2"),
    ]


def test_a_connection_that_was_never_authorized_requires_consent() -> None:
    world = World(grant_type="authorization_code")
    with pytest.raises(ConsentRequired, match="'api': no refresh token is stored yet"):
        world.process().token()


def test_a_refused_refresh_token_requires_consent_and_nothing_is_deleted(rotating: World) -> None:
    rotating.process().token()
    record = rotating.store.record
    rotating.clock.seconds = 990
    rotating.endpoint.errors = [InvalidGrant("no", error="invalid_grant", error_description="Token is revoked")]
    with pytest.raises(ConsentRequired, match="Token is revoked"):
        rotating.process().token()
    assert rotating.store.record.refresh_token == record.refresh_token
    assert rotating.store.record.tokens == record.tokens
    assert rotating.store.record.generation == record.generation


def test_after_a_refused_refresh_token_a_newer_stored_one_is_used(rotating: World) -> None:
    rotating.process().token()
    rotating.clock.seconds = 990
    newer = replace(rotating.store.record, generation=7, nonce="n", refresh_token="refresh-of-another")

    def another_stores() -> None:
        rotating.store.record = newer
        rotating.endpoint.on_request = lambda: None

    rotating.endpoint.on_request = another_stores
    rotating.endpoint.errors = [InvalidGrant("already used")]
    assert rotating.process().token().access_token == "token-3"
    assert rotating.endpoint.requests[1:] == [("refresh", "refresh-1"), ("refresh", "refresh-of-another")]
    assert rotating.store.record.generation == 8


def test_a_newer_refresh_token_that_is_refused_too_requires_consent(rotating: World) -> None:
    rotating.process().token()
    rotating.clock.seconds = 990

    def another_stores() -> None:
        rotating.store.record = replace(rotating.store.record, refresh_token="refresh-of-another")
        rotating.endpoint.on_request = lambda: None

    rotating.endpoint.on_request = another_stores
    rotating.endpoint.errors = [InvalidGrant("already used"), InvalidGrant("spent", error_description="revoked")]
    with pytest.raises(ConsentRequired, match="revoked"):
        rotating.process().token()
    assert rotating.endpoint.requests[1:] == [("refresh", "refresh-1"), ("refresh", "refresh-of-another")]


@pytest.mark.parametrize("grant_type", ["client_credentials", "password"])
def test_with_use_refresh_the_last_refresh_token_is_used(grant_type: str) -> None:
    world = World(grant_type=grant_type, use_refresh=True)
    world.process().token()
    world.clock.seconds = 990
    world.process().token()
    assert world.endpoint.requests == [("grant", None), ("refresh", "refresh-1")]


@pytest.mark.parametrize("grant_type", ["client_credentials", "password"])
def test_with_use_refresh_the_grant_is_repeated_if_the_refresh_token_is_refused(grant_type: str) -> None:
    world = World(grant_type=grant_type, use_refresh=True)
    world.process().token()
    world.clock.seconds = 990
    world.endpoint.errors = [InvalidGrant("expired")]
    assert world.process().token().access_token == "token-3"
    assert world.endpoint.requests[1:] == [("refresh", "refresh-1"), ("grant", None)]
    assert world.store.record.refresh_token == "refresh-3"


def test_without_use_refresh_a_repeatable_grant_stores_no_refresh_token(world: World) -> None:
    world.endpoint.refresh_tokens = True
    world.process().token()
    assert world.store.record.refresh_token is None


@pytest.fixture
def refreshing() -> World:
    """Return a connection with a repeatable grant whose record has a refresh token."""
    world = World(use_refresh=True)
    world.process().token()
    world.clock.seconds = 990
    return world


def test_a_stored_refresh_token_is_not_used_after_use_refresh_was_turned_off(refreshing: World) -> None:
    refreshing.process(use_refresh=False).token()
    assert refreshing.endpoint.requests == [("grant", None), ("grant", None)]
    assert refreshing.store.record.refresh_token is None


@pytest.mark.parametrize("change", [{"refresh_token": None}, {"readable": False, "tokens": {}, "refresh_token": None}])
def test_the_grant_is_repeated_if_the_refresh_token_was_refused_and_none_is_stored_anymore(
    refreshing: World, change: dict[str, Any]
) -> None:
    def another_stores() -> None:
        refreshing.store.record = replace(refreshing.store.record, generation=7, nonce="n", **change)
        refreshing.endpoint.on_request = lambda: None

    refreshing.endpoint.on_request = another_stores
    refreshing.endpoint.errors = [InvalidGrant("already used")]
    assert refreshing.process().token().access_token == "token-3"
    assert refreshing.endpoint.requests[1:] == [("refresh", "refresh-1"), ("grant", None)]


def test_a_newer_refresh_token_is_not_used_if_the_server_took_too_long_to_refuse_the_first(rotating: World) -> None:
    rotating.store.record = rotating.record_of("refresh-0")
    rotating.store.lease = rotating.store.record.nonce

    def another_stores_much_later() -> None:
        rotating.clock.seconds += TERM - MAX_EXCHANGE_TIME - MAX_STORING_TIME
        rotating.store.record = replace(rotating.store.record, generation=7, refresh_token="refresh-of-another")

    rotating.endpoint.on_request = another_stores_much_later
    rotating.endpoint.errors = [InvalidGrant("already used")]
    with pytest.raises(RenewalTimeout, match="which another process had replaced"):
        rotating.process().token()
    assert rotating.endpoint.requests == [("refresh", "refresh-0")]


def test_no_request_is_sent_after_a_refusal_if_the_record_can_no_longer_be_read(rotating: World) -> None:
    rotating.store.record = rotating.record_of("refresh-0")
    rotating.store.lease = rotating.store.record.nonce
    rotating.endpoint.on_request = lambda: setattr(rotating.store, "seems_missing", True)
    rotating.endpoint.errors = [InvalidGrant("already used", error="invalid_grant")]
    with pytest.raises(ConsentRequired, match="no longer accepts"):
        rotating.process().token()
    assert rotating.endpoint.requests == [("refresh", "refresh-0")]


def test_the_expiry_in_the_response_applies_also_to_a_refresh_token_that_is_not_rotated(rotating: World) -> None:
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    rotating.process().token()
    known = rotating.store.record.refresh_expires_at
    rotating.endpoint.refresh_tokens = False
    rotating.clock.seconds += 86400
    rotating.process().token()
    assert rotating.store.record.refresh_token == "refresh-1"
    assert rotating.store.record.refresh_expires_at >= known + timedelta(days=1)


def test_the_claim_is_not_exclusive_if_the_server_issued_no_refresh_token(refreshing: World) -> None:
    refreshing.store.record = replace(refreshing.store.record, refresh_token=None)
    refreshing.process().token()
    assert refreshing.clock.seconds == 990
    assert refreshing.endpoint.requests[-1] == ("grant", None)


def test_a_repeatable_grant_does_not_list_the_variables(world: World) -> None:
    listed = []
    world.store.is_listed = lambda: listed.append("record")
    world.store.lease_is_listed = lambda: listed.append("lease")
    world.process().token()
    assert listed == []


@pytest.mark.parametrize("grant_type", ["client_credentials", "authorization_code"])
def test_a_record_that_cannot_be_decrypted_has_no_token(grant_type: str) -> None:
    world = World(grant_type=grant_type)
    world.process().actions.store_grant(world.endpoint.grant())
    world.store.record = replace(world.store.record, readable=False)
    assert world.process().grant_state().token() is None


def test_a_token_stored_for_another_entered_refresh_token_is_not_used(rotating: World) -> None:
    rotating.process().token()
    assert rotating.process(refresh_token="fake-second").grant_state().token() is None
    assert rotating.process(refresh_token=None).grant_state().token().access_token == "token-1"


def test_a_renewal_is_logged_without_the_token(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world.process().token()
    assert "Connection 'api': obtained a token, valid until 2026-01-01 00:16:40+00:00." in caplog.text
    assert "token-1" not in caplog.text
    world.endpoint.lifetime = None
    world.store.record = Record()
    world.process().token()
    assert "Connection 'api': obtained a token, which never expires." in caplog.text
