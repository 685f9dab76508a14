"""Who renews a token, and when."""

from __future__ import annotations

import logging
import random
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeGuard
from uuid import uuid4

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    ConsentRequired,
    InvalidGrant,
    OAuthError,
    RenewalTimeout,
    TokenStoreError,
)
from airflow_provider_oauth.oauth.clock import Clock
from airflow_provider_oauth.oauth.config import OAuthConfig, normal_scope
from airflow_provider_oauth.oauth.store import Record, TokenStore, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from airflow_provider_oauth.oauth.token import Token

log = logging.getLogger(__name__)

#: Seconds to wait for another process to renew: an exchange (20 s), storing (30 s), and some.
PATIENCE = 60.0
#: Seconds kept for storing a renewed refresh token.
STORING = 30.0
#: Seconds between attempts to store.
STORING_INTERVAL = 0.9
#: Seconds for which a process that could not renew ahead of time leaves it at that.
RESPITE = 30.0
#: How many of a connection's own refresh tokens are known to be spent.
REMEMBERED = 20
#: The part of a token's life by which a process renews earlier than others, at most.
JITTER = 0.05


class Endpoint(Protocol):
    """The token endpoint, as ``TokenEndpoint`` implements it."""

    def grant(self, scope: str | None = None, *, patient: bool = True) -> Token:
        """Repeat the grant."""

    def refresh(self, refresh_token: str, *, patient: bool = True) -> Token:
        """Trade a refresh token."""


class Lock(Protocol):
    """What keeps the processes of a host from renewing at once, as ``HostLock`` implements it."""

    def attempt(self) -> AbstractContextManager[bool]:
        """Try to take it, without waiting."""


class TokenSource:
    """Gives out a good token for one connection, to all threads of this process, and renews it once for all processes.

    A token is *usable* until shortly before its end, and *due* for renewal from about three quarters of its life. While
    it is usable nobody waits: whoever holds the lock renews, the others go on with what they have.

    :param config: the connection
    :param endpoint: where tokens come from
    :param store: where they are kept
    :param lock: one process of this host at a time
    :param clock: time, for tests
    :param mask: called with every secret that this source learns, before anything can log it
    """

    def __init__(
        self,
        config: OAuthConfig,
        endpoint: Endpoint,
        store: TokenStore,
        lock: Lock,
        clock: Clock | None = None,
        mask: Callable[[str], None] = lambda secret: None,
    ) -> None:
        self.config = config
        self._endpoint = endpoint
        self._store = store
        self._lock = lock
        self._clock = clock or Clock()
        self._mask = mask
        self._jitter = random.uniform(0, JITTER)  # noqa: S311 - spreads load, protects nothing
        own = config.refresh_token if config.lives_by_refresh else None
        self._origin = fingerprint(config.conn_id, own) if own else None
        self._memory: dict[str, Token] = {}
        self._one_thread = threading.Lock()
        self._respite_until = 0.0
        self._unwritten: Record | None = None

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
        :raises RenewalTimeout: if another process renews and does not finish
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
            return held if self._is_fresh(held) and not _same(held, rejected) else self._shared_token(key, rejected)
        except OAuthError as error:
            usable = self._best(key, rejected, None)
            if usable is None:
                raise
            self._respite_until = self._clock.monotonic() + RESPITE
            log.warning("The token is still good until %s, but could not be renewed. %s", usable.expires_at, error)
            return usable
        finally:
            self._one_thread.release()

    def _shared_token(self, key: str, rejected: Token | None) -> Token:
        """Take the token from memory or store if it is good; else renew it, or wait for who does."""
        deadline = self._clock.monotonic() + PATIENCE
        for pause in _pauses():
            usable = self._best(key, rejected, self._read())
            if usable and (self._is_fresh(usable) or self._clock.monotonic() < self._respite_until):
                return usable
            with self._lock.attempt() as taken:
                if taken:
                    return self._renew(key, rejected)
            if usable:
                return usable  # due, but good: who holds the lock renews
            if self._clock.monotonic() + pause > deadline:
                break
            self._clock.sleep(pause)
        if not self.config.lives_by_refresh:
            log.warning("Connection %r: another process renews, but not in time; asking too.", self._conn_id)
            return self._renew(key, rejected)
        raise RenewalTimeout(
            f"Connection {self._conn_id!r}: another process has been renewing the token for {PATIENCE:.0f} s. It was "
            f"not renewed here too, because a refresh token is good for one use. Look for a task that hangs."
        )

    def _renew(self, key: str, rejected: Token | None) -> Token:
        """Renew the token, as the one process that does. Check again first: another may have just done so."""
        record = self._read()
        if self._unwritten and (record is None or record.generation < self._unwritten.generation):
            self._write(record := self._unwritten)
        self._unwritten = None
        usable = self._best(key, rejected, record)
        if self._is_fresh(usable):
            return usable
        return self._exchange(key, record, patient=usable is None)

    def _exchange(self, key: str, record: Record | None, *, patient: bool) -> Token:
        """Ask for a token by whatever this grant lives by, and store it before anyone gets it."""
        refresh_token = self._refresh_token(key, record)
        if refresh_token is None:
            token = self._endpoint.grant(key or None, patient=patient)
        else:
            token, record, refresh_token = self._refresh(key, record, refresh_token, patient)
        self._mask_all(token.access_token, token.refresh_token)
        self._keep(key, token, record, refresh_token)
        return token

    def _refresh(
        self, key: str, record: Record | None, refresh_token: str, patient: bool
    ) -> tuple[Token, Record | None, str | None]:
        """Trade the refresh token; if it is refused, a newer one that was stored meanwhile, else use the full grant."""
        while True:
            try:
                return self._endpoint.refresh(refresh_token, patient=patient), record, refresh_token
            except InvalidGrant as error:
                refused, record = error, self._read()
            newer = self._refresh_token(key, record)
            if newer is None or newer == refresh_token:
                break
            refresh_token = newer
        if not self.config.lives_by_refresh:
            return self._endpoint.grant(key or None, patient=patient), record, None
        said = refused.error_description or refused.error
        raise self._consent_required(f"the server no longer accepts its refresh token ({said})")

    def _refresh_token(self, key: str, record: Record | None) -> str | None:
        """Return the refresh token to use; None if the grant is to be repeated.

        Every refresh token is taken to be single-use: the connection's own is used only where no record has seen it.

        :raises ConsentRequired: if this grant lives by a refresh token, and there is none to use
        """
        if not self.config.lives_by_refresh:
            return record.refresh_token if record and record.readable and self.config.use_refresh and not key else None
        own = self.config.refresh_token
        if record is None:
            if not self._store.is_absent():
                raise TokenStoreError(
                    f"Connection {self._conn_id!r}: {self._store.name} could not be read. The connection's own refresh "
                    f"token is not sent, because it may be spent. Try again when Airflow's database answers."
                )
            if own is None:
                raise self._consent_required("it holds no refresh token yet")
            return own
        if record.damaged:
            raise self._consent_required(f"{self._store.name} is damaged; delete it")
        if own is not None and self._origin not in record.origins:
            return own
        if not record.readable:
            raise self._consent_required(
                f"what {self._store.name} holds was granted to another client, secret, user, URL or scope"
            )
        if record.refresh_token is None:
            raise self._consent_required("the server has issued no refresh token")
        return record.refresh_token

    def _keep(self, key: str, token: Token, record: Record | None, used: str | None) -> None:
        """Store the token and remember it. What is good for one use only is neither, but for its refresh token."""
        refresh_token = (token.refresh_token or used) if not key else (record.refresh_token if record else None)
        lasting = token.lifetime.total_seconds() > 0
        now = self._clock.now()
        kept = record.tokens if self._is_ours(record) else {}
        tokens = {name: old for name, old in kept.items() if name != key and now < old.expires_at}
        if lasting:
            tokens[key] = replace(token, refresh_token=None)
        if lasting or refresh_token != (record.refresh_token if record else None):
            self._write(
                Record(
                    generation=record.generation + 1 if record else 1,
                    nonce=uuid4().hex,
                    origins=self._origins(record),
                    tokens=tokens,
                    refresh_token=refresh_token if self.config.lives_by_refresh or self.config.use_refresh else None,
                )
            )
        if lasting:
            self._memory[key] = tokens[key]
        log.info("Connection %r: renewed the token, valid until %s.", self._conn_id, token.expires_at)

    def _write(self, record: Record) -> None:
        """Write the record; insist where a refresh token would be lost with it."""
        deadline = self._clock.monotonic() + STORING
        while True:
            try:
                return self._store.write(record)
            except TokenStoreError as error:
                if not self.config.lives_by_refresh:
                    log.warning("The token is used, but other tasks have to ask for their own. %s", error)
                    return None
                if self._clock.monotonic() + STORING_INTERVAL > deadline:
                    self._unwritten = record  # this process tries again before it asks for another
                    log.error("A renewed refresh token is known to this process only, and not stored. %s", error)
                    raise
                log.warning("Trying again. %s", error)
            self._clock.sleep(STORING_INTERVAL)
            with suppress(TokenStoreError):
                stored = self._read()
                if stored and stored.generation >= record.generation:
                    return None  # ours after all, or a newer one

    def _origins(self, record: Record | None) -> tuple[str, ...]:
        """Return the fingerprints of the connection's own refresh tokens, this one last: none of them is used again."""
        seen = [origin for origin in (record.origins if record else ()) if origin != self._origin]
        return tuple([*seen, self._origin] if self._origin else seen)[-REMEMBERED:]

    def _read(self) -> Record | None:
        record = self._store.read()
        if record:
            self._mask_all(record.refresh_token, *(token.access_token for token in record.tokens.values()))
        return record

    def _best(self, key: str, rejected: Token | None, record: Record | None) -> Token | None:
        """Return the usable token that lives longest, of the one in memory and the one stored."""
        stored = record.tokens.get(key) if self._is_ours(record) else None
        known = [self._memory.get(key), stored]
        usable = [token for token in known if self._is_usable(token) and not _same(token, rejected)]
        best = max(usable, key=lambda token: token.expires_at, default=None)
        if best:
            self._memory[key] = best
        return best

    def _is_ours(self, record: Record | None) -> TypeGuard[Record]:
        """Tell whether the record was granted to the connection as it is now, and by the refresh token it has now."""
        if record is None or not record.readable:
            return False
        return not self.config.lives_by_refresh or self._origin is None or self._origin in record.origins

    def _is_usable(self, token: Token | None) -> TypeGuard[Token]:
        return token is not None and token.usable(self._clock.now(), self.config.leeway)

    def _is_fresh(self, token: Token | None) -> TypeGuard[Token]:
        return token is not None and self._is_usable(token) and not token.due(self._clock.now(), self._jitter)

    def _mask_all(self, *secrets: str | None) -> None:
        for secret in filter(None, secrets):
            self._mask(secret)

    def _key(self, scope: str | None) -> str:
        """Return the name under which tokens of this scope are kept: "" for the connection's own."""
        key = normal_scope(scope)
        if not key or key == normal_scope(self.config.scope):
            return ""
        if self.config.lives_by_refresh:
            raise ConfigurationError(
                f"Connection {self._conn_id!r}: scope {scope!r} was asked for a single call, but a grant by "
                f"{self.config.grant_type} has the scope consented to. Leave it out, or use a second connection."
            )
        return key

    def _consent_required(self, problem: str) -> ConsentRequired:
        return ConsentRequired(
            f"Connection {self._conn_id!r}: {problem}. Obtain a new refresh token and paste it into the connection's "
            f"Refresh token field."
        )

    @property
    def _conn_id(self) -> str:
        return self.config.conn_id


def _same(token: Token | None, rejected: Token | None) -> bool:
    return token is not None and rejected is not None and token.access_token == rejected.access_token


def _pauses() -> Iterator[float]:
    """Yield ever longer waits, in seconds, none quite like another process's."""
    pause = 0.05
    while True:
        yield random.uniform(pause / 2, pause)  # noqa: S311 - spreads load, protects nothing
        pause = min(pause * 1.5, 1.0)
