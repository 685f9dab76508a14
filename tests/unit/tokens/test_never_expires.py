"""Tokens that never expire: they are used until the API refuses them; only a new authorization replaces them."""

from __future__ import annotations

import pytest

from airflow_provider_oauth.exceptions import ConsentRequired
from tests.unit.tokens.world import World

YEARS = 10 * 365 * 86400


@pytest.fixture
def world() -> World:
    world = World(grant_type="authorization_code")
    world.endpoint.refresh_tokens, world.endpoint.lifetime = False, None
    return world


@pytest.fixture
def authorized(world: World) -> World:
    world.process().actions.store_grant(world.endpoint.grant())
    return world


def test_a_token_that_never_expires_is_used_for_years_without_a_request(authorized: World) -> None:
    source = authorized.process()
    authorized.clock.seconds = YEARS
    assert source.token().access_token == "token-1"
    assert source.fresh().access_token == "token-1"
    assert source.usable().access_token == "token-1"
    assert authorized.process().token().expires_at is None
    assert authorized.endpoint.requests == [("grant", None)]


def test_no_consent_is_needed_while_the_token_is_stored(authorized: World) -> None:
    authorized.clock.seconds = YEARS
    stored = authorized.process().grant_state()
    assert (stored.token().access_token, stored.needs_consent, stored.consent_by) == ("token-1", False, None)


def test_consent_is_needed_after_the_token_was_forgotten(authorized: World) -> None:
    authorized.process().actions.forget()
    assert authorized.process().grant_state().needs_consent
    with pytest.raises(ConsentRequired):
        authorized.process().token()


def test_consent_is_required_after_the_api_refused_the_token(authorized: World) -> None:
    source = authorized.process()
    rejected = source.token()
    with pytest.raises(ConsentRequired, match="'api'"):
        source.token(rejected=rejected)
    assert len(authorized.endpoint.requests) == 1


def test_after_the_api_refused_the_token_the_record_requires_consent_and_keeps_the_token(authorized: World) -> None:
    source = authorized.process()
    with pytest.raises(ConsentRequired, match="the API refused the access token. This token never expires"):
        source.token(rejected=source.token())
    stored = authorized.process().grant_state()
    assert stored.needs_consent
    assert isinstance(stored.record.refused.error, ConsentRequired)
    assert stored.token().access_token == "token-1"  # it can be used again if the API refused it by mistake
    source.actions.store_grant(authorized.endpoint.grant())
    assert not authorized.process().grant_state().needs_consent


def test_processes_whose_token_is_refused_soon_afterwards_fail_without_a_claim(authorized: World) -> None:
    first, second = authorized.process(), authorized.process()
    rejected = first.token(), second.token()
    with pytest.raises(ConsentRequired):
        first.token(rejected=rejected[0])
    leases = len(authorized.store.leases)
    with pytest.raises(ConsentRequired, match="never expires"):
        second.token(rejected=rejected[1])
    assert len(authorized.store.leases) == leases


def test_a_user_cannot_renew_the_token_and_it_stays_in_use(authorized: World) -> None:
    source = authorized.process()
    with pytest.raises(ConsentRequired, match="never expires and has no refresh token, so it cannot be renewed"):
        source.renew()
    assert not source.grant_state().needs_consent
    assert source.token().access_token == "token-1"
    assert len(authorized.store.leases) == 1  # that of the authorization


def test_after_the_api_refused_the_token_a_newly_authorized_one_is_used(authorized: World) -> None:
    source = authorized.process()
    rejected = source.token()
    authorized.process().actions.store_grant(authorized.endpoint.grant())
    assert source.token(rejected=rejected).access_token == "token-2"


def test_the_token_is_preferred_to_one_in_memory_that_expires(authorized: World) -> None:
    source = authorized.process()
    authorized.endpoint.lifetime, authorized.endpoint.refresh_tokens = 1000, True
    source.actions.store_grant(authorized.endpoint.grant())
    authorized.endpoint.lifetime, authorized.endpoint.refresh_tokens = None, False
    authorized.process().actions.store_grant(authorized.endpoint.grant())
    authorized.clock.seconds += 800  # the token in memory is due, so the record is read
    assert source.token().access_token == "token-3"
