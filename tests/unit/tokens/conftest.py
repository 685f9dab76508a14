"""Connections that the tests of renewal share."""

from __future__ import annotations

import pytest

from tests.unit.tokens.world import World


@pytest.fixture(autouse=True)
def every_lock_is_released():
    """Fail a test after which a process still holds the host's lock."""
    World.all.clear()
    yield
    assert not any(world.lock.held for world in World.all)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def rotating():
    return World(grant_type="refresh_token", refresh_token="fake-first")
