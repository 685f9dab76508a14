"""Time as tests want it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow_provider_oauth.protocol.clock import Clock

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock(Clock):
    """Time that passes only by sleeping, and by as much as a test says."""

    def __init__(self):
        self.time = 0.0
        self.slept = []

    def now(self):
        return START + timedelta(seconds=self.time)

    def monotonic(self):
        return self.time

    def sleep(self, seconds):
        assert seconds >= 0
        self.slept.append(seconds)
        self.time += seconds
