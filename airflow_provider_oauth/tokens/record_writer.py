"""Stores records under a claim, and keeps a renewed record that could not be stored yet."""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_oauth.exceptions import OAuthError, RecordLocked, TokenStoreError
from airflow_provider_oauth.tokens.cool_down import refusal_after
from airflow_provider_oauth.tokens.durable_write import write_with_retry
from airflow_provider_oauth.tokens.lease import WAIT
from airflow_provider_oauth.tokens.next_record import after_failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_oauth.tokens.dependencies import Dependencies
    from airflow_provider_oauth.tokens.lease import Claim, Lease
    from airflow_provider_oauth.tokens.record import Record, Refusal

log = logging.getLogger(__name__)


class RecordWriter:
    """Stores records under a claim.

    If a renewed refresh token could not be stored, only this process has it. Its record is kept here as unwritten until
    it is stored or a newer record replaces it.

    :param dependencies: the connection and its store
    :param lease: the right to renew
    """

    def __init__(self, dependencies: Dependencies, lease: Lease) -> None:
        self._config = dependencies.config
        self._store = dependencies.store
        self._clock = dependencies.clock
        self._lease = lease
        self._unwritten: Record | None = None

    def unwritten(self, record: Record | None) -> Record | None:
        """Return the record of a renewal that this process could not store yet.

        A stored record of the same or a higher generation replaces it.

        :param record: the record that was read last
        """
        if self._unwritten and record and record.generation >= self._unwritten.generation:
            self._unwritten = None
        return self._unwritten

    def write_unwritten(self, claim: Claim) -> bool:
        """Store the unwritten record, unless a record of the same or a higher generation is stored already.

        :return: whether there was an unwritten record
        :raises TokenStoreError: if it cannot be stored
        """
        record = self.unwritten(claim.record)
        if record is None:
            return False
        self.write_renewed(replace(record, nonce=claim.nonce), claim)
        return True

    def write_renewed(self, record: Record, claim: Claim) -> None:
        """Store a record with a new token. A failed write is repeated if a refresh token would be lost otherwise.

        :raises Overtaken: if this process was suspended; nothing was written
        :raises TokenStoreError: if the record cannot be stored, and a refresh token would be lost
        """
        loses_refresh_token = self._config.requires_refresh_token
        if loses_refresh_token:
            self._unwritten = record  # until it is stored, this process requests no other token
        try:
            write_with_retry(self._store, self._clock, record, claim, retry=loses_refresh_token)
        except TokenStoreError as error:
            if not loses_refresh_token:
                log.warning("%s This process uses the new token, but other tasks request their own.", error)
                return
            log.error(
                "%s Only this process has the renewed refresh token. If it ends before it has stored this token, a "
                "user must authorize the connection again, or enter a new refresh token.",
                error,
            )
            raise
        self._unwritten = None

    def write_empty(self, record: Record, claim: Claim) -> None:
        """Store a record without tokens. It also replaces the unwritten record.

        :raises Overtaken: if this process was suspended; nothing was written
        :raises TokenStoreError: if the record cannot be stored
        :raises RecordLocked: if this process has no private key to encrypt it with
        """
        try:
            write_with_retry(self._store, self._clock, record, claim)
        except RecordLocked:  # nothing was written
            self.end(claim)
            raise
        self._unwritten = None

    def end_after(self, error: BaseException, claim: Claim) -> None:
        """End a claim after a failed token request, and store whether the server has refused the credentials.

        :param error: why the request failed
        :param claim: the claim
        """
        before = claim.record.refused if claim.record else None
        if isinstance(error, OAuthError):
            self._end(claim, refusal_after(error, before, self._clock.now()))
        else:
            self._end(claim, before)

    def end(self, claim: Claim) -> None:
        """End a claim under which nothing was stored, so that the next process need not wait."""
        self._end(claim, claim.record.refused if claim.record else None)

    @contextmanager
    def ended_on_error(self, claim: Claim) -> Iterator[None]:
        """End the claim after any exception in a step that writes nothing and requests no token."""
        try:
            yield
        except BaseException:
            self.end(claim)
            raise

    def _end(self, claim: Claim, refused: Refusal | None) -> None:
        """Write the claim's nonce and ``refused`` to the record; everything else in the record stays.

        If this fails, or if this process was delayed, other processes wait until the claim has expired.
        """
        with suppress(TokenStoreError):
            started = self._clock.monotonic()
            is_unchanged = self._lease.is_unchanged(claim.record)
            now = self._clock.monotonic()
            # If this process was delayed, it could overwrite what another process has stored in the meantime.
            if is_unchanged and now - started <= WAIT / 8 and claim.covers_storing(now):
                self._store.write(after_failure(claim, refused))
