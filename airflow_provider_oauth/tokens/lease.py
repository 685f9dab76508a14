"""The lease: it allows only one process at a time, across all hosts, to renew a token.

The hosts share only Airflow Variables, which can be read and written but have no compare-and-set. That is enough for
Fischer's mutual exclusion (in Lamport's "A Fast Mutual Exclusion Algorithm", 1987), which uses waiting times instead of
an atomic operation: write your ID, wait until all writes that were in progress have taken effect, and continue if your
ID is still there. ``docs/renewal.md`` describes the rules and their limits.
"""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from airflow_provider_oauth.exceptions import TokenStoreError
from airflow_provider_oauth.protocol.timeouts import EXCHANGE_TIMEOUT, MAX_EXCHANGE_TIME

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_oauth.protocol.clock import Clock
    from airflow_provider_oauth.tokens.record import Record, TokenStore

#: W, in seconds: the wait after a claim was written. A claim is void if it took longer than W/2 to write. So if a nonce
#: is still in the lease after W, no other process has a claim.
WAIT = 2.0
#: Longest random wait before the claim for a user's action, in seconds. It is short, because users seldom act at the
#: same moment.
MAX_USER_DELAY = WAIT / 4
#: L, in seconds: the longest time that a claim lasts. A process that has not finished by then is assumed to be dead.
TERM = 90.0
#: Longest time to store a renewed refresh token, in seconds.
MAX_STORING_TIME = 30.0


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a process has read before it claims the lease.

    :param record: the record
    :param nonce: the nonce in the lease; None if there is none, and for a claim that is not exclusive
    :param exclusive: whether the claim will be exclusive
    :param made_at: when the reads began, with a time zone
    :param started: when the reads began, on this process's monotonic clock
    """

    record: Record | None
    nonce: str | None
    exclusive: bool
    made_at: datetime
    started: float


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to renew.

    :param nonce: ID of the claim. The lease is free again when the record contains it.
    :param record: the record, as it is during the claim
    :param exclusive: whether no other process has a claim. A refresh token may be used only under an exclusive claim
    :param made_at: when the reads for the claim began, with a time zone
    :param ends: when another process may claim the lease, on this process's monotonic clock
    """

    nonce: str
    record: Record | None
    exclusive: bool
    made_at: datetime
    ends: float

    def covers_token_request(self, now: float) -> bool:
        """Return whether the claim is exclusive, and enough time is left to request a token and store it.

        :param now: the current time on this process's monotonic clock
        """
        return self.exclusive and now + MAX_EXCHANGE_TIME + MAX_STORING_TIME <= self.ends

    def covers_storing(self, now: float) -> bool:
        """Return whether enough time is left to store a record under this claim.

        :param now: the current time on this process's monotonic clock
        """
        return now + MAX_STORING_TIME <= self.ends


class Lease:
    """Allows only one process at a time, across all hosts, to renew.

    A process claims the lease in three steps: ``observe`` reads the record and the lease, the caller decides whether a
    renewal is still needed, and ``take`` writes the claim and waits until no other claim can exist.

    The lease contains the nonce of the latest claim. It is free if the record contains the same nonce, because the
    renewal under this claim is then complete. It is also free if this process has seen the same nonce in the lease for
    TERM. No clocks are compared between hosts, and no process ever clears the lease. The nonce of the last exclusive
    claim that this process was granted does not block this process, because no other process can be renewing under it.

    :param store: stores the lease and the record
    :param clock: the clocks
    """

    def __init__(self, store: TokenStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        #: The nonce that this process read last, and when it read this nonce for the first time.
        self._seen: tuple[str | None, float] = (None, 0.0)
        #: The nonce of the last exclusive claim that this process was granted.
        self._own: str | None = None

    def is_held(self, record: Record | None, *, exclusive: bool) -> bool:
        """Return whether another process has a claim, as far as this process can see. Reads the lease.

        :param record: the record that was read last
        :param exclusive: whether this process wants an exclusive claim
        :raises TokenStoreError: if the lease cannot be read
        """
        return self._is_held(self._store.read_lease(), record, TERM if exclusive else MAX_EXCHANGE_TIME)

    def observe(self, *, exclusive: bool, max_delay: float = WAIT) -> Observation | None:
        """Read what the claim depends on; return None if the reads took so long that the values may be out of date.

        :param exclusive: whether the claim will be exclusive. If not, the process neither waits nor reads the lease.
        :param max_delay: longest random wait before an exclusive claim, in seconds
        :raises TokenStoreError: if the record or the lease cannot be read
        """
        if exclusive:
            self._clock.sleep(random.uniform(0, max_delay))  # noqa: S311 - it spreads claims and protects nothing
        made_at, started = self._clock.now(), self._clock.monotonic()
        record = self._store.read()
        nonce = self._store.read_lease() if exclusive else None
        if exclusive and self._clock.monotonic() - started > WAIT / 8:
            return None
        return Observation(record=record, nonce=nonce, exclusive=exclusive, made_at=made_at, started=started)

    def take(self, seen: Observation) -> Claim | None:
        """Claim the lease; return None if another process has a claim or may have one. In this case, try again later.

        :param seen: what ``observe`` returned
        :raises TokenStoreError: if the record or the lease cannot be read or written
        """
        if not seen.exclusive:
            nonce = uuid4().hex
            with suppress(TokenStoreError):  # this claim needs no lease; the nonce only makes other processes wait
                self._store.write_lease(nonce)
            return self._granted(_repeatable(nonce, seen.record, seen.made_at, seen.started))
        if self._is_held(seen.nonce, seen.record, TERM):
            return None
        settling_time = self._settling_time(seen)
        if settling_time is None:
            return None
        nonce = uuid4().hex
        self._store.write_lease(nonce)
        if self._clock.monotonic() - seen.started > WAIT / 2:
            # This claim is void, because its nonce may have replaced that of a claim that another process uses. The
            # other processes see the nonce and wait for TERM.
            return None
        self._let_settle(settling_time)
        claim = Claim(nonce=nonce, record=seen.record, exclusive=True, made_at=seen.made_at, ends=seen.started + TERM)
        return self._granted(claim) if self._is_confirmed(claim) else None

    def claim_unconditionally(self) -> Claim:
        """Return a claim without regard to the lease, for a renewal that is harmless if it happens twice."""
        made_at, started = self._clock.now(), self._clock.monotonic()
        record = None
        with suppress(TokenStoreError):
            record = self._store.read()
        return _repeatable(uuid4().hex, record, made_at, started)

    def is_unchanged(self, record: Record | None) -> bool:
        """Return whether the stored record is still ``record``.

        :raises TokenStoreError: if no record can be read, although the list of Variables contains it
        """
        now = self._store.read()
        if now is None and self._store.is_listed():
            raise TokenStoreError(
                f"Connection {self._store.conn_id!r}: {self._store.name} exists, but cannot be read. Check Airflow's "
                f"metadata database."
            )
        if record is None or now is None:
            return record is now
        return (now.generation, now.nonce) == (record.generation, record.nonce)

    def _settling_time(self, seen: Observation) -> float | None:
        """Return how long to wait after the write, in seconds; None if there is a lease that could not be read."""
        if seen.nonce is not None:
            return WAIT
        is_listed = self._store.lease_is_listed()
        if is_listed:
            return None  # because of a database error, the lease seemed to be missing
        if is_listed is None or seen.record is not None:
            # The lease may have been deleted, or may not have been readable. Wait until a token request of a process
            # that had claimed it must be over.
            return EXCHANGE_TIMEOUT
        return WAIT

    def _let_settle(self, seconds: float) -> None:
        """Wait until each write that was in progress has taken effect, or its process knows that its claim is void."""
        self._clock.sleep(seconds)

    def _is_confirmed(self, claim: Claim) -> bool:
        """Return whether the claim is still in the lease, and enough time is left to use it."""
        started = self._clock.monotonic()
        is_there = self._store.read_lease() == claim.nonce and self.is_unchanged(claim.record)
        if is_there and claim.record is None:
            # A failed read can look like a missing record. So the database must have returned the new nonce both before
            # and after the record was read.
            is_there = self._store.read_lease() == claim.nonce
        now = self._clock.monotonic()
        return is_there and now - started <= WAIT / 2 and claim.covers_token_request(now)

    def _granted(self, claim: Claim) -> Claim:
        """Remember the nonce and the time, so that this process waits no longer for its own claim than others do."""
        self._seen = (claim.nonce, self._clock.monotonic())
        if claim.exclusive:
            self._own = claim.nonce
        return claim

    def _is_held(self, nonce: str | None, record: Record | None, term: float) -> bool:
        now = self._clock.monotonic()
        if nonce is None or nonce == self._own or (record is not None and record.nonce == nonce):
            return False
        if self._seen[0] != nonce:
            self._seen = (nonce, now)
        return now - self._seen[1] < term


def _repeatable(nonce: str, record: Record | None, made_at: datetime, started: float) -> Claim:
    """Return a claim that is not exclusive. It ends early, so as not to overwrite what a later one has stored."""
    ends = started + MAX_EXCHANGE_TIME + MAX_STORING_TIME
    return Claim(nonce=nonce, record=record, exclusive=False, made_at=made_at, ends=ends)
