"""Simulated processes that share a token. They run the production ``TokenSource`` on a simulated clock.

Each process is a greenlet. When the production code calls the store, the token endpoint or sleep, the fake returns
control to the scheduler and specifies when the process continues. So a :class:`Schedule` determines everything that
happens, and hours take milliseconds. All faults of storage, network and processes happen in these fakes; each wait in
them is a step.
"""

from __future__ import annotations

import heapq
import math
import random
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from airflow_provider_oauth.exceptions import (
    ConsentRequired,
    InvalidGrant,
    OAuthError,
    TokenRequestError,
    TokenStoreError,
)
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.dependencies import Dependencies
from airflow_provider_oauth.tokens.record import Record
from airflow_provider_oauth.tokens.source import TokenSource
from airflow_provider_oauth.tokens.waiting import RENEWAL_WAIT_TIMEOUT
from tests.connections import oauth_config
from tests.simulation.referee import Referee
from tests.simulation.server import FIRST, Server, Use

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.tokens.lease import Claim
    from tests.simulation.schedule import Schedule

#: Seconds after which Airflow gives up a write.
RECORD_TIMEOUT = 28.0
START = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = oauth_config(
    conn_id="api",
    base_url="https://api.test",
    token_url="https://auth.test/token",
    grant_type="refresh_token",
    client_id="fake-id",
    client_secret="fake-secret",
    refresh_token=FIRST,
)


class Killed(BaseException):
    """``kill -9``. No production code catches it. Its ``finally`` blocks release the lock, as the kernel does."""


class World:
    """One connection, its server, its storage and its processes.

    :param schedule: the faults and the load
    :param stops_at_problems: whether a broken rule ends the run; otherwise later ones are counted too
    """

    def __init__(self, schedule: Schedule, *, stops_at_problems: bool = True) -> None:
        self.schedule = schedule
        self.stops_at_problems = stops_at_problems
        self.random = random.Random(schedule.seed)
        random.seed(schedule.seed)  # the production code's own choices
        self.scheduler = getcurrent()
        self.now = 0.0
        self.server = Server(schedule)
        self.record: Record | None = None
        self.lease: str | None = None
        self.locks: dict[int, Process] = {}
        self.processes: list[Process] = []
        self.grant: int | None = 0  # the latest one that users have authorized
        self.forgotten = False
        self.ever_forgotten = False
        self.referee = Referee(self)
        self.calm = False  # no more faults
        self.kills_left = 20
        self._queue: list[tuple[float, int, Callable[[], Any]]] = []
        self._order = count()
        self._names = count(1)
        if not schedule.new:
            self.record = Record(generation=1, nonce="done", used_refresh_tokens=(), refresh_token=None)
            self.lease = "done"

    def at(self, delay: float, action: Callable[[], Any]) -> None:
        """Run an action later."""
        heapq.heappush(self._queue, (self.now + delay, next(self._order), action))

    def run(self) -> None:
        """Run the schedule to its end, then one more process without faults."""
        for number in range(self.schedule.processes):
            self.start(number % self.schedule.hosts, self.schedule.rounds)
        for number in range(self.schedule.users):
            user = User(self, f"user {number + 1}", number % self.schedule.hosts, 1)
            self.at(self.random.uniform(0, 2 * self.schedule.spread), user.greenlet.switch)
        for _ in range(self.schedule.deletions):
            self.at(self.random.uniform(0, 2 * self.schedule.spread + 10), self._delete_the_lease)
        self.run_all()
        self.calm = True
        self.start(0, 1)
        self.run_all()
        self.check_the_end()

    def _delete_the_lease(self) -> None:
        self.lease = None

    def run_all(self) -> None:
        """Run until no process has anything left to do, or a rule was broken."""
        while self._queue and not (self.referee.problems and self.stops_at_problems):
            self.now, _, action = heapq.heappop(self._queue)
            action()

    def start(self, host: int, rounds: int) -> Process:
        """Start a process."""
        process = Process(self, f"process {next(self._names)}", host, rounds)
        self.processes.append(process)
        self.at(self.random.uniform(0, self.schedule.spread), process.greenlet.switch)
        return process

    def lost_a_response(self) -> bool:
        """Return whether a response was lost so far."""
        return any(use.lost for uses in self.server.uses.values() for use in uses)

    def chance(self, share: float) -> bool:
        """Return whether an event with this share happens now."""
        return not self.calm and share > 0 and self.random.random() < share

    def check_the_end(self) -> None:
        """Check that the valid refresh token is stored, unless a response was lost."""
        stored = self.record.refresh_token if self.record else None
        valid = self.server.valid.get(self.grant)
        if not self.lost_a_response() and not (
            self.forgotten and valid is None
        ):  # revoked by a process that was killed then
            self.referee.check(stored == valid, f"{valid} is lost; the record has {stored}")


class Process:
    """A process that requests a token from time to time: a greenlet with the fakes for its ``TokenSource``."""

    def __init__(self, world: World, name: str, host: int, rounds: int) -> None:
        self.world = world
        self.schedule = world.schedule
        self.name = name
        self.host = host
        self.rounds = rounds
        self.offset = world.random.uniform(0, 1000)
        self.in_flight: Use | None = None
        self.waits: list[float] = []
        self.dies_at: int | None = None
        self.steps = 0
        self.freezes: list[tuple[float, float]] = []  # start and end of each freeze
        self.clock_stood = 0.0
        self.claim: Claim | None = None
        self.greenlet = greenlet(self._live, parent=world.scheduler)
        self.endpoint = Endpoint(self)
        dependencies = Dependencies(
            config=CONFIG, endpoint=self.endpoint, store=Store(self), host_lock=Lock(self), clock=Clock(self)
        )
        self.source = TokenSource(dependencies)
        self._watch_claims()

    def _watch_claims(self) -> None:
        granted = self.source._lease._granted

        def watched(claim: Claim) -> Claim:
            self.claim = granted(claim)
            self.world.referee.granted(self, claim)
            self.has_claimed()
            return claim

        self.source._lease._granted = watched  # type: ignore[method-assign]

    def has_claimed(self) -> None:
        """Perhaps freeze before anything is done under the claim."""
        if self.world.chance(self.schedule.freezes):
            self.freeze(self.world.random.uniform(0, self.schedule.freeze))

    def claim_ends(self) -> float:
        """Return when its claim ends, on the correct clock."""
        return self.world.referee.ends[self.claim.nonce] if self.claim else math.inf

    def claim_has_ended(self) -> bool:
        """Return whether it continues although its claim has ended."""
        return self.world.now > self.claim_ends()

    def was_frozen_since(self, moment: float) -> bool:
        """Return whether it was frozen at any time since then."""
        return any(end > moment for _, end in self.freezes)

    def lands(self, record: Record, *, excused: bool) -> None:
        """Check a record that is being stored: it does not restore a grant that a user has replaced."""
        grant = self.world.server.grant_of[record.refresh_token]
        self.world.referee.check(
            grant in (None, self.world.grant), f"{self.name} restored {record.refresh_token}", excused=excused
        )

    def _live(self) -> None:
        for number in range(self.rounds):
            try:
                self._request_token()
            except Killed:
                self._die(self.rounds - number)
                return
        self._forget()

    def _request_token(self) -> None:
        started = self.world.now
        token = None
        try:
            token = self.source.token()
            # Otherwise the token may have expired since it was returned.
            if self.schedule.lifetime > 60 and not self.was_frozen_since(started):
                self.world.referee.check(token.usable(self.clock_time(), 0), f"{self.name} got an expired token")
        except ConsentRequired as error:
            lost = self.world.lost_a_response()
            lost = lost or self.world.forgotten or (self.world.ever_forgotten and not self.world.calm)
            lost = lost or (self.world.referee.reused and not self.world.calm)  # the successor is stored later
            self.world.referee.consents += self.world.calm and not self.world.forgotten
            self.world.referee.check(lost, f"{self.name} got ConsentRequired although no response was lost: {error}")
        except OAuthError as error:
            self.world.referee.check(
                not self.world.calm, f"{self.name} got no token although there were no faults: {error}"
            )
        self.world.referee.check_unwritten(self, started, got_a_token=token is not None)
        self.waits.append(waited := self.world.now - started)
        frozen = [end - start for start, end in self.freezes if start >= started]
        # The last attempt begins before the timeout, and every read, write and sleep in it can be late.
        limit = RENEWAL_WAIT_TIMEOUT + 240 + 2 * self.schedule.nap
        limit = limit * (1 + len(frozen)) + sum(frozen)
        self.world.referee.check(waited < limit, f"{self.name} waited for {waited:.0f} s")
        self.pause(self.world.random.uniform(0, 1.2 * self.schedule.lifetime))

    def _die(self, rounds: int) -> None:
        """End, and lose everything in memory; start another process for the remaining rounds."""
        self._forget()
        self.world.start(self.host, rounds)

    def _forget(self) -> None:
        if self.in_flight and not self.in_flight.stored:
            self.in_flight.lost = True

    def clock_time(self) -> datetime:
        """Return the time of day on this host's clock."""
        return START + timedelta(seconds=self.world.now + self.schedule.skew * self.host)

    # --- what the fakes do

    def pause(self, seconds: float) -> None:
        """Let other processes run for some time. This is one step."""
        self._stand(seconds)
        if self.world.chance(self.schedule.freezes):
            self.freeze(self.world.random.uniform(0, self.schedule.freeze))
        self.steps += 1
        if self.steps == self.dies_at:
            raise Killed
        if self.world.kills_left and self.world.chance(self.schedule.crashes):
            self.world.kills_left -= 1
            raise Killed

    def may_stall(self) -> None:
        """Perhaps freeze at a step where it does the most harm."""
        if self.world.chance(self.schedule.stalls):
            self.freeze(self.world.random.uniform(0, self.schedule.freeze))

    def freeze(self, seconds: float) -> None:
        """Freeze for some time."""
        self.freezes.append((self.world.now, self.world.now + seconds))
        self._stand(seconds)
        if self.schedule.stops_clocks:
            self.clock_stood += seconds

    def _stand(self, seconds: float) -> None:
        self.world.at(seconds, self.greenlet.switch)
        self.world.scheduler.switch()

    def transfer(self, longest: float = 60.0) -> None:
        """Take the time of a request to the store, or of its response: some milliseconds, or much longer."""
        late = self.world.chance(self.schedule.late / 2)
        self.pause(self.world.random.uniform(0, longest) if late else self.world.random.uniform(0.001, 0.02))


class User(Process):
    """A user who authorizes, revokes or forgets. The tokens that were stored before must not be restored."""

    def _request_token(self) -> None:
        act = self.world.random.choice(["authorize", "revoke", "forget"])
        server = self.world.server
        self.grant = next(server.grants) if act == "authorize" else None
        try:
            if act == "authorize":
                now = self.clock_time()
                lifetime = timedelta(seconds=self.schedule.lifetime)
                token = Token(
                    access_token=f"access-of-{self.name}",
                    issued_at=now,
                    expires_at=now + lifetime,
                    refresh_token=server.issue(self.grant),
                )
                self.source.actions.store_grant(token)
            elif act == "revoke":
                self.source.actions.revoke()
            else:
                self.source.actions.forget()
        except OAuthError as error:
            self.world.referee.check(
                not self.world.calm, f"{self.name} could not {act} although there were no faults: {error}"
            )
            self.world.referee.check(
                type(error).__name__ != "Overtaken", f"{self.name} did not try again to {act} after a freeze"
            )

    def has_claimed(self) -> None:
        self.may_stall()

    def _die(self, rounds: int) -> None:
        self._forget()

    def lands(self, record: Record, *, excused: bool) -> None:
        if record.generation == (self.world.record.generation if self.world.record else 0):
            super().lands(record, excused=excused)  # a failed revocation only ends its claim
            return
        self.world.referee.acted(self, excused=excused)
        self.world.grant = self.grant
        self.world.forgotten = self.grant is None
        self.world.ever_forgotten |= self.world.forgotten


class Clock:
    """Simulated time, with a monotonic clock that starts at a random time."""

    def __init__(self, process: Process) -> None:
        self.process = process

    def now(self) -> datetime:
        return self.process.clock_time()

    def monotonic(self) -> float:
        return self.process.world.now + self.process.offset - self.process.clock_stood

    def sleep(self, seconds: float, stop: object = None) -> None:
        world = self.process.world
        nap = world.random.uniform(0, self.process.schedule.nap) if world.chance(self.process.schedule.naps) else 0.0
        self.process.pause(seconds + nap)


class Lock:
    """The host lock."""

    def __init__(self, process: Process) -> None:
        self.process = process

    def acquire(self) -> bool:
        holder = self.process.world.locks.setdefault(self.process.host, self.process)
        return holder is self.process

    def release(self) -> None:
        if self.process.world.locks.get(self.process.host) is self.process:
            del self.process.world.locks[self.process.host]


class Store:
    """The record and the lease, and a list of Variables that is never wrong without an error."""

    conn_id = "api"
    name = "the Variable"

    def __init__(self, process: Process) -> None:
        self.process = process
        self.world = process.world

    def read(self) -> Record | None:
        return self._read(lambda: self.world.record)

    def read_lease(self) -> str | None:
        return self._read(lambda: self.world.lease)

    def is_listed(self) -> bool | None:
        return self._list(lambda: self.world.record is not None)

    def lease_is_listed(self) -> bool | None:
        return self._list(lambda: self.world.lease is not None)

    def write_lease(self, nonce: str) -> None:
        def land() -> None:
            self.world.lease = nonce

        self._write(land, 60.0)

    def write(self, record: Record) -> None:
        use = self.process.in_flight
        started = self.world.now
        ends = self.process.claim_ends()

        def land() -> None:
            # A limit: the process was frozen between its check of the claim and the landing of the write.
            excused = self.process.was_frozen_since(started) and self.world.now > ends
            self.process.lands(record, excused=excused)
            self.world.referee.stored(self.process, record, excused=excused)
            self.world.record = record
            if use and record.refresh_token == use.refresh_token:
                use.stored = True
                use.lost = False

        self._write(land, RECORD_TIMEOUT)
        kept = self.read()
        if kept is None or (kept.nonce != record.nonce and kept.generation <= record.generation):
            raise TokenStoreError("reads differently")

    def _list(self, there: Callable[[], bool]) -> bool:
        self.process.transfer()
        found = there()
        self.process.transfer()
        if self.world.chance(self.process.schedule.failing + self.process.schedule.absent):
            raise TokenStoreError("the list cannot be read")
        return found

    def _read(self, value: Callable[[], Any]) -> Any:
        self.process.transfer()
        found = value()
        self.process.transfer()
        if self.world.chance(self.process.schedule.failing):
            raise TokenStoreError("cannot be read")
        return None if self.world.chance(self.process.schedule.absent) else found

    def _write(self, land: Callable[[], None], longest: float) -> None:
        self.process.transfer(longest)
        if not self.world.chance(self.process.schedule.failing):
            land()
            self.process.transfer(0.02 if longest < 60 else longest)
            return
        what = self.world.random.choice(["not landed", "landed", "lands later"])
        if what == "landed":
            land()
        elif what == "lands later":
            self.world.at(self.world.random.uniform(0, 0.8), land)
        raise TokenStoreError(f"the write failed ({what})")


class Endpoint:
    """Requests to the authorization server and their responses."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.world = process.world

    def revoke(self, token: str, hint: str) -> bool:
        self.process.pause(self.world.random.uniform(0.1, 1))
        if self.world.chance(self.process.schedule.down):
            raise TokenRequestError("the server is down", retryable=True)
        self.world.referee.revoked(self.process, token)
        if self.world.server.valid.get(grant := self.world.server.grant_of.get(token)) == token:
            del self.world.server.valid[grant]
            self.world.forgotten = self.world.ever_forgotten = True
        self.process.may_stall()
        return True

    def grant(self, scope: str | None = None, *, retry: bool = True) -> Token:
        raise AssertionError("this grant requires a refresh token")

    def refresh(self, refresh_token: str, access_token: str | None = None, *, retry: bool = True) -> Token:
        schedule, world = self.process.schedule, self.world
        sent_at = self.process.clock_time()
        self.process.pause(world.random.uniform(0.01, 0.1))
        if world.chance(schedule.down):
            raise TokenRequestError("the server is down", retryable=True)
        use = world.server.use(self.process, refresh_token)
        if use is None:
            self.process.pause(0.1)
            raise InvalidGrant("used", error="invalid_grant")
        self.process.in_flight = use
        slow = world.chance(0.02)
        self.process.pause(world.random.uniform(5, 20) if slow else world.random.uniform(0.1, 1))
        self.process.may_stall()
        if world.chance(schedule.lost):
            use.lost = True
            raise TokenRequestError("no response", retryable=True)
        return Token(
            access_token=f"access-for-{use.refresh_token}",
            issued_at=sent_at,
            expires_at=sent_at + timedelta(seconds=schedule.lifetime),
            refresh_token=use.refresh_token,
        )


def run(schedule: Schedule) -> World:
    """Run a schedule.

    :raises AssertionError: if a rule was broken
    """
    world = World(schedule)
    world.run()
    problems = world.referee.problems
    assert not problems, f"{schedule}\n" + "\n".join(problems)
    return world
