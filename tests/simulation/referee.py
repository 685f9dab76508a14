"""The rules that a simulation must not break, and what it counts."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from airflow_provider_oauth.tokens.lease import TERM
from airflow_provider_oauth.tokens.waiting import RENEWAL_WAIT_TIMEOUT

if TYPE_CHECKING:
    from airflow_provider_oauth.tokens.lease import Claim
    from airflow_provider_oauth.tokens.record import Record
    from tests.simulation.world import Person, Process, World


class Referee:
    """Watches a world. What no rule can prevent is counted instead: see "Limits" in ``docs/renewal.md``.

    :param world: what it watches
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.problems: list[str] = []
        self.remains: list[str] = []  # what no rule can prevent; its consequences are no problems
        self.older_over_newer = 0
        self.consents = 0  # 1 if a person has to consent in the end, though nobody has forgotten the tokens
        self.reused = False
        self.ends: dict[str, float] = {}  # of each claim, by its nonce
        self._order: dict[str, int] = {}
        self._numbers = count(1)
        self._first_claims: dict[Process, int] = {}
        self._decision = 0
        self._decision_of: dict[int | None, int] = {}

    def check(self, holds: bool, problem: str, *, excused: bool = False) -> None:
        """Note a broken rule. It is not raised here, in a process whose production code might catch it."""
        if holds:
            return
        text = f"{self.world.now:.3f}: {problem}"
        (self.remains if excused or self.remains else self.problems).append(text)

    def granted(self, process: Process, claim: Claim) -> None:
        """Note a claim that was granted."""
        self._order[claim.nonce] = next(self._numbers)
        self._first_claims.setdefault(process, self._order[claim.nonce])
        self.ends[claim.nonce] = self.world.now + claim.ends - process.source._clock.monotonic()

    def stored(self, process: Process, record: Record, *, excused: bool) -> None:
        """Check a record that is stored just now: that of an older claim never replaces that of a newer one.

        :param excused: whether its process was frozen while it wrote, until after its claim's end
        """
        old = self._order.get(self.world.record.nonce, 0) if self.world.record else 0
        if self._order[record.nonce] < old:
            self.older_over_newer += 1
            text = (
                f"{self.world.now:.3f}: {process.name} replaced the record of a newer claim by that of an older claim"
            )
            (self.remains if excused else self.problems).append(text)

    def check_unwritten(self, process: Process, begun: float, *, got_a_token: bool) -> None:
        """Check that a process does not go on with a renewed token that it could have stored.

        :param begun: when it wanted a token
        :param got_a_token: whether it got one; then it goes on for sure
        """
        record = process.source._writer._unwritten
        stored = self.world.record.generation if self.world.record else 0
        claimed = process.in_flight.ends - TERM if process.in_flight else 0.0
        freezes = [end for _, end in process.freezes if end >= claimed]
        waited = self.world.now - max([begun, *freezes])
        self.check(
            record is None or record.generation <= stored or waited > RENEWAL_WAIT_TIMEOUT,
            f"{process.name} goes on with a renewed token that is not stored",
            # Storage failed, or it was frozen again while it tried to store the token.
            excused=not got_a_token and (not process.schedule.storage_is_perfect() or len(freezes) > 1),
        )

    # --- what people decide

    def decided(self, person: Person, *, excused: bool) -> None:
        """Check a decision that is stored just now: it does not replace one that was made later."""
        mine = self._first_claims[person]
        clocks_differ = person.schedule.skew != 0
        self.check(self._decision <= mine, f"{person.name} replaced a later decision", excused=excused or clocks_differ)
        self._decision = self._decision_of[person.grant] = mine

    def revoked(self, person: Process, token: str) -> None:
        """Check a token that is revoked just now: the person who consented to it has not decided later."""
        consented = self._decision_of.get(self.world.server.grant_of.get(token), 0)
        self.check(
            consented <= self._first_claims[person],
            f"{person.name} revoked {token}, which was consented to later",
            excused=person.schedule.skew != 0,
        )
