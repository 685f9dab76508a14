"""Renews a token under a claim, including recovery from refused refresh tokens and lost responses."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_oauth.exceptions import ConsentRequired, InvalidGrant, RenewalTimeout, UnrecognizedRefusal
from airflow_provider_oauth.protocol.metrics import RENEWALS, failure_outcome
from airflow_provider_oauth.tokens.cool_down import cool_down_error, is_repeated
from airflow_provider_oauth.tokens.next_record import after_renewal, without_refresh_token

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_oauth.exceptions import OAuthError
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.dependencies import Dependencies
    from airflow_provider_oauth.tokens.grant_state import GrantState
    from airflow_provider_oauth.tokens.lease import Claim
    from airflow_provider_oauth.tokens.record import Record
    from airflow_provider_oauth.tokens.record_writer import RecordWriter

log = logging.getLogger(__name__)


class Issued(NamedTuple):
    """A token that was just issued.

    :param token: the token, with its refresh token if there is one
    :param state: the connection, and the record that the next one replaces
    :param used_refresh_token: the refresh token that was used; None if the grant was repeated
    """

    token: Token
    state: GrantState
    used_refresh_token: str | None


class Renewal:
    """Requests a token under a claim, and stores it before it is used.

    :param dependencies: the connection, its server and its store
    :param writer: stores the record
    """

    def __init__(self, dependencies: Dependencies, writer: RecordWriter) -> None:
        self._dependencies = dependencies
        self._writer = writer
        #: Whether this renewal has called the endpoint. It counts for exceptions that have no ``request_sent``.
        self._is_requested = False

    def check(self, key: str, state: GrantState) -> None:
        """Raise an error if a renewal cannot succeed.

        :param key: the scope; "" for the scope of the connection
        :param state: what is stored
        :raises OAuthError: the stored refusal, during the cool-down: ``InvalidClient``, ``WrongPassword``,
            ``UnrecognizedRefusal`` or ``ConsentRequired``
        :raises ConsentRequired: if this grant requires a refresh token and none is usable
        """
        config, record = self._dependencies.config, state.record
        if self._writer.unwritten(record):
            # The unwritten record has a newer refresh token than the one that a stored refusal is about.
            return
        if error := cool_down_error(record.refused if record else None, self._dependencies.clock.now()):
            raise error
        if not config.requires_refresh_token:
            return
        if record is None:
            # If a refresh token is entered in the connection, only a claim can confirm that there is no record.
            is_certain = config.refresh_token is None and self._dependencies.store.is_listed() is False
        else:
            # If the API has refused a token that never expires, ``renew`` raises the error and stores it.
            is_certain = not state.never_expires
        if is_certain:
            state.refresh_token(key)

    def renew(self, key: str, claim: Claim, *, retry: bool) -> Token | None:
        """Request a token and store it.

        :param key: the scope; "" for the scope of the connection
        :param claim: the right to renew
        :param retry: whether to repeat a failed request; True if no usable token is left
        :return: the token; None if an unwritten record of this process was stored instead
        """
        if self._writer.write_unwritten(claim):
            return None
        self._is_requested = False
        try:
            issued = self._request(key, claim, retry)
            self._dependencies.mask_issued(issued.token, issued.used_refresh_token)
            record = after_renewal(
                issued.state,
                issued.token,
                claim.nonce,
                self._dependencies.clock.now(),
                key=key,
                used_refresh_token=issued.used_refresh_token,
            )
        except BaseException as error:
            # A task can be stopped at any line (AirflowTaskTimeout). If the server may have renewed the token by then,
            # the claim is not ended. So the next process uses the same refresh token only after the claim has expired.
            if isinstance(error, Exception) or not getattr(error, "request_sent", self._is_requested):
                self._writer.end_after(error, claim)
            self._dependencies.report(RENEWALS, renewal_outcome(error))
            raise
        self._write(record, claim)
        log_issued(self._dependencies.config.conn_id, issued.token)
        return without_refresh_token(issued.token, record.callback)

    def _write(self, record: Record, claim: Claim) -> None:
        """Store the record of the renewal, and report its outcome."""
        try:
            self._writer.write_renewed(record, claim)
        except BaseException:
            self._dependencies.report(RENEWALS, "not_stored")
            raise
        self._dependencies.report(RENEWALS, "success")

    def _request(self, key: str, claim: Claim, retry: bool) -> Issued:
        """Request a token with the refresh token if there is one, otherwise by repeating the grant."""
        state = self._dependencies.grant_state(claim.record)
        refresh_token = state.refresh_token(key) if claim.exclusive else None
        while refresh_token is not None:
            try:
                return Issued(self._refresh(key, state, refresh_token, retry), state, refresh_token)
            except (InvalidGrant, UnrecognizedRefusal) as error:
                refused = error
            state, refresh_token = self._after_refusal(key, state, refresh_token, claim, refused)
        self._is_requested = True
        return Issued(self._dependencies.endpoint.grant(key or None, retry=retry), state, None)

    def _refresh(self, key: str, state: GrantState, refresh_token: str, retry: bool) -> Token:
        self._dependencies.mask(refresh_token, None)
        old = state.token(key)
        if old:
            self._dependencies.mask(old.access_token, old.expires_at)
        self._is_requested = True
        token = self._dependencies.endpoint.refresh(refresh_token, old.access_token if old else None, retry=retry)
        if token.scope is None and old:  # it has the scope that was granted before (RFC 6749 section 6)
            return replace(token, scope=old.scope)
        return token

    def _after_refusal(
        self, key: str, state: GrantState, refresh_token: str, claim: Claim, refused: InvalidGrant | UnrecognizedRefusal
    ) -> tuple[GrantState, str | None]:
        """Return the state and the refresh token to try after a refusal; without one, the caller repeats the grant.

        The next refresh token is a newer one that another process has stored, for example while this process was
        suspended.

        :raises OAuthError: if there is no newer refresh token, and the grant cannot be repeated without one
        :raises RenewalTimeout: if there is a newer refresh token, but the claim leaves no time to use it
        """
        record = self._dependencies.store.read()
        stored = self._dependencies.grant_state(record)
        newer = stored.refresh_token(key) if record else None
        if newer is not None and newer != refresh_token:
            if not claim.covers_token_request(self._dependencies.clock.monotonic()):
                raise RenewalTimeout(
                    f"Connection {state.config.conn_id!r}: the token endpoint took too long to refuse the refresh "
                    f"token, which another process had replaced. Try again: the next attempt uses the new refresh "
                    f"token."
                )
            return stored, newer
        if not state.config.requires_refresh_token:
            return state, None
        error = refusal_error(state, refused, self._dependencies.clock.now())
        if error is refused:
            raise error
        raise error from refused


def refusal_error(state: GrantState, refused: InvalidGrant | UnrecognizedRefusal, now: datetime) -> OAuthError:
    """Return the error for a refresh token that the server has refused.

    :param state: what is stored
    :param refused: the server's response
    :param now: the current time, with a time zone
    :return: ``ConsentRequired``; ``refused`` itself if it is the first refusal with an unrecognized error
    """
    reason = refused.error_description or refused.error or f"status {refused.status_code}"
    if isinstance(refused, InvalidGrant):
        return state.consent_required(f"the server no longer accepts the connection's refresh token ({reason})")
    if not is_repeated(state.record.refused if state.record else None, now):
        return refused
    return state.consent_required(
        f"the server refused the connection's refresh token repeatedly, with an error that is not recognized ({reason})"
    )


def renewal_outcome(error: BaseException) -> str:
    """Return the outcome of a renewal that failed before the token was stored; see ``failure_outcome``."""
    refused = error.__cause__ if isinstance(error, ConsentRequired) else error
    return failure_outcome(refused)


def log_issued(conn_id: str, token: Token) -> None:
    """Log that the server issued a token, without the token."""
    valid = f"valid until {token.expires_at}" if token.expires_at else "which never expires"
    log.info("Connection %r: obtained a token, %s.", conn_id, valid)
