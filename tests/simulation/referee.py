"""Checks the rules that no run may break, and counts events that no rule can prevent."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from airflow_provider_oauth.tokens.lease import TERM
from airflow_provider_oauth.tokens.waiting import RENEWAL_WAIT_TIMEOUT

if TYPE_CHECKING:
    from airflow_provider_oauth.tokens.lease import Claim
    from airflow_provider_oauth.tokens.record import Record
    from tests.simulation.world import Process, User, World


class Referee:
    """Watches a world. It counts events that no rule can prevent, see "Limits" in ``docs/renewal.md``.

    :param world: the world
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.problems: list[str] = []
        self.excused: list[str] = []  # events that no rule can prevent, and their consequences
        self.older_over_newer = 0
        self.consents = 0  # 1 if a user must authorize in the end, although no user has forgotten the tokens
        self.reused = False
        self.ends: dict[str, float] = {}  # when each claim ends, by its nonce
        self._order: dict[str, int] = {}
        self._numbers = count(1)
        self._first_claims: dict[Process, int] = {}
        self._action = 0
        self._action_of: dict[int | None, int] = {}

    def check(self, holds: bool, problem: str, *, excused: bool = False) -> None:
        """Record a broken rule. Raising here would not work, because the production code might catch it."""
        if holds:
            return
        text = f"{self.world.now:.3f}: {problem}"
        (self.excused if excused or self.excused else self.problems).append(text)

    def granted(self, process: Process, claim: Claim) -> None:
        """Record a claim that was granted."""
        self._order[claim.nonce] = next(self._numbers)
        self._first_claims.setdefault(process, self._order[claim.nonce])
        self.ends[claim.nonce] = self.world.now + claim.ends - process.source._clock.monotonic()

    def stored(self, process: Process, record: Record, *, excused: bool) -> None:
        """Check a record that is being stored: the record of an older claim never replaces that of a newer one.

        :param excused: whether the process was frozen during the write until after the end of its claim
        """
        old = self._order.get(self.world.record.nonce, 0) if self.world.record else 0
        if self._order[record.nonce] < old:
            self.older_over_newer += 1
            text = (
                f"{self.world.now:.3f}: {process.name} replaced the record of a newer claim by that of an older claim"
            )
            (self.excused if excused else self.problems).append(text)

    def check_unwritten(self, process: Process, started: float, *, got_a_token: bool) -> None:
        """Check that a process does not continue with a renewed token that it could have stored.

        :param started: when it requested a token
        :param got_a_token: whether it got one, so that it continues
        """
        record = process.source._writer._unwritten
        stored = self.world.record.generation if self.world.record else 0
        claimed = process.in_flight.ends - TERM if process.in_flight else 0.0
        freezes = [end for _, end in process.freezes if end >= claimed]
        waited = self.world.now - max([started, *freezes])
        self.check(
            record is None or record.generation <= stored or waited > RENEWAL_WAIT_TIMEOUT,
            f"{process.name} continues with a renewed token that is not stored",
            # The storage failed, or the process was frozen again while it tried to store the token.
            excused=not got_a_token and (not process.schedule.storage_is_perfect() or len(freezes) > 1),
        )

    # --- users' actions

    def acted(self, user: User, *, excused: bool) -> None:
        """Check a user's action that is being stored: it does not replace a later one."""
        mine = self._first_claims[user]
        clocks_differ = user.schedule.skew != 0
        self.check(self._action <= mine, f"{user.name} replaced a later action", excused=excused or clocks_differ)
        self._action = self._action_of[user.grant] = mine

    def revoked(self, user: Process, token: str) -> None:
        """Check a token that is being revoked: it is not from a later authorization."""
        authorized = self._action_of.get(self.world.server.grant_of.get(token), 0)
        self.check(
            authorized <= self._first_claims[user],
            f"{user.name} revoked {token}, which is from a later authorization",
            excused=user.schedule.skew != 0,
        )
