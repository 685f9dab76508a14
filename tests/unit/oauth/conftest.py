"""Connections that the tests of renewal share."""

from __future__ import annotations

import pytest

from tests.unit.oauth.world import World


@pytest.fixture
def world():
    return World()


@pytest.fixture
def rotating():
    return World(grant_type="refresh_token", refresh_token="fake-first")
