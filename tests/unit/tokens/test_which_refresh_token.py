"""Which refresh token a renewal uses, and which record it does not touch."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_provider_oauth.exceptions import ConsentRequired, InvalidGrant, RenewalTimeout
from airflow_provider_oauth.tokens.lease import MAX_EXCHANGE_TIME, MAX_STORING_TIME, TERM
from airflow_provider_oauth.tokens.record import Record
from tests.unit.tokens.world import World


@pytest.fixture
def refreshing():
    """Return a world whose grant can be repeated and has stored a refresh token."""
    world = World(use_refresh=True)
    world.process().token()
    world.clock.seconds = 990
    return world


def test_a_stored_refresh_token_is_not_used_once_use_refresh_was_switched_off(refreshing):
    refreshing.process(use_refresh=False).token()
    assert refreshing.endpoint.asked == [("grant", None), ("grant", None)]
    assert refreshing.store.record.refresh_token is None


@pytest.mark.parametrize("change", [{"refresh_token": None}, {"readable": False, "tokens": {}, "refresh_token": None}])
def test_the_grant_is_repeated_if_the_refresh_token_was_refused_and_none_is_stored_any_more(refreshing, change):
    def another_stores():
        refreshing.store.record = replace(refreshing.store.record, generation=7, nonce="n", **change)
        refreshing.endpoint.during = lambda: None

    refreshing.endpoint.during = another_stores
    refreshing.endpoint.errors = [InvalidGrant("spent")]
    assert refreshing.process().token().access_token == "token-3"
    assert refreshing.endpoint.asked[1:] == [("refresh", "refresh-1"), ("grant", None)]


def test_a_newer_refresh_token_is_left_to_others_if_the_server_took_too_long_to_refuse_the_first(rotating):
    rotating.store.record = rotating.record_of("refresh-0")
    rotating.store.lease = rotating.store.record.nonce

    def another_stores_much_later():
        rotating.clock.seconds += TERM - MAX_EXCHANGE_TIME - MAX_STORING_TIME
        rotating.store.record = replace(rotating.store.record, generation=7, refresh_token="refresh-of-another")

    rotating.endpoint.during = another_stores_much_later
    rotating.endpoint.errors = [InvalidGrant("spent")]
    with pytest.raises(RenewalTimeout, match="Another process has stored a newer one"):
        rotating.process().token()
    assert rotating.endpoint.asked == [("refresh", "refresh-0")]


def test_nothing_more_is_sent_after_a_refusal_if_the_record_cannot_be_read_any_more(rotating):
    rotating.store.record = rotating.record_of("refresh-0")
    rotating.store.lease = rotating.store.record.nonce
    rotating.endpoint.during = lambda: setattr(rotating.store, "seems_absent", True)
    rotating.endpoint.errors = [InvalidGrant("spent", error="invalid_grant")]
    with pytest.raises(ConsentRequired, match="no longer accepts"):
        rotating.process().token()
    assert rotating.endpoint.asked == [("refresh", "refresh-0")]


def test_the_end_in_the_response_counts_also_for_a_refresh_token_that_stays(rotating):
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    rotating.process().token()
    known = rotating.store.record.refresh_expires_at
    rotating.endpoint.refresh_tokens = False
    rotating.clock.seconds += 86400
    rotating.process().token()
    assert rotating.store.record.refresh_token == "refresh-1"
    assert rotating.store.record.refresh_expires_at >= known + timedelta(days=1)


def test_nobody_waits_for_an_exclusive_claim_where_the_server_issued_no_refresh_token(refreshing):
    refreshing.store.record = replace(refreshing.store.record, refresh_token=None)
    refreshing.process().token()
    assert refreshing.clock.seconds == 990
    assert refreshing.endpoint.asked[-1] == ("grant", None)


def test_a_grant_that_can_be_repeated_does_not_list_the_variables(world):
    listed = []
    world.store.is_listed = lambda: listed.append("record")
    world.store.lease_is_listed = lambda: listed.append("lease")
    world.process().token()
    assert listed == []


@pytest.mark.parametrize("grant_type", ["client_credentials", "authorization_code"])
def test_nothing_of_a_record_that_cannot_be_opened_is_used(grant_type):
    world = World(grant_type=grant_type)
    world.process().actions.store_grant(world.endpoint.grant())
    world.store.record = replace(world.store.record, readable=False)
    assert world.process().grant_state().token() is None


def test_what_is_stored_for_another_pasted_refresh_token_is_not_used(rotating):
    rotating.process().token()
    assert rotating.process(refresh_token="fake-second").grant_state().token() is None
    assert rotating.process(refresh_token=None).grant_state().token().access_token == "token-1"


def test_a_renewal_is_logged_without_the_token(world, caplog):
    caplog.set_level(logging.INFO)
    world.process().token()
    assert "Connection 'api': renewed the token, valid until 2026-01-01 00:16:40+00:00." in caplog.text
    assert "token-1" not in caplog.text
    world.endpoint.lifetime = None
    world.store.record = Record()
    world.process().token()
    assert "Connection 'api': renewed the token, which never expires." in caplog.text
