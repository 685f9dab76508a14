"""When the stored refresh token expires."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import (
    InvalidClient,
)
from tests.fake_clock import START
from tests.unit.tokens.world import World

if TYPE_CHECKING:
    from airflow_provider_oauth.tokens.record import Record


def renewed(world: World, **config: Any) -> Record:
    """Renew the token in another process, even if it is usable; return the record."""
    source = world.process(**config)
    source.token(rejected=source.grant_state().token())
    return world.store.record


def test_the_expiry_of_the_refresh_token_is_in_the_record_and_not_in_the_token(rotating: World) -> None:
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    record = renewed(rotating)
    assert record.refresh_expires_at == START + timedelta(seconds=rotating.clock.seconds, days=2)
    assert record.tokens[""].refresh_expires_at is None
    assert rotating.process().grant_state().consent_by == record.refresh_expires_at


def test_every_renewal_updates_the_expiry_of_the_refresh_token(rotating: World) -> None:
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    first = renewed(rotating).refresh_expires_at
    rotating.clock.seconds += 86400
    assert renewed(rotating).refresh_expires_at >= first + timedelta(days=1)


def test_the_expiry_of_the_old_refresh_token_does_not_apply_to_the_new_one(rotating: World) -> None:
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    renewed(rotating)
    rotating.endpoint.refresh_lifetime = None
    assert renewed(rotating).refresh_expires_at is None


def test_the_expiry_of_a_refresh_token_that_is_not_rotated_is_kept_until_it_has_passed(rotating: World) -> None:
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    ends = renewed(rotating).refresh_expires_at
    rotating.endpoint.refresh_lifetime, rotating.endpoint.refresh_tokens = None, False
    record = renewed(rotating)
    assert (record.refresh_token, record.refresh_expires_at) == ("refresh-1", ends)
    rotating.clock.seconds += 3 * 86400
    record = renewed(rotating)
    assert (record.refresh_token, record.refresh_expires_at) == ("refresh-1", None)


def test_the_expiry_of_the_stored_refresh_token_does_not_apply_to_a_newly_entered_one(rotating: World) -> None:
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    renewed(rotating)
    entered = {"refresh_token": "fake-second"}
    assert rotating.process(**entered).grant_state().consent_by is None
    rotating.endpoint.refresh_lifetime, rotating.endpoint.refresh_tokens = None, False
    record = renewed(rotating, **entered)
    assert (record.refresh_token, record.refresh_expires_at) == ("fake-second", None)


def test_a_failed_renewal_does_not_change_the_expiry_of_the_refresh_token(rotating: World) -> None:
    rotating.endpoint.refresh_lifetime = timedelta(days=2)
    ends = renewed(rotating).refresh_expires_at
    rotating.endpoint.errors = [InvalidClient("the secret is wrong")]
    with pytest.raises(InvalidClient):
        renewed(rotating)
    assert rotating.store.record.refused
    assert rotating.store.record.refresh_expires_at == ends


def test_a_repeatable_grant_stores_neither_refresh_token_nor_its_expiry(world: World) -> None:
    world.endpoint.refresh_tokens, world.endpoint.refresh_lifetime = True, timedelta(days=2)
    record = renewed(world)
    assert (record.refresh_token, record.refresh_expires_at) == (None, None)


def test_with_use_refresh_no_consent_is_needed_and_another_scope_does_not_change_the_refresh_token() -> None:
    world = World(use_refresh=True)
    world.endpoint.refresh_lifetime = timedelta(days=2)
    ends = renewed(world).refresh_expires_at
    assert ends is not None
    assert world.process().grant_state().consent_by is None
    world.clock.seconds += 10
    world.process().token(scope="other")
    assert (world.store.record.refresh_token, world.store.record.refresh_expires_at) == ("refresh-1", ends)
