"""How long a process waits for other processes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_oauth.protocol.clock import Clock

#: Longest wait, in seconds, for the process that has the host lock. A process that has the lock for longer is assumed
#: to be frozen.
HOST_LOCK_TIMEOUT = 60.0
#: Longest wait, in seconds, for a renewal with a refresh token. In this time, the claim of a process that has died can
#: expire, and another process can finish a slow renewal.
RENEWAL_WAIT_TIMEOUT = 240.0
#: First and longest pause, in seconds, and the factor by which each pause is longer than the previous one.
FIRST_PAUSE = 0.05
MAX_PAUSE = 1.0
PAUSE_FACTOR = 1.5


def pauses(clock: Clock) -> Iterator[tuple[float, float]]:
    """Yield the time waited so far and the next pause, in seconds.

    The pauses get longer, and are random, so that processes do not retry at the same moment.

    :param clock: the clocks
    """
    started = clock.monotonic()
    waited, pause = 0.0, FIRST_PAUSE
    while True:
        yield waited, random.uniform(pause / 2, pause)  # noqa: S311 - it spreads load and protects nothing
        waited, pause = clock.monotonic() - started, min(pause * PAUSE_FACTOR, MAX_PAUSE)
