"""Time, as an argument: tests and simulations bring their own."""

from __future__ import annotations

import time
from datetime import UTC, datetime

# CLOCK_MONOTONIC stops while the machine is suspended, so a lease would seem to last that much longer.
_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class Clock:
    """The system's clocks and its sleep."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC: for what is compared between hosts."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since a fixed point, including time in suspend where the system measures it (Linux).

        For durations within this process.
        """
        return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)

    def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
        time.sleep(seconds)
