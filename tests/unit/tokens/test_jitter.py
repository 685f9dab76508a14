"""The jitter: not all processes renew at the same moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_oauth.tokens.source import TokenSource
from airflow_provider_oauth.tokens.token_cache import MAX_JITTER

if TYPE_CHECKING:
    from tests.unit.tokens.world import World


def source_of(world: World) -> TokenSource:
    """Return a source with a random jitter, unlike ``World.process``."""
    return TokenSource(world.dependencies())


def due_at(world: World, source: TokenSource) -> float:
    """Return the number of seconds after which the token is due in this process."""
    source.token()
    low, high = 0.0, 1000.0
    while high - low > 0.001:
        world.clock.seconds = (low + high) / 2
        low, high = (low, world.clock.seconds) if source.fresh() is None else (world.clock.seconds, high)
    world.clock.seconds = 0.0
    return high


def test_a_token_is_due_at_a_different_time_in_each_process(world: World) -> None:
    times = [due_at(world, source_of(world)) for _ in range(20)]
    assert len({round(time, 2) for time in times}) > 10
    assert all(750 - MAX_JITTER * 1000 - 0.01 <= time <= 750.01 for time in times)
    assert max(times) - min(times) > MAX_JITTER * 1000 / 4
    assert len(world.endpoint.requests) == 1
