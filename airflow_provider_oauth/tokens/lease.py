"""The lease: at any time, one process of all hosts may renew.

The hosts share nothing but Variables: registers that are read and written, with no compare-and-set. That is enough for
Fischer's mutual exclusion (in Lamport's "A Fast Mutual Exclusion Algorithm", 1987), which has time for an atomic
operation: write your name, wait until every write that was under way has landed, go on if your name stands.
``docs/renewal.md`` says what it bears, and what it does not.
"""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from airflow_provider_oauth.exceptions import TokenStoreError
from airflow_provider_oauth.protocol.endpoint import EXCHANGE_TIMEOUT, MAX_EXCHANGE_TIME

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_provider_oauth.protocol.clock import Clock
    from airflow_provider_oauth.tokens.record import Record, TokenStore

#: W, in seconds: a claim that took longer than half of it to write is void, so one that stands for all of it is alone.
WAIT = 2.0
#: The longest random wait before a person's claim, in seconds: few of them are made at the same time.
PERSON_SPREAD = WAIT / 4
#: L, in seconds: a holder is done by then, or it is dead.
TERM = 90.0
#: Seconds kept for storing a renewed refresh token.
STORING = 30.0


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to renew.

    :param nonce: what it is known by; whoever notes it in the record is done, and the lease free again
    :param record: the record, as it is while the claim stands
    :param exclusive: whether nobody else can have such a right: only then may a refresh token be spent
    :param made_at: when it was made, the time of day
    :param ends: when another process may renew, on this process's monotonic clock
    """

    nonce: str
    record: Record | None
    exclusive: bool
    made_at: datetime
    ends: float

    def covers_an_exchange(self, now: float) -> bool:
        """Tell whether enough of it is left to ask for a token and to store it.

        :param now: on this process's monotonic clock
        """
        return self.exclusive and now + MAX_EXCHANGE_TIME + STORING <= self.ends

    def covers_storing(self, now: float) -> bool:
        """Return whether enough time is left to store a record under this claim.

        :param now: on this process's monotonic clock
        """
        return now + STORING <= self.ends


class Lease:
    """The right to renew, given to one process of all hosts at a time.

    It is free when the record notes the nonce in it, for that renewal is over, and when this process has seen the same
    nonce for TERM. No clock is compared between hosts, and nobody ever writes that it is free. The nonce of the last
    exclusive claim that this process was granted is free for this process: nobody else can be renewing under it.

    :param store: where lease and record are kept
    :param clock: time, as an argument for tests
    """

    def __init__(self, store: TokenStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._seen: tuple[str | None, float] = (None, 0.0)
        self._own: str | None = None

    def claim(
        self, seen: Record | None, wanted: Callable[[Record | None], bool], *, exclusive: bool, spread: float = WAIT
    ) -> Claim | None:
        """Claim the lease; None if somebody else has it, or might have it. To be tried again then.

        :param seen: the record as it was read last
        :param wanted: tells of the record whether a renewal is needed still; what it raises is passed on
        :param exclusive: wait until no other claim can stand; else look, but go on at once
        :param spread: the longest random wait before an exclusive claim, in seconds
        :raises TokenStoreError: if storage cannot be read or written
        """
        if self._is_held(self._store.read_lease(), seen, TERM if exclusive else MAX_EXCHANGE_TIME):
            return None
        return self._claim_alone(wanted, spread) if exclusive else self._claim_at_once(wanted)

    def claim_unconditionally(self) -> Claim:
        """Return a claim that does not mind others: good for what is harmless if done twice."""
        made_at, begun = self._clock.now(), self._clock.monotonic()
        record = None
        with suppress(TokenStoreError):
            record = self._store.read()
        return self._repeatable(uuid4().hex, record, made_at, begun)

    def is_unchanged(self, record: Record | None) -> bool:
        """Tell whether the record is as it was.

        :raises TokenStoreError: if there seems to be none, but a list of what is stored has it: the read failed
        """
        now = self._store.read()
        if now is None and self._store.is_listed():
            raise TokenStoreError(f"{self._store.name} is there, but cannot be read. Look at Airflow's database.")
        if record is None or now is None:
            return record is now
        return (now.generation, now.nonce) == (record.generation, record.nonce)

    def _claim_at_once(self, wanted: Callable[[Record | None], bool]) -> Claim | None:
        made_at, begun = self._clock.now(), self._clock.monotonic()
        record = self._store.read()
        if not wanted(record):
            return None
        nonce = uuid4().hex
        with suppress(TokenStoreError):  # it tells the others, no more
            self._store.write_lease(nonce)
        return self._granted(self._repeatable(nonce, record, made_at, begun))

    def _repeatable(self, nonce: str, record: Record | None, made_at: datetime, begun: float) -> Claim:
        """Return a claim that is not exclusive. It ends early enough to not overwrite what a later one has stored."""
        ends = begun + MAX_EXCHANGE_TIME + STORING
        return Claim(nonce=nonce, record=record, exclusive=False, made_at=made_at, ends=ends)

    def _claim_alone(self, wanted: Callable[[Record | None], bool], spread: float) -> Claim | None:
        self._clock.sleep(random.uniform(0, spread))  # noqa: S311 - it spreads claims, it protects nothing
        made_at, begun = self._clock.now(), self._clock.monotonic()
        record, held = self._store.read(), self._store.read_lease()
        if self._clock.monotonic() - begun > WAIT / 8:
            return None  # what was read may be out of date
        if not wanted(record) or self._is_held(held, record, TERM):
            return None
        settle = WAIT
        if held is None:
            listed = self._store.lease_is_listed()
            if listed:
                return None  # a database error looked like an absent lease
            if listed is None or record is not None:
                # It may have been deleted, or the read may have failed: wait until its holder's request is over.
                settle = EXCHANGE_TIMEOUT
        nonce = uuid4().hex
        self._store.write_lease(nonce)
        if self._clock.monotonic() - begun > WAIT / 2:
            return None  # void: it may have landed on one that is relied on. It stays, until it was seen for TERM
        self._let_settle(settle)
        claim = Claim(nonce=nonce, record=record, exclusive=True, made_at=made_at, ends=begun + TERM)
        looked = self._clock.monotonic()
        stands = self._store.read_lease() == nonce and self.is_unchanged(record)
        if stands and record is None:
            stands = self._store.read_lease() == nonce  # absence counts between two reads of what was just written
        now = self._clock.monotonic()
        if now - looked > WAIT / 2:
            return None  # it is not known any more how things stand
        return self._granted(claim) if stands and claim.covers_an_exchange(now) else None

    def _granted(self, claim: Claim) -> Claim:
        """Note the nonce as seen: should this process have to wait for itself, then no longer than others."""
        self._seen = (claim.nonce, self._clock.monotonic())
        if claim.exclusive:
            self._own = claim.nonce
        return claim

    def _let_settle(self, seconds: float) -> None:
        """Wait until every write that was under way has landed, or been given up by who wrote it."""
        self._clock.sleep(seconds)

    def _is_held(self, nonce: str | None, record: Record | None, term: float) -> bool:
        """Tell whether somebody is renewing, or may be, as far as this process has seen."""
        now = self._clock.monotonic()
        if nonce is None or nonce == self._own or (record is not None and record.nonce == nonce):
            return False
        if self._seen[0] != nonce:
            self._seen = (nonce, now)
        return now - self._seen[1] < term
