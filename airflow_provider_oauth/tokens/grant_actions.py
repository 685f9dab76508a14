"""What a user does with a grant: authorize, revoke and forget. Meanwhile, no process renews the token."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_oauth.exceptions import (
    Overtaken,
    RenewalTimeout,
    TokenRequestError,
    TokenStoreError,
    errors_converted,
)
from airflow_provider_oauth.tokens.durable_write import require_time_to_store
from airflow_provider_oauth.tokens.lease import MAX_USER_DELAY
from airflow_provider_oauth.tokens.next_record import (
    after_forget,
    after_new_grant,
    first_generation,
    without_refresh_token,
)
from airflow_provider_oauth.tokens.renewal import log_issued
from airflow_provider_oauth.tokens.waiting import HOST_LOCK_TIMEOUT, RENEWAL_WAIT_TIMEOUT, pauses

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.dependencies import Dependencies
    from airflow_provider_oauth.tokens.grant_state import GrantState
    from airflow_provider_oauth.tokens.lease import Claim, Lease
    from airflow_provider_oauth.tokens.record import Record
    from airflow_provider_oauth.tokens.record_writer import RecordWriter
    from airflow_provider_oauth.tokens.token_cache import TokenCache

Result = TypeVar("Result")

log = logging.getLogger(__name__)


def no_check(state: GrantState) -> None:
    """Allow every stored grant to be replaced."""


class GrantActions:
    """Stores, revokes and forgets the grant of one connection under an exclusive claim.

    :param dependencies: the connection, its server and its store
    :param lease: the right to renew
    :param writer: stores the record
    :param cache: the tokens in memory
    :param thread_lock: allows only one thread of this process at a time to renew or act
    """

    def __init__(
        self,
        dependencies: Dependencies,
        lease: Lease,
        writer: RecordWriter,
        cache: TokenCache,
        thread_lock: threading.Lock,
    ) -> None:
        self._dependencies = dependencies
        self._conn_id = dependencies.config.conn_id
        self._store = dependencies.store
        self._host_lock = dependencies.host_lock
        self._clock = dependencies.clock
        self._lease = lease
        self._writer = writer
        self._cache = cache
        self._thread_lock = thread_lock

    def check_can_store(self) -> None:
        """Raise an error before a user authorizes the connection, if the tokens could not be stored afterwards.

        :raises OAuthError: if the lock file cannot be used
        :raises TokenStoreError: if the record cannot be read
        """
        self._store.read()
        with self._thread_lock:
            self._host_lock.acquire()
            self._host_lock.release()

    def is_empty(self) -> bool:
        """Return whether neither the store nor the connection has tokens to revoke or forget.

        :raises TokenStoreError: if the record cannot be read
        """
        record = self._store.read()
        if record is None and self._store.is_listed():
            return False  # the read failed, which looks like a missing record
        return (record is None or record.readable) and not self._dependencies.grant_state(record).tokens_to_revoke()

    def store_grant(self, token: Token, check: Callable[[GrantState], None] = no_check) -> Token:
        """Store the token of a new authorization; it replaces what is stored.

        :param token: the token, with its refresh token if there is one, and the callback values to keep
        :param check: called with what is stored; raises an error if it must not be replaced
        :return: the token without its refresh token
        :raises RenewalTimeout: if other processes do not finish their renewals in time
        :raises TokenStoreError: if the token cannot be stored
        """
        failed = "the new tokens could not be stored"
        stored = self._exclusively(lambda claim: self._store_grant(claim, token, check), failed, "Authorize again")
        return self._cache.put("", stored)

    def forget(self) -> None:
        """Delete the stored tokens. Other processes keep using the access token in their memory until it expires.

        :raises RenewalTimeout: if other processes do not finish their renewals in time
        :raises TokenStoreError: if the record cannot be stored
        """
        self._exclusively(self._forget, "the tokens could not be forgotten")
        self._cache.clear()

    def revoke(self) -> int:
        """Revoke the stored tokens at the server (RFC 7009), then forget them.

        If it fails halfway, all tokens stay stored. It can be repeated, because a revoked token can be revoked again.

        :return: how many tokens the server has revoked
        :raises ConfigurationError: if the connection has no revocation URL, or the stored tokens cannot be decrypted
        :raises TokenRequestError: if the server refuses, does not support it, or does not respond
        :raises RenewalTimeout: if other processes do not finish their renewals in time
        :raises TokenStoreError: if the tokens cannot be forgotten
        """
        self._dependencies.grant_state(self._store.read()).tokens_to_revoke()  # raises an error before anything is done
        revoked = self._exclusively(self._revoke, "the tokens could not be revoked")
        self._cache.clear()
        return revoked

    def _store_grant(self, claim: Claim, token: Token, check: Callable[[GrantState], None]) -> Token:
        with self._writer.ended_on_error(claim):
            self._dependencies.mask_issued(token)
            state = self._dependencies.grant_state(claim.record)
            check(state)
            record = after_new_grant(state, token, claim, self._clock.now())
        self._writer.write_renewed(record, claim)
        log_issued(self._conn_id, token)
        return without_refresh_token(token, record.callback)

    def _forget(self, claim: Claim) -> None:
        with self._writer.ended_on_error(claim):
            record = after_forget(self._dependencies.grant_state(claim.record), claim)
        self._writer.write_empty(record, claim)

    def _revoke(self, claim: Claim) -> int:
        with self._writer.ended_on_error(claim):
            revoked = self._revoke_all(self._dependencies.grant_state(claim.record).tokens_to_revoke(), claim)
        self._forget(claim)
        return revoked

    def _revoke_all(self, tokens: list[tuple[str, str]], claim: Claim) -> int:
        """Revoke the tokens one by one; return how many the server has revoked."""
        revoked = 0
        for token, hint in tokens:
            require_time_to_store(self._store, self._clock, claim)
            if not claim.covers_token_request(self._clock.monotonic()):
                raise RenewalTimeout(
                    f"Connection {self._conn_id!r}: the server took too long to revoke {len(tokens)} tokens. The "
                    f"stored tokens were kept, but the server may have revoked some of them. Try again."
                )
            self._dependencies.mask(token, None)
            revoked += self._dependencies.endpoint.revoke(token, hint)
        if tokens and not revoked:
            raise TokenRequestError(
                f"Connection {self._conn_id!r}: the server supports revocation for none of the stored tokens. Revoke "
                f"the access at the server, then forget the tokens here.",
                error="unsupported_token_type",
            )
        return revoked

    def _exclusively(self, act: Callable[[Claim], Result], failed: str, advice: str = "Try again") -> Result:
        """Call ``act`` under an exclusive claim. Start again if the process was suspended before it wrote anything.

        :param act: called with the claim
        :param failed: what failed, as a clause for error messages
        :param advice: what to do after an error
        :raises TokenStoreError: if another user authorized the connection or deleted its tokens in the meantime
        """
        first: int | None = None
        with self._thread_lock:
            try:
                while True:
                    claim = self._claim(failed, advice)
                    if first is None:
                        first = first_generation(claim)
                    elif _is_newer(claim.record, first):
                        self._writer.end(claim)
                        raise TokenStoreError(
                            f"Connection {self._conn_id!r}: {failed}, because another user authorized the connection "
                            f"again or deleted its tokens while this process was suspended. {advice}."
                        )
                    try:
                        with errors_converted(self._conn_id, failed):
                            # After a failed write, ``act`` is not repeated: the record may be stored nevertheless, and
                            # another user may have replaced it.
                            return act(claim)
                    except Overtaken:
                        log.warning(
                            "Connection %r: %s, because this process was suspended or too slow. Starting again.",
                            self._conn_id,
                            failed,
                        )
            finally:
                self._host_lock.release()

    def _claim(self, failed: str, advice: str) -> Claim:
        """Wait for an exclusive claim, for up to RENEWAL_WAIT_TIMEOUT."""
        last_error: TokenStoreError | None = None
        for waited, pause in pauses(self._clock):
            try:
                if self._host_lock.acquire() or waited > HOST_LOCK_TIMEOUT:
                    claim = self._try_to_claim()
                    if claim:
                        return claim
            except TokenStoreError as error:
                last_error = error
            if waited > RENEWAL_WAIT_TIMEOUT:
                break
            self._clock.sleep(pause)
        raise last_error or RenewalTimeout(
            f"Connection {self._conn_id!r}: {failed}, because other processes did not finish renewing the token within "
            f"{RENEWAL_WAIT_TIMEOUT:.0f} s. {advice}."
        )

    def _try_to_claim(self) -> Claim | None:
        if self._lease.is_held(self._store.read(), exclusive=True):
            return None
        seen = self._lease.observe(exclusive=True, max_delay=MAX_USER_DELAY)
        return self._lease.take(seen) if seen else None


def _is_newer(record: Record | None, generation: int) -> bool:
    """Return whether another user has stored or forgotten a grant since ``generation`` was determined."""
    return record is not None and record.generation >= generation
