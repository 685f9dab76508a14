"""Provides valid tokens and coordinates renewal across threads, processes and hosts."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError, TokenStoreError, errors_converted
from airflow_provider_oauth.protocol.config import normalize_scope
from airflow_provider_oauth.tokens.coordinator import Coordinator
from airflow_provider_oauth.tokens.grant_actions import GrantActions
from airflow_provider_oauth.tokens.lease import Lease
from airflow_provider_oauth.tokens.record_writer import RecordWriter
from airflow_provider_oauth.tokens.renewal import Renewal
from airflow_provider_oauth.tokens.token_cache import TokenCache, is_same

if TYPE_CHECKING:
    from airflow_provider_oauth.exceptions import ConsentRequired
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.dependencies import Dependencies
    from airflow_provider_oauth.tokens.grant_state import GrantState

log = logging.getLogger(__name__)

#: Minimum time in seconds between two renewals that one process starts because the API refused the token.
API_RENEWAL_INTERVAL = 60.0


class TokenSource:
    """Provides a valid token for one connection to all threads of this process.

    A token is *usable* until shortly before it expires, and *due* for renewal after about three quarters of its
    lifetime. While it is usable, nothing waits: one process renews it, and the others keep using it.

    :param dependencies: the connection, its server and its store
    """

    def __init__(self, dependencies: Dependencies) -> None:
        self.config = dependencies.config
        #: Reports metrics of the connection.
        self.report = dependencies.report
        self._dependencies = dependencies
        self._clock = dependencies.clock
        self._thread_lock = threading.Lock()
        self._lease = Lease(dependencies.store, self._clock)
        self._cache = TokenCache(self._clock, self.config.leeway, dependencies.mask)
        self._writer = RecordWriter(dependencies, self._lease)
        renewal = Renewal(dependencies, self._writer)
        self._coordinator = Coordinator(dependencies, self._lease, renewal, self._writer, self._cache)
        #: The actions of users: authorize the connection, revoke its tokens, or forget them.
        self.actions = GrantActions(dependencies, self._lease, self._writer, self._cache, self._thread_lock)
        #: When a refusal by the API last caused a renewal, on the monotonic clock, by scope.
        self._renewed_for_api: dict[str, float] = {}

    def fresh(self, scope: str | None = None) -> Token | None:
        """Return the token in memory if it is usable and not due for renewal. This never waits and does no I/O."""
        return self._cache.fresh(self._key(scope))

    def usable(self, scope: str | None = None) -> Token | None:
        """Return the token in memory if it may still be sent. This never waits and does no I/O."""
        return self._cache.usable(self._key(scope))

    def preload(self, scope: str | None = None) -> None:
        """Start to read the stored token in a thread. ``token`` waits for it.

        Decryption takes about 30 ms of processor time without Python's global lock, so the caller can import modules
        meanwhile. Errors are not raised here: ``token`` reads the store again and raises them.

        :param scope: as for ``token``
        """
        try:
            key = self._key(scope)
        except ConfigurationError:
            return
        if self._cache.fresh(key) or not self._thread_lock.acquire(blocking=False):
            return
        try:
            threading.Thread(target=self._preload, args=(key,), daemon=True).start()
        except RuntimeError:  # the operating system allows no more threads
            self._thread_lock.release()

    def _preload(self, key: str) -> None:
        """Put the stored token in memory, and release the lock that ``preload`` has acquired."""
        try:
            with suppress(TokenStoreError):
                self._cache.best(key, None, self.grant_state().token(key))
        finally:
            self._thread_lock.release()

    def token(self, scope: str | None = None, rejected: Token | None = None) -> Token:
        """Return a usable token; renew it if necessary, or wait until another process has renewed it.

        :param scope: scope to request, separated by spaces; None for the scope of the connection. Another scope
            is not possible with the grant types authorization_code and refresh_token
        :param rejected: a token that the API has refused; it is not returned
        :raises ConfigurationError: if this grant allows no other scope
        :raises ConsentRequired: if a user must authorize the connection again
        :raises TokenRequestError: if the token endpoint refuses the request or cannot be reached
        :raises OAuthError: the stored refusal, during the cool-down after it
        :raises RenewalTimeout: if another process does not finish its renewal in time
        :raises TokenStoreError: if the record cannot be read or stored
        """
        key = self._key(scope)
        if token := self._cache.fresh(key, rejected):
            return token
        if not self._thread_lock.acquire(blocking=False):
            if token := self._cache.usable(key, rejected):
                return token  # another thread of this process renews it
            self._thread_lock.acquire()
        # Only one thread at a time reads the store or renews. Check again, because another one may just have renewed.
        try:
            if token := self._cache.fresh(key, rejected):
                return token
            with errors_converted(self.config.conn_id, "the token could not be renewed"):
                return self._coordinator.token(key, rejected)
        except OAuthError as error:
            usable = self._cache.best(key, rejected, None)
            # If a renewed refresh token could not be stored, only this process has it. The current token is then not
            # used although it is usable, so that the task does not succeed and end without anyone noticing the loss.
            if usable is None or self._writer.unwritten(None):
                raise
            self._coordinator.postpone()
            until = f", valid until {usable.expires_at}" if usable.expires_at else ""
            log.warning("%s Renewal failed; using the current token%s.", error, until)
            return usable
        finally:
            self._thread_lock.release()

    def replacement(self, refused: Token, scope: str | None = None, *, renew: bool) -> Token | None:
        """Return a token to use instead of one that the API has refused; None if there is none yet.

        Another token in memory or in the store is tried before a renewal: another process may have renewed the token,
        and some servers revoke the previous token with each renewal. If the API refuses every token, this process
        renews at most once in API_RENEWAL_INTERVAL.

        :param refused: the token that the API has refused
        :param scope: as for ``token``
        :param renew: whether to renew if there is no other token
        :raises OAuthError: as for ``token``
        """
        key = self._key(scope)
        if newer := self._cache.usable(key, refused) or self._newer_stored_token(key, refused):
            return newer
        last = self._renewed_for_api.get(key)
        if not renew or (last is not None and self._clock.monotonic() < last + API_RENEWAL_INTERVAL):
            return None
        renewed = self.token(scope, refused)
        self._renewed_for_api[key] = self._clock.monotonic()
        return renewed

    def renew(self) -> Token:
        """Renew the token now, even if it is usable.

        :raises OAuthError: as for ``token``
        """
        state = self.grant_state()
        state.check_is_renewable()
        with self._thread_lock:
            self._cache.discard("")
        return self.token(rejected=state.token())

    def grant_state(self) -> GrantState:
        """Return the state of this connection's grant. This reads the record once and sends no request.

        :raises TokenStoreError: if the record cannot be read
        """
        return self._dependencies.grant_state(self._dependencies.store.read())

    def consent_required(self, problem: str) -> ConsentRequired:
        """Return the error for a grant that only a user can correct, see ``GrantState.consent_required``."""
        return self._dependencies.grant_state(None).consent_required(problem)

    def _newer_stored_token(self, key: str, refused: Token) -> Token | None:
        """Return the stored token, and put it in memory, if it is usable and not ``refused``."""
        held = self._cache.get(key)
        try:
            stored = self.grant_state().token(key)
        except TokenStoreError as error:
            log.warning("%s The stored token may be newer than the one in memory.", error)
            return None
        if not self._cache.is_usable(stored) or is_same(stored, refused):
            return None
        self._dependencies.mask(stored.access_token, stored.expires_at)
        if self._cache.get(key) is held:  # no other thread has renewed it in the meantime
            self._cache.put(key, stored)
        return stored

    def _key(self, scope: str | None) -> str:
        """Return the key of the tokens with this scope: "" for the scope of the connection."""
        if scope is None:
            return ""
        key = normalize_scope(scope)
        if not key or key == normalize_scope(self.config.scope):
            return ""
        if self.config.requires_refresh_token:
            raise ConfigurationError(
                f"Connection {self.config.conn_id!r}: the grant type {self.config.grant_type} does not allow the scope "
                f"{scope!r} for a single call, because its tokens have the scope that was authorized. Remove the "
                f"scope, or use a second connection."
            )
        return key
