"""The connections of the tests of renewal, because a refusal of the API causes one."""

from __future__ import annotations

from tests.unit.tokens.conftest import every_lock_is_released, rotating, world

__all__ = ["every_lock_is_released", "rotating", "world"]
