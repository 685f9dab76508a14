"""Fixtures of the renewal tests, because a refusal by the API causes a renewal."""

from __future__ import annotations

from tests.unit.tokens.conftest import every_lock_is_released, rotating, world

__all__ = ["every_lock_is_released", "rotating", "world"]
