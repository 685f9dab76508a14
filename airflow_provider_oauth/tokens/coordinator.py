"""Coordinates the renewal of one connection's token between processes and hosts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_oauth.exceptions import Overtaken, RecordLocked, RenewalTimeout, TokenStoreError
from airflow_provider_oauth.protocol.metrics import RENEWAL_WAIT
from airflow_provider_oauth.tokens.waiting import HOST_LOCK_TIMEOUT, RENEWAL_WAIT_TIMEOUT, pauses

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.dependencies import Dependencies
    from airflow_provider_oauth.tokens.grant_state import GrantState
    from airflow_provider_oauth.tokens.lease import Claim, Lease
    from airflow_provider_oauth.tokens.record_writer import RecordWriter
    from airflow_provider_oauth.tokens.renewal import Renewal
    from airflow_provider_oauth.tokens.token_cache import TokenCache

log = logging.getLogger(__name__)

#: How long a process waits after a failed renewal before it tries again, in seconds, if the current token is usable.
RENEWAL_RETRY_INTERVAL = 30.0


class Coordinator:
    """Gets a token from the store, or renews it. Coordinates the renewal with the processes of all hosts.

    :param dependencies: the connection, its server and its store
    :param lease: the right to renew
    :param renewal: renews the token under a claim
    :param writer: holds the record that this process could not store yet
    :param cache: the tokens in memory
    """

    def __init__(
        self, dependencies: Dependencies, lease: Lease, renewal: Renewal, writer: RecordWriter, cache: TokenCache
    ) -> None:
        self._dependencies = dependencies
        self._store = dependencies.store
        self._host_lock = dependencies.host_lock
        self._clock = dependencies.clock
        self._lease = lease
        self._renewal = renewal
        self._writer = writer
        self._cache = cache
        self._postponed_until = 0.0

    def postpone(self) -> None:
        """Try no renewal for RENEWAL_RETRY_INTERVAL if the current token is usable. Called after a failed renewal."""
        self._postponed_until = self._clock.monotonic() + RENEWAL_RETRY_INTERVAL

    def token(self, key: str, rejected: Token | None) -> Token:
        """Return a token from the store, or renew it, or wait until another process has renewed it.

        :param key: the scope; "" for the scope of the connection
        :param rejected: a token that the API has refused; it is not returned
        """
        last_error: TokenStoreError | None = None
        waits = pauses(self._clock)
        waited, outcome = 0.0, "failed"
        holder_is_frozen = False
        try:
            while True:
                waited, pause = next(waits)
                holder_is_frozen = holder_is_frozen or waited > HOST_LOCK_TIMEOUT
                try:
                    if token := self._stored_or_renewed(key, rejected, holder_is_frozen=holder_is_frozen):
                        outcome = "success"
                        return token
                except Overtaken as error:
                    last_error, waits = error, pauses(self._clock)  # the suspension does not count as waiting
                    continue
                except TokenStoreError as error:
                    if self._gives_up(error, key, rejected):
                        raise
                    last_error = error  # the store may work again while this process waits
                if waited > self._wait_timeout:
                    outcome = "timeout"
                    break
                if not waited:
                    log.info(
                        "Connection %r: waiting for another process to renew the token, for at most %.0f s.",
                        self._conn_id,
                        self._wait_timeout,
                    )
                self._clock.sleep(pause)
        finally:
            self._host_lock.release()
            if waited:
                self._dependencies.report(RENEWAL_WAIT, outcome, waited)
        return self._renewed_without_lease(key, last_error)

    def _stored_or_renewed(self, key: str, rejected: Token | None, *, holder_is_frozen: bool) -> Token | None:
        """Return a usable token, stored or just renewed; None if this process must wait for another one.

        The host lock lets only one process of this host try to claim the lease, which saves waits and writes. The claim
        protects the refresh token: no other process on any host uses it before this process has stored its successor.

        :param holder_is_frozen: whether the process that holds the host lock is assumed to be frozen
        """
        state = self._dependencies.grant_state(self._store.read())
        unwritten = self._writer.unwritten(state.record)  # if there is one, nothing else is done until it is stored
        usable = self._cache.best(key, rejected, state.token(key))
        if usable and not unwritten and (self._cache.is_fresh(usable) or self._is_postponed()):
            if state.lacks_key:
                self._store_for_new_key(state)
            return usable
        self._renewal.check(key, state)
        if self._host_lock.acquire() or holder_is_frozen:
            claim = self._claim(key, rejected, state)
            if claim and (renewed := self._renewal.renew(key, claim, retry=usable is None)):
                return self._cache.put(key, renewed)
        if unwritten:
            return None
        return self._cache.best(key, rejected, state.token(key))  # usable, although due: another process is renewing it

    def _claim(self, key: str, rejected: Token | None, state: GrantState) -> Claim | None:
        """Claim the lease; return None if another process has claimed it or has just renewed the token."""
        exclusive = state.uses_refresh_token(key)
        if self._lease.is_held(state.record, exclusive=exclusive):
            return None
        seen = self._lease.observe(exclusive=exclusive)
        if seen is None:
            return None
        state = self._dependencies.grant_state(seen.record)
        if not self._writer.unwritten(seen.record) and self._cache.is_fresh(
            self._cache.best(key, rejected, state.token(key))
        ):
            return None
        self._renewal.check(key, state)
        return self._lease.take(seen)

    def _gives_up(self, error: TokenStoreError, key: str, rejected: Token | None) -> bool:
        """Return whether waiting does not help after ``error``, or is not necessary."""
        # If the record is locked, only a change of the key file helps.
        is_final = isinstance(error, RecordLocked) or self._cache.best(key, rejected, None) is not None
        return is_final and not self._writer.unwritten(None)

    def _store_for_new_key(self, state: GrantState) -> None:
        """Store the record again, so that processes that have only the new private key can decrypt it.

        The next renewal would do the same, but the previous key may have been removed from all files by then.
        """
        try:
            if self._lease.is_held(state.record, exclusive=True) or not self._host_lock.acquire():
                return
            seen = self._lease.observe(exclusive=True)
            if seen and self._dependencies.grant_state(seen.record).lacks_key and (claim := self._lease.take(seen)):
                self._writer.end(claim)
                log.info("Connection %r: encrypted the stored tokens with the new private key, too.", self._conn_id)
        except TokenStoreError as error:
            log.warning("%s The stored tokens are not yet encrypted with the new private key.", error)

    def _renewed_without_lease(self, key: str, error: TokenStoreError | None) -> Token:
        """Renew without an exclusive claim if the grant can be repeated; never with a refresh token."""
        if not self._dependencies.config.requires_refresh_token:
            log.warning(
                "Connection %r: timed out waiting for another process to renew the token. This process now requests "
                "a token itself.",
                self._conn_id,
            )
            renewed = self._renewal.renew(key, self._lease.claim_unconditionally(), retry=True)
            if renewed:
                return self._cache.put(key, renewed)
        raise error or RenewalTimeout(
            f"Connection {self._conn_id!r}: another process did not finish renewing the token within "
            f"{RENEWAL_WAIT_TIMEOUT:.0f} s. This process did not use the refresh token, because it can be used only "
            f"once. Check for a task that hangs and for a slow metadata database."
        )

    def _is_postponed(self) -> bool:
        return self._clock.monotonic() < self._postponed_until

    @property
    def _wait_timeout(self) -> float:
        is_repeatable = not self._dependencies.config.requires_refresh_token
        return HOST_LOCK_TIMEOUT if is_repeatable else RENEWAL_WAIT_TIMEOUT

    @property
    def _conn_id(self) -> str:
        return self._dependencies.config.conn_id
