"""Time, as an argument: tests and simulations bring their own."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """The system's clocks and its sleep."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC: for what is compared between hosts."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since some fixed point: for what is measured within this process."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
        time.sleep(seconds)
