"""Who has a good token, who waits, and who renews."""

from __future__ import annotations

import logging
import random
import threading
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeGuard, TypeVar

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    OAuthError,
    Overtaken,
    RenewalTimeout,
    TokenStoreError,
    errors_converted,
)
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.config import OAuthConfig, normalize_scope
from airflow_provider_oauth.tokens.grant_state import GrantState
from airflow_provider_oauth.tokens.lease import PERSON_SPREAD, Lease
from airflow_provider_oauth.tokens.renewal import Endpoint, Renewal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.lease import Claim
    from airflow_provider_oauth.tokens.record import Record, TokenStore

Result = TypeVar("Result")

log = logging.getLogger(__name__)

#: Seconds to wait for a process of this host to renew; after that, it is taken to be frozen.
HOST_LOCK_TIMEOUT = 60.0
#: Seconds to wait for any process to renew by a refresh token: the term of a dead one, and then a slow renewal.
RENEWAL_WAIT_TIMEOUT = 240.0
#: Seconds for which a process that could not renew ahead of time leaves it at that.
RENEWAL_RETRY_INTERVAL = 30.0
#: The part of a token's life by which a process renews earlier than others, at most.
JITTER = 0.05
#: Seconds that must pass before a process renews a token again because the API refused it.
API_RENEWAL_INTERVAL = 60.0
#: Sorts after the end of every token that expires.
NEVER = datetime.max.replace(tzinfo=UTC)


class Lock(Protocol):
    """What keeps the processes of a host from renewing at once, as ``HostLock`` implements it."""

    def acquire(self) -> bool:
        """Take it, without waiting; say whether we have it."""

    def release(self) -> None:
        """Let go of it, if we have it."""


class TokenSource:
    """Gives out a good token for one connection, to all threads of this process, and renews it once for all processes.

    A token is *usable* until shortly before its end, and *due* for renewal from about three quarters of its life. While
    it is usable nobody waits: whoever holds the lock renews, the others go on with what they have.

    :param config: the connection
    :param endpoint: where tokens come from
    :param store: where they are kept
    :param lock: one process of this host at a time
    :param clock: time, for tests
    :param mask: called with every secret that this source uses, before anything can log it, and with when it ends
    :param page: URL of the page on which a person consents; "" if that is not known
    """

    def __init__(
        self,
        config: OAuthConfig,
        endpoint: Endpoint,
        store: TokenStore,
        lock: Lock,
        clock: Clock | None = None,
        mask: Callable[[str, datetime | None], None] = lambda secret, until: None,
        page: str = "",
    ) -> None:
        self.config = config
        self._clock = clock or Clock()
        self._store = store
        self._lock = lock
        self._lease = Lease(store, self._clock)
        self._state = partial(GrantState, config, location=store.name, page=page)
        self._renewal = Renewal(config, endpoint, store, self._lease, self._clock, mask, self._state)
        self._mask = mask
        self._jitter = random.uniform(0, JITTER)  # noqa: S311 - spreads load, protects nothing
        self._memory: dict[str, Token] = {}
        self._one_thread = threading.Lock()
        self._respite_until = 0.0
        #: By scope: when the API's refusal last caused a renewal, on the monotonic clock.
        self._renewed_for_api: dict[str, float] = {}

    def fresh(self, scope: str | None = None) -> Token | None:
        """Return the token that this process holds, if it needs no renewal. Never waits, reads nothing."""
        token = self._memory.get(self._key(scope))
        return token if self._is_fresh(token) else None

    def usable(self, scope: str | None = None) -> Token | None:
        """Return the token that this process holds, if it may still be sent. Never waits, reads nothing."""
        token = self._memory.get(self._key(scope))
        return token if self._is_usable(token) else None

    def token(self, scope: str | None = None, rejected: Token | None = None) -> Token:
        """Return a token that may be sent now.

        :param scope: a scope of its own instead of the connection's, separated by spaces; only for client_credentials
            and password
        :param rejected: a token that the API did not accept; it is not returned again
        :raises ConfigurationError: if this grant can have no scope of its own
        :raises ConsentRequired: if the grant is gone and a person has to renew it
        :raises TokenRequestError: if the token endpoint refused, or cannot be reached
        :raises InvalidClient: and so ``WrongPassword`` or ``ConsentRequired``, also if they were refused a moment ago
        :raises RenewalTimeout: if another process renews and does not finish
        :raises TokenStoreError: if the token cannot be read or stored
        """
        key = self._key(scope)
        held = self._memory.get(key)
        if rejected is None and self._is_fresh(held):
            return held
        if not self._one_thread.acquire(blocking=False):
            if self._is_usable(held) and not _same(held, rejected):
                return held  # another thread of this process sees to its renewal
            self._one_thread.acquire()
        try:
            held = self._memory.get(key)  # another thread may have renewed meanwhile
            if self._is_fresh(held) and not _same(held, rejected):
                return held
            with errors_converted(self.config.conn_id, "the token could not be renewed"):
                return self._shared_token(key, rejected)
        except OAuthError as error:
            usable = self._best(key, rejected, None)
            # A renewed token that could not be stored would be lost if the task went on and ended.
            if usable is None or self._renewal.unwritten(None):
                raise
            self._respite_until = self._clock.monotonic() + RENEWAL_RETRY_INTERVAL
            until = f", valid until {usable.expires_at}" if usable.expires_at else ""
            log.warning("Renewal failed; using the current token%s. %s", until, error)
            return usable
        finally:
            self._one_thread.release()

    def replacement(self, refused: Token, scope: str | None = None, *, renew: bool) -> Token | None:
        """Return a token to send instead of one that the API refused; None if there is none yet.

        A token that this process or the store holds comes first: another process may have renewed meanwhile, and some
        servers then revoke the previous token. An API that refuses every token causes a renewal once a minute.

        :param refused: the token that the API refused
        :param scope: as for ``token``
        :param renew: whether to renew if there is no other token
        :raises OAuthError: as ``token`` does
        """
        key = self._key(scope)
        if newer := self._newer(key, refused):
            return newer
        last = self._renewed_for_api.get(key)
        if not renew or (last is not None and self._clock.monotonic() < last + API_RENEWAL_INTERVAL):
            return None
        renewed = self.token(scope, refused)
        self._renewed_for_api[key] = self._clock.monotonic()
        return renewed

    def renew(self) -> Token:
        """Renew now, though the token that is stored may be good still. What this process holds does not count.

        :raises OAuthError: as ``token`` does
        """
        stored = self.grant_state()
        stored.check_is_renewable()
        with self._one_thread:
            self._memory.pop("", None)
        return self.token(rejected=stored.token())

    def store_grant(self, token: Token) -> Token:
        """Keep what a person has just consented to, instead of what is stored: under the lease, as any renewal.

        :param token: with its refresh token
        :return: the token, as it is kept
        :raises RenewalTimeout: if other processes renew and do not finish
        :raises TokenStoreError: if it cannot be stored
        """
        failed = "consent was given, but could not be stored; authorize again"
        return self._remember("", self._alone(lambda claim: self._renewal.store_grant(claim, token), failed))

    def forget(self) -> None:
        """Forget what is stored. Other processes use the access token that they hold until it ends.

        :raises RenewalTimeout: if other processes renew and do not finish
        :raises TokenStoreError: if that cannot be stored
        """
        self._alone(self._renewal.forget, "the tokens could not be forgotten; try again")
        self._memory.clear()

    def revoke(self) -> int:
        """Have the server take back what is stored (RFC 7009), then forget it.

        :return: how many tokens the server has taken back
        :raises ConfigurationError: if the connection has no revocation URL, or what is stored cannot be opened
        :raises TokenRequestError: if the server refuses, cannot do it, or does not answer; nothing is forgotten then
        :raises RenewalTimeout: if other processes renew and do not finish
        :raises TokenStoreError: if it cannot be stored that they are gone
        """
        self.grant_state().tokens_to_revoke()  # what can be told at once
        taken = self._alone(self._renewal.revoke, "the tokens could not be revoked; try again")
        self._memory.clear()
        return taken

    def is_empty(self) -> bool:
        """Return whether there is nothing to revoke and nothing to forget, in the store and in the connection.

        :raises TokenStoreError: if the store cannot be read
        """
        record = self._store.read()
        if record is None and self._store.is_listed():
            return False  # the read failed, which looks like absence
        return (record is None or record.readable) and not self._state(record).tokens_to_revoke()

    def _alone(self, act: Callable[[Claim], Result], failed: str) -> Result:
        """Act under an exclusive claim. Repeat this if the process was suspended before it wrote anything.

        :param failed: the start of the error, if that is not possible
        :raises TokenStoreError: if another user has decided something else meanwhile
        """
        first: int | None = None
        with self._one_thread:
            try:
                while True:
                    claim = self._exclusive_claim(failed)
                    if first is None:
                        first = self._renewal.new_generation(claim)
                    elif _is_newer(claim.record, first):
                        self._renewal.end(claim)
                        raise TokenStoreError(
                            f"Connection {self.config.conn_id!r}: {failed}. This process was suspended, and another "
                            f"user has authorized the connection or forgotten its tokens meanwhile."
                        )
                    try:
                        with errors_converted(self.config.conn_id, failed):
                            return act(claim)  # a failed write is not repeated: it may have landed and been replaced
                    except Overtaken as error:
                        log.warning("Trying again. %s", error)
            finally:
                self._lock.release()

    def _exclusive_claim(self, failed: str) -> Claim:
        """Wait for a claim, for up to PATIENCE."""
        trouble: TokenStoreError | None = None
        for waited, pause in _waits(self._clock):
            try:
                if self._lock.acquire() or waited > HOST_LOCK_TIMEOUT:
                    record = self._store.read()
                    claim = self._lease.claim(record, lambda record: True, exclusive=True, spread=PERSON_SPREAD)
                    if claim:
                        return claim
            except TokenStoreError as error:
                trouble = error
            if waited > RENEWAL_WAIT_TIMEOUT:
                break
            self._clock.sleep(pause)
        raise trouble or RenewalTimeout(
            f"Connection {self.config.conn_id!r}: {failed}. Other processes have been renewing the token for "
            f"{RENEWAL_WAIT_TIMEOUT:.0f} s."
        )

    def ready(self) -> None:
        """Make sure that what will come can be kept: ask for nothing that would be lost.

        :raises OAuthError: if the lock file cannot be used
        :raises TokenStoreError: if the store cannot be read
        """
        self._store.read()
        with self._one_thread:
            self._lock.acquire()
            self._lock.release()

    def grant_state(self) -> GrantState:
        """Return what the stored record means for this connection. Reads the record once and sends no request.

        :raises TokenStoreError: if the record cannot be read
        """
        return self._state(self._store.read())

    def _shared_token(self, key: str, rejected: Token | None) -> Token:
        """Take the token from the store if it is good; else renew it, or wait for who does."""
        trouble: TokenStoreError | None = None
        waits = _waits(self._clock)
        host_is_frozen = False
        try:
            while True:
                waited, pause = next(waits)
                host_is_frozen = host_is_frozen or waited > HOST_LOCK_TIMEOUT
                try:
                    if token := self._look(key, rejected, host_is_frozen=host_is_frozen):
                        return token
                except Overtaken as error:
                    trouble, waits = error, _waits(self._clock)  # no time was spent waiting for others
                    continue
                except TokenStoreError as error:
                    if self._best(key, rejected, None) and not self._renewal.unwritten(None):
                        raise
                    trouble = error  # it may pass while we wait
                if waited > (RENEWAL_WAIT_TIMEOUT if self.config.requires_refresh_token else HOST_LOCK_TIMEOUT):
                    break
                if not waited:
                    log.info("Connection %r: waiting for the process that renews its token.", self.config.conn_id)
                self._clock.sleep(pause)
        finally:
            self._lock.release()
        return self._last_resort(key, trouble)

    def _look(self, key: str, rejected: Token | None, *, host_is_frozen: bool) -> Token | None:
        """Return a good token, stored or renewed just now; None while another process sees to it."""
        record = self._store.read()
        unwritten = self._renewal.unwritten(record)  # has to be stored before anything else
        usable = self._best(key, rejected, record)
        if usable and not unwritten and (self._is_fresh(usable) or self._clock.monotonic() < self._respite_until):
            return usable
        self._renewal.check(key, record)

        def wanted(record: Record | None) -> bool:
            if not self._renewal.unwritten(record) and self._is_fresh(self._best(key, rejected, record)):
                return False
            self._renewal.check(key, record)
            return True

        if self._lock.acquire() or host_is_frozen:
            claim = self._lease.claim(record, wanted, exclusive=self._state(record).uses_refresh_token(key))
            if claim and (renewed := self._renewal.renew(key, claim, retry=usable is None)):
                return self._remember(key, renewed)
        if unwritten:
            return None
        return self._best(key, rejected, record)  # due, but good: whoever holds lock and lease renews

    def _last_resort(self, key: str, trouble: TokenStoreError | None) -> Token:
        """Ask without the lease where that is harmless; with a refresh token, never."""
        if not self.config.requires_refresh_token:
            log.warning("Connection %r: another process renews, but not in time; asking too.", self.config.conn_id)
            renewed = self._renewal.renew(key, self._lease.claim_unconditionally(), retry=True)
            if renewed:
                return self._remember(key, renewed)
        raise trouble or RenewalTimeout(
            f"Connection {self.config.conn_id!r}: another process has been renewing the token for over "
            f"{RENEWAL_WAIT_TIMEOUT:.0f} s. The refresh token was not used here as well, because it is single-use. "
            f"Look for a task that hangs, and for a slow database."
        )

    def _remember(self, key: str, token: Token) -> Token:
        self._memory[key] = token
        return token

    def _newer(self, key: str, refused: Token) -> Token | None:
        """Return a usable token other than ``refused``, from memory or from the store."""
        held = self._memory.get(key)
        if self._is_usable(held) and not _same(held, refused):
            return held
        try:
            record = self._store.read()
        except TokenStoreError as error:
            log.warning("The API refused the token, and the stored one could not be read. %s", error)
            return None
        stored = self._state(record).token(key)
        if not self._is_usable(stored) or _same(stored, refused):
            return None
        self._mask(stored.access_token, stored.expires_at)
        if self._memory.get(key) is held:  # no other thread has renewed meanwhile
            self._memory[key] = stored
        return stored

    def _best(self, key: str, rejected: Token | None, record: Record | None) -> Token | None:
        """Return the usable token that lives longest, of the one in memory and the one stored."""
        stored = self._state(record).token(key)
        known = [self._memory.get(key), stored]
        usable = [token for token in known if self._is_usable(token) and not _same(token, rejected)]
        best = max(usable, key=lambda token: token.expires_at or NEVER, default=None)
        if best:
            self._mask(best.access_token, best.expires_at)
            self._memory[key] = best
        return best

    def _is_usable(self, token: Token | None) -> TypeGuard[Token]:
        return token is not None and token.usable(self._clock.now(), self.config.leeway)

    def _is_fresh(self, token: Token | None) -> TypeGuard[Token]:
        return token is not None and self._is_usable(token) and not token.due(self._clock.now(), self._jitter)

    def _key(self, scope: str | None) -> str:
        """Return the name under which tokens of this scope are kept: "" for the connection's own."""
        if scope is None:
            return ""
        key = normalize_scope(scope)
        if not key or key == normalize_scope(self.config.scope):
            return ""
        if self.config.requires_refresh_token:
            raise ConfigurationError(
                f"Connection {self.config.conn_id!r}: scope {scope!r} was asked for a single call, but a grant by "
                f"{self.config.grant_type} has the scope consented to. Leave it out, or use a second connection."
            )
        return key


def _is_newer(record: Record | None, generation: int) -> bool:
    """Return whether somebody else has stored a new grant, or forgotten the old one, since this generation was new."""
    return record is not None and record.generation >= generation


def _same(token: Token | None, rejected: Token | None) -> bool:
    return token is not None and rejected is not None and token.access_token == rejected.access_token


def _waits(clock: Clock) -> Iterator[tuple[float, float]]:
    """Yield how long one has waited and is to wait, in seconds: ever longer, and never quite like another process."""
    begun = clock.monotonic()
    waited, pause = 0.0, 0.05
    while True:
        yield waited, random.uniform(pause / 2, pause)  # noqa: S311 - spreads load, protects nothing
        waited, pause = clock.monotonic() - begun, min(pause * 1.5, 1.0)
