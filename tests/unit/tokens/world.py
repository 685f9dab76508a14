"""One connection, its server and its storage, with time in the test's hands."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from airflow_provider_oauth.exceptions import TokenStoreError
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.record import Record, fingerprint
from airflow_provider_oauth.tokens.source import TokenSource
from tests.connections import oauth_config
from tests.fake_clock import FakeClock


class FakeEndpoint:
    """Issues token 1, token 2, …; refuses where told to. Refresh tokens are good for one use."""

    def __init__(self, clock, lifetime=1000, refresh_tokens=False):
        self.clock = clock
        self.lifetime = lifetime
        self.refresh_tokens = refresh_tokens
        self.refresh_lifetime = None
        self.asked = []
        self.rate_limit_timeout = []
        self.errors = []
        self.during = lambda: None
        self.revoked = []
        self.revocations = []

    def revoke(self, token, hint):
        """Take a token back; or answer what a test says, an error or False for a kind that cannot be taken back."""
        self.revoked.append((token, hint))
        self.during()
        answer = self.revocations.pop(0) if self.revocations else True
        if isinstance(answer, Exception):
            raise answer
        return answer

    def grant(self, scope=None, *, retry=True):
        return self._issue(("grant", scope), retry)

    def refresh(self, refresh_token, access_token=None, *, retry=True):
        return self._issue(("refresh", refresh_token), retry)

    def _issue(self, question, retry):
        self.asked.append(question)
        self.rate_limit_timeout.append(retry)
        self.during()
        if self.errors and (error := self.errors.pop(0)):
            raise error
        number = len(self.asked)
        return Token(
            access_token=f"token-{number}",
            issued_at=self.clock.now(),
            expires_at=None if self.lifetime is None else self.clock.now() + timedelta(seconds=self.lifetime),
            refresh_token=f"refresh-{number}" if self.refresh_tokens else None,
            refresh_expires_at=self.clock.now() + self.refresh_lifetime if self.refresh_lifetime else None,
        )


class FakeStore:
    """A record that all sources of a test share."""

    conn_id = "api"
    name = "the Variable"

    def __init__(self, record=None):
        self.record = record
        self.writes = []
        self.reads = 0
        self.failing_writes = 0
        self.landing_writes = 0
        self.seems_absent = False
        self.failing_reads = 0
        self.failing_reads_after_write = 0
        self.lease = None
        self.leases = []
        self.lease_seems_absent = False
        self.failing_lease = self.failing_lease_writes = False

    def read(self):
        self.reads += 1
        if self.failing_reads:
            self.failing_reads -= 1
            raise TokenStoreError("the Variable cannot be read")
        return None if self.seems_absent else self.record

    def write(self, record):
        if self.landing_writes:
            self.landing_writes -= 1
            self.record = record
            raise TokenStoreError("written, but the answer was lost")
        if self.failing_writes:
            self.failing_writes -= 1
            self.failing_reads, self.failing_reads_after_write = self.failing_reads_after_write, 0
            raise TokenStoreError("not written")
        self.writes.append(record)
        self.record = record

    def is_listed(self):
        return self.record is not None

    def lease_is_listed(self):
        return self.lease is not None

    def read_lease(self):
        if self.failing_lease:
            raise TokenStoreError("the lease cannot be read")
        return None if self.lease_seems_absent else self.lease

    def write_lease(self, nonce):
        if self.failing_lease_writes:
            raise TokenStoreError("the lease cannot be written")
        self.leases.append(nonce)
        self.lease = nonce


class FakeLock:
    """A host lock that may be held by another process. After each test a fixture checks that it was released."""

    def __init__(self):
        self.taken_elsewhere = False
        self.held = False

    def acquire(self):
        self.held = self.held or not self.taken_elsewhere
        return self.held

    def release(self):
        self.held = False


class World:
    """One connection, its server and its storage, and as many processes as a test starts."""

    #: Those of the current test.
    all = []

    def __init__(self, **config):
        self.all.append(self)
        self.lifetime = 1000
        self.clock = FakeClock()
        self.endpoint = FakeEndpoint(self.clock)
        self.store = FakeStore()
        self.lock = FakeLock()
        self.masked = {}
        values = {"client_id": "fake-id", "client_secret": "fake-secret", "leeway": 60, **config}
        if values.get("grant_type") == "password":
            values |= {"username": "ann", "user_password": "fake-password"}
        self.config = oauth_config(
            conn_id="api", base_url="https://api.test", token_url="https://auth.test/token", **values
        )
        self.endpoint.refresh_tokens = self.config.requires_refresh_token or self.config.use_refresh

    def mask(self, secret, until):
        """Record until when a secret is masked; None: for as long as the process lives."""
        self.masked[secret] = until

    def record_of(self, refresh_token):
        used_refresh_tokens = (fingerprint("api", self.config.refresh_token),)
        return Record(generation=1, nonce="n", used_refresh_tokens=used_refresh_tokens, refresh_token=refresh_token)

    def process(self, clock=None, **config):
        source = TokenSource(
            replace(self.config, **config), self.endpoint, self.store, self.lock, clock or self.clock, self.mask
        )
        source._cache._jitter = 0.0
        return source
