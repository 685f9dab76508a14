"""Measures calls in turns, and describes a row of the table."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Row(NamedTuple):
    """A row of the table, as text.

    :param label: the measurement
    :param reference: the name and the value of the reference
    :param ours: the value of this package
    :param ratio: this package divided by the reference, or the difference
    :param goal: the goal for the ratio; empty if the row is for information
    """

    label: str
    reference: str
    ours: str
    ratio: str = ""
    goal: str = ""


def in_turns(
    calls: Mapping[str, Callable[[], object]], *, times: int, rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Return the seconds that one call takes, one value per round.

    All calls are measured in every round, so that other work of the machine affects all of them equally.

    :param calls: the calls to measure, by name
    :param times: the number of calls per round
    :param rounds: the number of rounds, after one that is not counted
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
    """Return the median of the ratios of all rounds."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def added(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the differences of all rounds."""
    return statistics.median(mine - other for mine, other in zip(ours, theirs, strict=True))


def microseconds(seconds: Sequence[float]) -> str:
    """Return the median in microseconds as text."""
    return f"{statistics.median(seconds) * 1e6:.0f} µs"


def milliseconds(seconds: Sequence[float]) -> str:
    """Return the median in milliseconds as text."""
    return f"{statistics.median(seconds) * 1e3:.2f} ms"
