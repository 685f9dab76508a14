"""The fake clock of all tests: time passes only when the code under test sleeps or a test advances it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_oauth.protocol.clock import Clock

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    import pytest

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock(Clock):
    """A clock that a test controls; ``slept`` lists the durations of all sleeps.

    :param start: the time of day at 0 seconds; the monotonic clock starts at 0
    """

    def __init__(self, start: datetime = START) -> None:
        self.start = start
        self.seconds = 0.0
        self.slept: list[float] = []
        self.on_sleep: Callable[[], object] = lambda: None

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)

    def timestamp(self) -> float:
        """Return the seconds since the epoch, as ``time.time`` does."""
        return self.now().timestamp()

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Advance the time, then call ``on_sleep``, where a test lets other processes act."""
        assert seconds >= 0
        self.slept.append(seconds)
        self.advance(seconds)
        self.on_sleep()

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make every clock of the package show this clock's time."""
        monkeypatch.setattr(Clock, "now", lambda _: self.now())
        monkeypatch.setattr(Clock, "monotonic", lambda _: self.monotonic())
        monkeypatch.setattr(Clock, "sleep", lambda _, seconds, stop=None: self.sleep(seconds, stop))


class SkewedClock(Clock):
    """A host's clock whose time of day is wrong by a number of seconds.

    :param clock: the correct clock; sleeping here advances it
    """

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self.clock = clock
        self.skew = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self.clock.now() + self.skew

    def monotonic(self) -> float:
        return self.clock.monotonic()

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        self.clock.sleep(seconds, stop)
