"""One renewal: by which token, what becomes of the answer, and of none."""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from airflow_provider_oauth.exceptions import (
    InvalidGrant,
    OAuthError,
    RenewalTimeout,
    TokenRequestError,
    TokenStoreError,
    UnrecognizedRefusal,
)
from airflow_provider_oauth.tokens.cool_down import cool_down_error, is_repeated, refusal_after
from airflow_provider_oauth.tokens.durable_write import require_time_to_store, write_with_retry
from airflow_provider_oauth.tokens.lease import WAIT
from airflow_provider_oauth.tokens.record import Record, Refusal, TokenStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from airflow_provider_oauth.protocol.clock import Clock
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.grant_state import GrantState
    from airflow_provider_oauth.tokens.lease import Claim, Lease

log = logging.getLogger(__name__)

#: How long a token without a lifetime stays masked: longer than the request that uses it.
SINGLE_USE_MASKED = timedelta(hours=1)


class Endpoint(Protocol):
    """The token endpoint, as ``TokenEndpoint`` implements it."""

    def grant(self, scope: str | None = None, *, retry: bool = True) -> Token:
        """Repeat the grant."""

    def refresh(self, refresh_token: str, access_token: str | None = None, *, retry: bool = True) -> Token:
        """Trade a refresh token; some servers want to see the access token that it came with."""

    def revoke(self, token: str, hint: str) -> bool:
        """Have the server take a token back; say whether it can do that with tokens of this kind."""


class Renewal:
    """Renews the token of one connection under a claim, and stores it before anyone gets it.

    :param config: the connection
    :param endpoint: where tokens come from
    :param store: where they are kept
    :param lease: who may renew
    :param clock: time
    :param mask: called with every secret that comes up, and with when it is worth nothing any more
    :param state: what a record means for the connection
    """

    def __init__(
        self,
        config: OAuthConfig,
        endpoint: Endpoint,
        store: TokenStore,
        lease: Lease,
        clock: Clock,
        mask: Callable[[str, datetime | None], None],
        state: Callable[[Record | None], GrantState],
    ) -> None:
        self._config = config
        self._endpoint = endpoint
        self._store = store
        self._lease = lease
        self._clock = clock
        self._mask = mask
        self._state = state
        self._unwritten: Record | None = None
        #: Whether this renewal has called the endpoint, which tells of its exceptions if a request was sent.
        self._is_requested = False

    def check(self, key: str, record: Record | None) -> None:
        """Raise what can be known of a renewal before it is tried.

        :param key: the scope, "" for the connection's own
        :param record: what is stored
        :raises InvalidClient: and so ``WrongPassword`` or ``ConsentRequired``, if that was the answer a moment ago, and
            the connection is still the same
        :raises ConsentRequired: if this grant requires a refresh token and none is usable
        """
        if self.unwritten(record):
            return  # what others were told about an older refresh token does not matter
        if error := cool_down_error(record.refused if record else None, self._clock.now()):
            raise error
        if not self._config.requires_refresh_token:
            return
        if record is None:
            # The claim makes sure that there is really no record. That is not needed if nothing could be sent anyway.
            is_certain = self._config.refresh_token is None and self._store.is_listed() is False
        else:
            # A token that never expires and that the API refused is left to ``renew``, which stores the refusal.
            is_certain = not self._state(record).never_expires
        if is_certain:
            self._state(record).refresh_token(key)

    def renew(self, key: str, claim: Claim, *, retry: bool) -> Token | None:
        """Ask for a token by whatever this grant lives by, and store it.

        :param key: the scope, "" for the connection's own
        :param claim: the right to do so
        :param retry: whether to insist, because nobody has a token that is usable
        :return: the token; None if first one had to be stored that this process has renewed before
        """
        if self._stored_at_last(claim):
            return None
        self._is_requested = False
        try:
            token, record, used = self._request(key, claim, retry)
            token, renewed = self._next_record(key, token, claim, record, used)
        except BaseException as error:
            # A task can be stopped at any line (AirflowTaskTimeout). If the server may have renewed the token by then,
            # the next process must not use the same refresh token immediately, so the lease runs out.
            if isinstance(error, Exception) or not getattr(error, "request_sent", self._is_requested):
                self._note(claim, error)
            raise
        self._write(renewed, claim)
        self._log_token(token)
        return token

    def _request(self, key: str, claim: Claim, retry: bool) -> tuple[Token, Record | None, str | None]:
        """Request a token; return it, the record that it replaces and the refresh token that was used."""
        refresh_token = self._state(claim.record).refresh_token(key) if claim.exclusive else None
        if refresh_token is None:
            self._is_requested = True
            return self._endpoint.grant(key or None, retry=retry), claim.record, None
        return self._refresh(key, claim, refresh_token, retry)

    def unwritten(self, record: Record | None) -> Record | None:
        """Return the record of a renewal that this process could not store yet.

        A stored record of the same or a higher generation replaces it.

        :param record: the record as it was read last
        """
        if self._unwritten and record and record.generation >= self._unwritten.generation:
            self._unwritten = None
        return self._unwritten

    def store_grant(self, claim: Claim, token: Token) -> Token:
        """Store the token of a new grant under a claim; it replaces the old one, whatever that was.

        :param claim: the right to do so
        :param token: with its refresh token
        :return: the token, as it is kept
        :raises Overtaken: if this process was suspended; nothing was written
        :raises TokenStoreError: if it cannot be stored
        """
        with self._ended_early(claim):
            generation = self.new_generation(claim)
            token, renewed = self._next_record("", token, claim, claim.record, None, generation=generation)
        self._write(renewed, claim)
        self._log_token(token)
        return token

    def forget(self, claim: Claim) -> None:
        """Store under a claim that there is nothing to use: neither a token, nor a refresh token.

        The record stays. If it went, the connection's own refresh token would seem unspent, and a process that could
        not store what it has renewed would bring it back.

        :param claim: the right to do so
        :raises Overtaken: if this process was suspended; nothing was written
        :raises TokenStoreError: if it cannot be stored
        """
        with self._ended_early(claim):
            used_refresh_tokens = self._state(claim.record).used_refresh_tokens
            gone = Record(
                generation=self.new_generation(claim), nonce=claim.nonce, used_refresh_tokens=used_refresh_tokens
            )
        write_with_retry(self._store, self._clock, gone, claim)
        self._unwritten = None

    def revoke(self, claim: Claim) -> int:
        """Have the server take back all that is stored under a claim (RFC 7009), then forget it.

        If that fails half-way all stays as it is, to be tried again: a token that was taken back can be so again.

        :param claim: the right to do so
        :return: how many tokens the server has taken back
        :raises ConfigurationError: if the connection has no revocation URL, or what is stored cannot be opened
        :raises TokenRequestError: if the server refuses, cannot do it, or does not answer
        :raises TokenStoreError: if it cannot be stored that they are gone
        """
        with self._ended_early(claim):
            taken = self._take_back(self._state(claim.record).tokens_to_revoke(), claim)
        self.forget(claim)
        return taken

    def _take_back(self, tokens: list[tuple[str, str]], claim: Claim) -> int:
        taken = 0
        for token, hint in tokens:
            require_time_to_store(self._store, self._clock, claim)
            if not claim.covers_an_exchange(self._clock.monotonic()):
                raise RenewalTimeout(
                    f"Connection {self._config.conn_id!r}: the server takes too long to revoke {len(tokens)} tokens. "
                    f"Nothing was forgotten; try again."
                )
            self._mask(token, None)
            taken += self._endpoint.revoke(token, hint)
        if tokens and not taken:
            raise TokenRequestError(
                f"Connection {self._config.conn_id!r}: the server cannot revoke tokens of this kind. Revoke the access "
                f"at the server, then forget the tokens here.",
                error="unsupported_token_type",
            )
        return taken

    def new_generation(self, claim: Claim) -> int:
        """Return the first generation of a new grant.

        It is above all that earlier grants have reached, or may reach yet: a process that could not store what it has
        renewed compares its generation, and the record that it knew may have been deleted since. So it is the time. It
        is that of the claim, so that a process that was suspended since then can compare it with what was stored since.
        """
        return max(int(claim.made_at.timestamp()), claim.record.generation + 1 if claim.record else 1)

    def _refresh(
        self, key: str, claim: Claim, refresh_token: str, retry: bool
    ) -> tuple[Token, Record | None, str | None]:
        """Trade the refresh token; if it is refused, a newer one that was stored meanwhile, else use the full grant."""
        record = claim.record
        while True:
            self._mask(refresh_token, None)
            old = self._state(record).token(key)
            if old:
                self._mask(old.access_token, old.expires_at)
            self._is_requested = True
            try:
                token = self._endpoint.refresh(refresh_token, old.access_token if old else None, retry=retry)
                if token.scope is None and old:  # it has the scope that was granted before (RFC 6749 section 6)
                    token = replace(token, scope=old.scope)
                return token, record, refresh_token
            except (InvalidGrant, UnrecognizedRefusal) as error:
                refused, stored = error, self._store.read()
            newer = self._state(stored).refresh_token(key) if stored else None
            if newer is None or newer == refresh_token:
                break
            record, refresh_token = stored, newer
            if not claim.covers_an_exchange(self._clock.monotonic()):
                raise RenewalTimeout(
                    f"Connection {self._config.conn_id!r}: the token endpoint took so long to refuse the refresh token "
                    f"that another process has stored a newer one. It is used when the task is tried again."
                )
        if not self._config.requires_refresh_token:
            return self._endpoint.grant(key or None, retry=retry), record, None
        said = refused.error_description or refused.error or f"status {refused.status_code}"
        if isinstance(refused, InvalidGrant):
            raise self._state(record).consent_required(
                f"the server no longer accepts its refresh token ({said})"
            ) from refused
        if not is_repeated(record.refused if record else None, self._clock.now()):
            raise refused
        raise self._state(record).consent_required(
            f"the server refused its refresh token repeatedly, in words that are not recognized ({said})"
        ) from refused

    def _next_record(
        self,
        key: str,
        token: Token,
        claim: Claim,
        record: Record | None,
        used: str | None,
        generation: int | None = None,
    ) -> tuple[Token, Record]:
        """Return the token without its refresh token, as it is kept, and the record that holds both."""
        until = self._clock.now() + SINGLE_USE_MASKED if token.is_single_use else token.expires_at
        self._mask(token.access_token, until)
        if token.refresh_token:
            self._mask(token.refresh_token, None)
            if used and used != token.refresh_token:
                self._mask(used, self._clock.now())
        refresh_token, refresh_expires_at = self._next_refresh_token(key, token, record, used)
        now = self._clock.now()
        matching = self._state(record).matching_record
        kept = matching.tokens if matching else {}
        tokens = {name: old for name, old in kept.items() if name != key and old.usable(now, 0)}
        # A refresh does not change it (OpenID Connect Core 1.0 section 12.2), whatever its answer says.
        subject = (record.subject if record and not generation else None) or token.subject
        token = replace(token, refresh_token=None, refresh_expires_at=None, subject=None)
        if not token.is_single_use:
            tokens[key] = token
        return token, Record(
            generation=generation or (record.generation + 1 if record else 1),
            nonce=claim.nonce,
            used_refresh_tokens=self._state(record).used_refresh_tokens,
            tokens=tokens,
            refresh_token=refresh_token,
            refresh_expires_at=refresh_expires_at,
            subject=subject,
        )

    def _log_token(self, token: Token) -> None:
        valid = f"valid until {token.expires_at}" if token.expires_at else "which never expires"
        log.info("Connection %r: renewed the token, %s.", self._config.conn_id, valid)

    def _next_refresh_token(
        self, key: str, token: Token, record: Record | None, used: str | None
    ) -> tuple[str | None, datetime | None]:
        """Return the refresh token for the next renewal, and when it ends if nobody uses it, as far as is known."""
        if not (self._config.requires_refresh_token or self._config.use_refresh):
            return None, None
        old, known = (record.refresh_token, record.refresh_expires_at) if record else (None, None)
        if key:  # the connection's own stays as it is
            return old, known
        new, ends = token.refresh_token or used, token.refresh_expires_at
        if ends is None and new == old and known and self._clock.now() < known:  # else it has outlived what was known
            ends = known
        return new, ends

    def _write(self, record: Record, claim: Claim) -> None:
        """Write the record; where a refresh token would be lost with it, insist as long as nobody else may renew."""
        loses_refresh_token = self._config.requires_refresh_token
        if loses_refresh_token:
            self._unwritten = record  # until it is stored, this process requests no other
        try:
            write_with_retry(self._store, self._clock, record, claim, retry=loses_refresh_token)
        except TokenStoreError as error:
            if not loses_refresh_token:
                log.warning("The token is used, but other tasks have to ask for their own. %s", error)
                return
            log.error("A renewed refresh token is known to this process only, and not stored. %s", error)
            raise
        self._unwritten = None

    def _stored_at_last(self, claim: Claim) -> bool:
        """Store what this process could not store when it renewed, unless there is something newer by now."""
        record = self.unwritten(claim.record)
        if record is None:
            return False
        self._write(replace(record, nonce=claim.nonce), claim)
        return True

    def _note(self, claim: Claim, error: BaseException) -> None:
        """Note that this renewal is over, so that others need not wait for its end; and that credentials were refused.

        All else in the record stays. Where that fails, the lease becomes free by itself.
        """
        before = claim.record.refused if claim.record else None
        now = self._clock.now()
        self._end(claim, refusal_after(error, before, now) if isinstance(error, OAuthError) else before)

    @contextmanager
    def _ended_early(self, claim: Claim) -> Iterator[None]:
        """End the claim after any exception: nothing was written yet, and no token was requested."""
        try:
            yield
        except BaseException:
            self.end(claim)
            raise

    def end(self, claim: Claim) -> None:
        """End a claim that has changed nothing, so that the next process need not wait for its end."""
        self._end(claim, claim.record.refused if claim.record else None)

    def _end(self, claim: Claim, refused: Refusal | None) -> None:
        """Note that a claim is over that has changed nothing."""
        with suppress(TokenStoreError):
            looked = self._clock.monotonic()
            still = self._lease.is_unchanged(claim.record)
            now = self._clock.monotonic()
            # Not over what another has stored meanwhile, so not if one was held up on the way here.
            if still and now - looked <= WAIT / 8 and claim.covers_storing(now):
                base = claim.record if claim.record and not claim.record.corrupt else Record()
                self._store.write(replace(base, nonce=claim.nonce, refused=refused))
