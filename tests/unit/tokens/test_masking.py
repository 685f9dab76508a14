"""How long each secret is masked in the logs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import InvalidGrant
from tests.fake_clock import START
from tests.unit.tokens.world import World


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_an_access_token_is_masked_until_it_expires(world: World) -> None:
    world.process().token()
    assert world.masked == {"token-1": at(1000)}


def test_an_access_token_read_from_the_store_is_masked_until_it_expires(world: World) -> None:
    world.process().token()
    world.masked.clear()
    world.process().token()
    assert world.masked == {"token-1": at(1000)}


def test_a_token_that_never_expires_is_always_masked(world: World) -> None:
    world.endpoint.lifetime = None
    world.process().token()
    assert world.masked == {"token-1": None}


def test_a_single_use_token_is_masked_for_an_hour_because_a_request_may_still_use_it(world: World) -> None:
    world.endpoint.lifetime = 0
    source = world.process()
    source.token()
    world.clock.seconds = 10
    source.token()
    assert world.masked == {"token-1": at(3600), "token-2": at(3610)}


def test_a_refresh_token_is_masked_until_it_is_replaced(rotating: World) -> None:
    rotating.store.record = rotating.record_of("refresh-0")
    rotating.store.lease = "n"
    rotating.process().token()
    assert rotating.masked["refresh-1"] is None
    assert rotating.masked["refresh-0"] == at(rotating.clock.seconds)


@pytest.mark.parametrize("returned", [None, "fake-first"])
def test_a_refresh_token_that_the_server_does_not_replace_stays_masked(rotating: World, returned: str | None) -> None:
    refresh = rotating.endpoint.refresh

    def refresh_without_rotation(*args: Any, **options: Any) -> Any:
        return replace(refresh(*args, **options), refresh_token=returned)

    rotating.endpoint.refresh = refresh_without_rotation
    rotating.process().token()
    assert rotating.masked["fake-first"] is None


def test_the_refresh_token_of_a_repeated_grant_is_masked(world: World) -> None:
    world.endpoint.refresh_tokens = True
    world.process().token()
    assert world.masked == {"token-1": at(1000), "refresh-1": None}


def test_a_refresh_token_and_the_old_access_token_are_masked_before_they_are_sent(rotating: World) -> None:
    rotating.process().token()
    rotating.clock.seconds += 990
    rotating.masked.clear()
    masked_at_the_request = []
    rotating.endpoint.on_request = lambda: masked_at_the_request.append(set(rotating.masked))
    rotating.process().token()
    assert {"token-1", "refresh-1"} <= masked_at_the_request[0]


def test_a_refresh_token_that_the_server_refused_stays_masked() -> None:
    world = World(use_refresh=True)
    world.process().token()
    world.clock.seconds = 990
    world.endpoint.errors = [InvalidGrant("expired")]
    world.process().token()
    assert world.masked["refresh-1"] is None
