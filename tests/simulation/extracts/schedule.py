"""The faults and the load of a simulation of extracts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Fate(Enum):
    """What happens to one operation."""

    OK = "takes effect"
    KILL = "the attempt is killed before it takes effect"
    KILL_LATE = "the attempt is killed; it takes effect later"
    FAIL = "fails without effect"
    FAIL_AFTER = "takes effect, but an error is reported"
    FAIL_LATE = "an error is reported; it takes effect later"
    STALL = "waits: the attempt is suspended, and a retry starts, because its worker seems to be lost"


@dataclass(frozen=True)
class Schedule:
    """The faults and the load of one run of the simulation. Shares are between 0 and 1.

    :param seed: determines everything that the other parameters leave open
    :param storage: ``"s3"`` (creates exclusively), ``"azure"`` (atomic uploads), ``"rename"`` or ``"local"``
    :param folder: whether each run writes a folder of parts; otherwise a single file
    :param order: ``"pages"`` (page numbers, by ID), ``"cursor"`` or ``"links"`` (by time), or ``"descending"`` (page
        numbers, newest first)
    :param client_side: whether the operator drops the older rows, because the API has no parameter for it
    :param sends_end: whether the operator also sends the end of the period with ``"cursor"`` and ``"links"``. With page
        numbers, a changed row would leave the list, and another row would be missing, see docs/incremental.md
    :param rows: number of rows at the start
    :param size: number of rows of a page
    :param part_rows: number of rows after which a part is closed
    :param changes: share of steps before which a row is added or updated
    :param max_changes: how often that happens at most; otherwise the list could grow faster than it is read
    :param commit_time: maximum time from the value of a row until the API shows the row, in seconds
    :param expiry: share of pages after which the API forgets all cursors
    :param skew: difference between the clocks of the two hosts and that of the API, in seconds
    :param runs: number of runs, each of which starts after the previous one has succeeded
    :param parallel: share of steps at which the next run starts earlier
    :param clears: number of runs that a user clears
    :param kills: share of steps at which the attempt is killed
    :param failing: share of operations that fail, before or after they take effect
    :param late: share of operations that fail or whose attempt is killed, and that take effect later
    :param lost: share of steps at which the worker is lost, so that a retry starts while the attempt still runs
    :param alive: how many attempts of a run can run at the same time
    :param stall: longest time for which a lost attempt is suspended, in steps
    :param days: longest time until a retry, in days
    :param plan: what happens to an operation, given by the number of the attempt and the number of its step; both count
        from 1. With a plan, no operation has another fate by chance
    :param resumes: before which step of the next attempt a suspended attempt continues, or an operation takes
        effect late, by the number of the attempt; absent: after the next attempt has ended
    """

    seed: int = 0
    storage: str = "s3"
    folder: bool = True
    order: str = "pages"
    client_side: bool = False
    sends_end: bool = False
    rows: int = 9
    size: int = 2
    part_rows: int = 3
    changes: float = 0.2
    max_changes: int = 12
    commit_time: float = 0.0
    expiry: float = 0.0
    skew: float = 0.0
    runs: int = 2
    parallel: float = 0.0
    clears: int = 0
    kills: float = 0.0
    failing: float = 0.0
    late: float = 0.0
    lost: float = 0.0
    alive: int = 2
    stall: int = 150
    days: float = 0.0
    plan: Mapping[tuple[int, int], Fate] = field(default_factory=dict)
    resumes: Mapping[int, int] = field(default_factory=dict)

    @property
    def lookback(self) -> float | None:
        """The parameter ``lookback`` of the task, in seconds; None for the default, which is one second here."""
        return self.commit_time + 1 if self.commit_time else None

    def before(self, mark: str) -> str:
        """Return the value from which a run with this mark reads."""
        earlier = datetime.fromisoformat(mark) - timedelta(seconds=int(self.lookback or 1))
        return earlier.strftime("%Y-%m-%dT%H:%M:%SZ")
