"""Limits of the API while a list is read."""

from __future__ import annotations

import math
from datetime import timedelta
from email.utils import format_datetime
from itertools import pairwise, repeat
from typing import TYPE_CHECKING

import pytest

from tests.integration import list_server as faulty
from tests.integration.list_server import PAGES, Fault, Reply, instead

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.fake_clock import FakeClock
    from tests.integration.extract_faults.extracts import Extract


#: Responses of APIs whose limit is exceeded: status, headers for the current time, and the wait in seconds.
LIMITS: dict[str, tuple[int, Callable[[FakeClock], dict[str, str]], float]] = {
    "seconds": (429, lambda _: {"Retry-After": "30"}, 30),
    "decimals": (429, lambda _: {"Retry-After": "30.5"}, 30.5),
    "half a second": (429, lambda _: {"Retry-After": "0.5"}, 0.5),
    "HTTP date": (429, lambda clock: {"Retry-After": format_datetime(in_40_s(clock), usegmt=True)}, 40),
    "epoch": (429, lambda clock: {"Retry-After": f"{in_40_s(clock).timestamp():.0f}"}, 40),
    "RateLimit": (429, lambda _: {"RateLimit": '"minute";r=0;t=12'}, 12),
    "RateLimit-Reset": (429, lambda _: {"RateLimit-Reset": "12", "RateLimit-Remaining": "0"}, 12),
    "X-RateLimit-Reset": (
        429,
        lambda clock: {"X-RateLimit-Reset": f"{in_40_s(clock).timestamp():.0f}", "X-RateLimit-Remaining": "0"},
        40,
    ),
    "GitHub": (
        403,
        lambda clock: {"X-RateLimit-Reset": f"{in_40_s(clock).timestamp():.0f}", "X-RateLimit-Remaining": "0"},
        40,
    ),
    "GitHub's secondary limit": (403, lambda _: {"Retry-After": "60", "X-RateLimit-Remaining": "17"}, 60),
    "503": (503, lambda _: {"Retry-After": "25"}, 25),
}


def in_40_s(clock: FakeClock) -> datetime:
    return (clock.now() + timedelta(seconds=40)).replace(microsecond=0)


def limited(clock: FakeClock, kind: str, waits: list[float]) -> Fault:
    """Return a fault that reports an exceeded limit, and adds the wait to ``waits``."""
    status, headers, _ = LIMITS[kind]

    def send(handler: faulty.Handler, _: Reply) -> None:
        clock.seconds = float(math.ceil(clock.seconds))  # dates have whole seconds
        waits.append(clock.seconds)
        faulty.whole(handler, Reply(status, headers(clock), b'{"message": "too many requests"}'))

    return send


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("style", ["number", "cursor", "search", "lines"])
def test_bursts_of_a_limit_are_waited_for_as_long_as_the_api_requires(
    extract: Extract, clock: FakeClock, style: str, kind: str
) -> None:
    at: list[float] = []
    fault = limited(clock, kind, at)
    extract.server.faults = {1: [fault], 10: [fault] * 3, 11: [fault], PAGES: [fault]}
    result = extract.is_complete(style)
    wait = LIMITS[kind][2]
    assert result["retries" if kind == "503" else "waits"] == 6
    if extract.concurrency == 1 or style != "number":  # otherwise some of these pages wait at the same time
        assert result["waited"] == pytest.approx(6 * wait)
        assert all(later - earlier >= wait for earlier, later in pairwise(at))


@pytest.mark.parametrize("kind", ["seconds", "HTTP date", "GitHub"])
def test_a_limit_that_takes_longer_than_permitted_is_an_error_with_both_numbers(
    extract: Extract, clock: FakeClock, kind: str
) -> None:
    wait = LIMITS[kind][2]
    extract.server.faults = {10: [limited(clock, kind, [])]}
    extract.fails("cursor", f"requires a wait of {wait:.0f} s.* permits 20 s", rate_limit_timeout=20)


def test_a_limit_that_never_ends_is_an_error(extract: Extract, clock: FakeClock) -> None:
    extract.server.faults = {10: repeat(limited(clock, "seconds", []))}
    extract.fails("number", "429.* requires a wait of 30 s.* permits 300 s")
    assert clock.seconds < 400


def test_a_403_for_another_reason_is_an_error(extract: Extract) -> None:
    # A request that was sent ahead is repeated once after a 403, because another process may have renewed the token.
    extract.server.faults = {10: repeat(instead(403, X_RateLimit_Remaining="5"))}
    assert extract.fails("cursor", "403").status_code == 403
