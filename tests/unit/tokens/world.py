"""A simulated connection with its server and its storage. Tests control the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_oauth.exceptions import TokenStoreError
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.dependencies import Dependencies
from airflow_provider_oauth.tokens.record import Record, fingerprint
from airflow_provider_oauth.tokens.source import TokenSource
from tests.connections import oauth_config
from tests.fake_clock import FakeClock
from tests.reports import Reports

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.clock import Clock

#: Seconds for which the tokens of a test are valid.
LIFETIME = 1000


class FakeEndpoint:
    """Issues token-1, token-2 and so on. It raises the errors that a test has set."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        #: Seconds; None for tokens that never expire.
        self.lifetime: int | None = LIFETIME
        self.refresh_tokens = False
        self.refresh_lifetime: timedelta | None = None
        #: The requests so far: ("grant", scope) or ("refresh", refresh token).
        self.requests: list[tuple[str, str | None]] = []
        #: Of each request, whether a failed request would be repeated.
        self.retries: list[bool] = []
        #: The errors of the next requests; None for a request that succeeds.
        self.errors: list[Exception | None] = []
        #: Called during each request.
        self.on_request: Callable[[], object] = lambda: None
        #: The revoked tokens so far, with their types.
        self.revoked: list[tuple[str, str]] = []
        #: The results of the next revocation requests: an error, or whether the token is revoked.
        self.revocation_results: list[Exception | bool] = []

    def revoke(self, token: str, hint: str) -> bool:
        self.revoked.append((token, hint))
        self.on_request()
        result = self.revocation_results.pop(0) if self.revocation_results else True
        if isinstance(result, Exception):
            raise result
        return result

    def grant(self, scope: str | None = None, *, retry: bool = True) -> Token:
        return self._issue(("grant", scope), retry)

    def refresh(self, refresh_token: str, access_token: str | None = None, *, retry: bool = True) -> Token:
        return self._issue(("refresh", refresh_token), retry)

    def _issue(self, request: tuple[str, str | None], retry: bool) -> Token:
        self.requests.append(request)
        self.retries.append(retry)
        self.on_request()
        if self.errors and (error := self.errors.pop(0)):
            raise error
        number = len(self.requests)
        now = self.clock.now()
        return Token(
            access_token=f"token-{number}",
            issued_at=now,
            expires_at=None if self.lifetime is None else now + timedelta(seconds=self.lifetime),
            refresh_token=f"refresh-{number}" if self.refresh_tokens else None,
            refresh_expires_at=now + self.refresh_lifetime if self.refresh_lifetime else None,
        )


class FakeStore:
    """A record and a lease that all processes of a test share."""

    conn_id = "api"
    name = "the Variable"

    def __init__(self) -> None:
        self.record: Record | None = None
        self.writes: list[Record] = []
        self.reads = 0
        #: How many of the next writes fail, and how many fail although they land.
        self.failing_writes = 0
        self.landing_writes = 0
        #: Whether reads find nothing although there is a record.
        self.seems_missing = False
        #: How many of the next reads fail, and how many will fail after the next write that fails.
        self.failing_reads = 0
        self.failing_reads_after_write = 0
        self.lease: str | None = None
        #: The nonces that were written to the lease.
        self.leases: list[str] = []
        self.lease_seems_missing = False
        self.failing_lease_writes = False

    def read(self) -> Record | None:
        self.reads += 1
        if self.failing_reads:
            self.failing_reads -= 1
            raise TokenStoreError("the Variable cannot be read")
        return None if self.seems_missing else self.record

    def write(self, record: Record) -> None:
        if self.landing_writes:
            self.landing_writes -= 1
            self.record = record
            raise TokenStoreError("written, but the response was lost")
        if self.failing_writes:
            self.failing_writes -= 1
            self.failing_reads, self.failing_reads_after_write = self.failing_reads_after_write, 0
            raise TokenStoreError("not written")
        self.writes.append(record)
        self.record = record

    def is_listed(self) -> bool | None:
        return self.record is not None

    def lease_is_listed(self) -> bool | None:
        return self.lease is not None

    def read_lease(self) -> str | None:
        return None if self.lease_seems_missing else self.lease

    def write_lease(self, nonce: str) -> None:
        if self.failing_lease_writes:
            raise TokenStoreError("the lease cannot be written")
        self.leases.append(nonce)
        self.lease = nonce


class FakeLock:
    """A host lock that another process can have. After each test, a fixture checks that it was released."""

    def __init__(self) -> None:
        self.held_elsewhere = False
        self.held = False

    def acquire(self) -> bool:
        self.held = self.held or not self.held_elsewhere
        return self.held

    def release(self) -> None:
        self.held = False


class World:
    """One connection, its server and its storage, and as many processes as a test starts."""

    #: The worlds of the current test.
    all: ClassVar[list[World]] = []

    def __init__(self, **config: Any) -> None:
        self.all.append(self)
        self.clock = FakeClock()
        self.endpoint = FakeEndpoint(self.clock)
        self.store = FakeStore()
        self.lock = FakeLock()
        self.masked: dict[str, datetime | None] = {}
        #: The metrics that all processes report.
        self.reports = Reports()
        values = dict(config)
        if values.get("grant_type") == "password":
            values |= {"username": "ann", "user_password": "fake-password"}
        self.config = oauth_config(conn_id="api", base_url="https://api.test", **values)
        self.endpoint.refresh_tokens = self.config.requires_refresh_token or self.config.use_refresh

    def mask(self, secret: str, until: datetime | None) -> None:
        """Record until when a secret is masked; None: as long as the process lives."""
        self.masked[secret] = until

    def process(self, clock: Clock | None = None, **config: Any) -> TokenSource:
        """Start a process.

        :param clock: the clock of its host
        :param config: how its configuration differs from that of the other processes
        """
        source = TokenSource(self.dependencies(clock, **config))
        source._cache._jitter = 0.0
        return source

    def dependencies(self, clock: Clock | None = None, **config: Any) -> Dependencies:
        """Return what the token source of a process needs; the parameters are those of ``process``."""
        return Dependencies(
            config=replace(self.config, **config),
            endpoint=self.endpoint,
            store=self.store,
            host_lock=self.lock,
            clock=clock or self.clock,
            mask=self.mask,
            report=self.reports,
        )

    def token(self, name: str) -> Token:
        """Return a token that is issued now."""
        now = self.clock.now()
        return Token(access_token=name, issued_at=now, expires_at=now + timedelta(seconds=LIFETIME))

    def authorize(self, name: str) -> None:
        """Store the token of a user's authorization, in another process."""
        self.process().actions.store_grant(replace(self.token(f"access-{name}"), refresh_token=f"refresh-{name}"))

    def record_of(self, refresh_token: str) -> Record:
        """Return a record with this refresh token, which the connection's own one was used to get."""
        own = self.config.refresh_token
        return Record(
            generation=1,
            nonce="n",
            used_refresh_tokens=(fingerprint("api", own),) if own else (),
            refresh_token=refresh_token,
        )

    def another_renewed(self, **changes: Any) -> None:
        """Store what another process stores after a renewal; the lease is free then."""
        self.store.record = replace(self.record_of("refresh-0"), **changes)
        self.store.lease = self.store.record.nonce

    def lease_is_free(self) -> bool:
        """Return whether the next process need not wait for an earlier one."""
        return self.store.record is not None and self.store.lease == self.store.record.nonce
