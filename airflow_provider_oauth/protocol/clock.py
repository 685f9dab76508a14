"""The clocks of the operating system. They are passed as an argument, so that tests can replace them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

# CLOCK_MONOTONIC stops while the machine is suspended. With it, a process could use a claim after its end.
_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class Clock:
    """The wall clock and the monotonic clock."""

    def now(self) -> datetime:
        """Return the wall-clock time in UTC, with a time zone. Use it for times that are compared between hosts."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the seconds since a fixed point in time. Use it for durations within this process.

        On Linux, it includes the time during which the machine was suspended.
        """
        return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Sleep for ``seconds``.

        :param seconds: how long
        :param stop: ends the sleep when it is set; None if nothing ends it
        """
        if stop is None:
            time.sleep(seconds)
        else:
            stop.wait(seconds)
