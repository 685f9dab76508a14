"""Tokens that never expire: used until the API refuses them, and only a new consent replaces them."""

from __future__ import annotations

import pytest

from airflow_provider_oauth.exceptions import ConsentRequired
from tests.unit.tokens.world import World

YEARS = 10 * 365 * 86400


@pytest.fixture
def world():
    world = World(grant_type="authorization_code")
    world.endpoint.refresh_tokens, world.endpoint.lifetime = False, None
    return world


@pytest.fixture
def consented(world):
    world.process().actions.store_grant(world.endpoint.grant())
    return world


def test_is_stored_and_used_for_years_and_no_request_is_sent(consented):
    source = consented.process()
    consented.clock.seconds = YEARS
    assert source.token().access_token == "token-1"
    assert source.fresh().access_token == "token-1"
    assert source.usable().access_token == "token-1"
    assert consented.process().token().expires_at is None
    assert consented.endpoint.asked == [("grant", None)]


def test_needs_no_consent_while_it_is_stored(consented):
    consented.clock.seconds = YEARS
    stored = consented.process().grant_state()
    assert (stored.token().access_token, stored.needs_consent, stored.consent_by) == ("token-1", False, None)


def test_needs_consent_once_it_was_forgotten(consented):
    consented.process().actions.forget()
    assert consented.process().grant_state().needs_consent
    with pytest.raises(ConsentRequired):
        consented.process().token()


def test_a_refused_one_asks_for_consent(consented):
    source = consented.process()
    rejected = source.token()
    with pytest.raises(ConsentRequired, match="'api'"):
        source.token(rejected=rejected)
    assert len(consented.endpoint.asked) == 1


def test_after_the_api_refused_it_the_record_says_that_a_user_must_authorize(consented):
    source = consented.process()
    with pytest.raises(ConsentRequired, match="the API refused the access token. This token never expires"):
        source.token(rejected=source.token())
    stored = consented.process().grant_state()
    assert stored.needs_consent
    assert isinstance(stored.record.refused.error, ConsentRequired)
    assert stored.token().access_token == "token-1"  # it is used again, should the API have refused it by mistake
    source.actions.store_grant(consented.endpoint.grant())
    assert not consented.process().grant_state().needs_consent


def test_processes_that_see_the_same_refusal_soon_after_fail_without_a_claim(consented):
    first, second = consented.process(), consented.process()
    rejected = first.token(), second.token()
    with pytest.raises(ConsentRequired):
        first.token(rejected=rejected[0])
    leases = len(consented.store.leases)
    with pytest.raises(ConsentRequired, match="never expires"):
        second.token(rejected=rejected[1])
    assert len(consented.store.leases) == leases


def test_a_person_cannot_renew_it_and_it_stays_in_use(consented):
    source = consented.process()
    with pytest.raises(ConsentRequired, match="never expires and has no refresh token, so it cannot be renewed"):
        source.renew()
    assert not source.grant_state().needs_consent
    assert source.token().access_token == "token-1"
    assert len(consented.store.leases) == 1  # that of the consent


def test_a_refused_one_gives_way_to_another_consent(consented):
    source = consented.process()
    rejected = source.token()
    consented.process().actions.store_grant(consented.endpoint.grant())
    assert source.token(rejected=rejected).access_token == "token-2"


def test_is_preferred_to_a_held_token_that_expires(consented):
    source = consented.process()
    consented.endpoint.lifetime, consented.endpoint.refresh_tokens = 1000, True
    source.actions.store_grant(consented.endpoint.grant())
    consented.endpoint.lifetime, consented.endpoint.refresh_tokens = None, False
    consented.process().actions.store_grant(consented.endpoint.grant())
    consented.clock.seconds += 800  # the held token is due, so the record is read
    assert source.token().access_token == "token-3"
