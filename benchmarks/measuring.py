"""What the benchmarks share: calls measured in turns, and a row of the table."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Row(NamedTuple):
    """A row of the table, as text.

    :param what: what was measured
    :param theirs: of the reference, which is named
    :param ours: the same of ours
    :param ratio: ours in parts of theirs, or what ours adds
    :param goal: what was promised; empty where the row is for information
    """

    what: str
    theirs: str
    ours: str
    ratio: str = ""
    goal: str = ""


def in_turns(
    calls: Mapping[str, Callable[[], object]], *, times: int, rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Return the seconds that one call takes, a figure a round.

    All take their turn in every round, so that whatever else this machine does meets all alike.

    :param calls: what to measure, by name
    :param times: how often each is called in a round
    :param rounds: how many there are, after one that does not count
    :param clock: ``time.process_time`` or ``time.perf_counter``
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name in sorted(calls, reverse=bool(number % 2)):
            begun = clock()
            for _ in range(times):
                calls[name]()
            seconds[name].append((clock() - begun) / times)
    return {name: taken[1:] for name, taken in seconds.items()}


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the rounds' ratios."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def added(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the rounds' differences."""
    return statistics.median(mine - other for mine, other in zip(ours, theirs, strict=True))


def microseconds(seconds: Sequence[float]) -> str:
    """Return the median, as text."""
    return f"{statistics.median(seconds) * 1e6:.0f} µs"


def milliseconds(seconds: Sequence[float]) -> str:
    """Return the median, as text."""
    return f"{statistics.median(seconds) * 1e3:.2f} ms"
