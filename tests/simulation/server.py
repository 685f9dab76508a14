"""The simulated authorization server."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.schedule import Schedule
    from tests.simulation.world import Process

FIRST = "fake-first"
#: Seconds that a process needs, after it was frozen, to claim the lease again and store the renewed record.
MARGIN = 10.0


class Server:
    """Issues single-use refresh tokens and records which process used which one."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.valid: dict[int | None, str] = {0: FIRST}  # by grant
        self.grant_of: dict[str | None, int | None] = {None: None, FIRST: 0}
        self.successor: dict[str, str] = {}
        self.uses: dict[str, list[Use]] = {}
        self.numbers = count(1)
        self.grants = count(1)
        self.requests = 0

    def use(self, process: Process, refresh_token: str) -> Use | None:
        """Use a refresh token; return None if it is refused."""
        self.requests += 1
        grant = self.grant_of[refresh_token]
        referee = process.world.referee
        referee.check(
            grant == process.world.grant,
            f"{process.name} used {refresh_token}, whose grant was replaced or forgotten",
            excused=process.claim_has_ended(),
        )
        earlier = self.uses.setdefault(refresh_token, [])
        # The most important rule: no process uses a refresh token again, unless every response to it was lost.
        for use in earlier:
            referee.check(
                use.lost or use.was_frozen_too_long(),
                f"{process.name} used {refresh_token} again, after {earlier}",
                excused=use.process is not process and (use.late or process.claim_has_ended()),
            )
        referee.reused |= bool(earlier)
        valid = self.valid.get(grant)
        if refresh_token != valid:
            successor = self.successor.get(refresh_token)
            if not (self.schedule.grace and successor and successor == valid and not self.uses.get(successor)):
                return None
        self.successor[refresh_token] = self.issue(grant)
        use = Use(
            process,
            self.successor[refresh_token],
            sent=process.world.now,
            ends=process.claim_ends(),
            late=process.claim_has_ended(),
        )
        earlier.append(use)
        return use

    def issue(self, grant: int | None) -> str:
        """Issue the next refresh token of a grant."""
        refresh_token = f"refresh-{next(self.numbers)}"
        self.valid[grant] = refresh_token
        self.grant_of[refresh_token] = grant
        return refresh_token


@dataclass
class Use:
    """One use of a refresh token.

    :param process: the process that used it
    :param refresh_token: its successor
    :param sent: when it was used
    :param ends: when the claim of the process ends
    :param late: whether it was used after that, which only a frozen process does
    :param lost: whether no process can store the successor
    :param stored: whether the successor is stored
    """

    process: Process = field(repr=False)
    refresh_token: str
    sent: float
    ends: float
    late: bool = False
    lost: bool = False
    stored: bool = False

    def __repr__(self) -> str:
        return f"{self.process.name}:{self.refresh_token}{' (lost)' if self.lost else ''}"

    def was_frozen_too_long(self) -> bool:
        """Return whether the process was frozen until shortly before the end of its claim, or longer.

        Another process may assume that it is dead and use the refresh token again. A process that continues earlier has
        enough time to store the successor, unless the storage fails or is late.
        """
        margin = MARGIN if self.process.schedule.storage_is_perfect() else math.inf
        return any(end >= self.sent and end >= self.ends - margin for _, end in self.process.freezes)
