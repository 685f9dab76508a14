"""Connections for the tests of renewal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.tokens.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def every_lock_is_released() -> Iterator[None]:
    """Fail a test after which a process still has the host lock."""
    World.all.clear()
    yield
    assert not any(world.lock.held for world in World.all)


@pytest.fixture
def world() -> World:
    """Return a connection whose grant can be repeated."""
    return World()


@pytest.fixture
def rotating() -> World:
    """Return a connection with a refresh token. The server rotates it."""
    return World(grant_type="refresh_token", refresh_token="fake-first")


@pytest.fixture
def authorized() -> World:
    """Return a connection that a user has authorized."""
    world = World(grant_type="authorization_code")
    world.authorize("first")
    return world
