"""Writes a record that must not be lost. Writes to the store may fail, or take effect late."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_oauth.exceptions import Overtaken, RecordLocked, TokenStoreError
from airflow_provider_oauth.tokens.lease import WAIT

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.clock import Clock
    from airflow_provider_oauth.tokens.lease import Claim
    from airflow_provider_oauth.tokens.record import Record, TokenStore

log = logging.getLogger(__name__)

#: Seconds between attempts to write.
WRITE_INTERVAL = 0.9


def write_with_retry(store: TokenStore, clock: Clock, record: Record, claim: Claim, *, retry: bool = True) -> None:
    """Write a record under a claim. After an error, write it again, unless this record or a newer one is stored.

    :param store: stores the record
    :param clock: the clocks
    :param record: the record
    :param claim: the claim under which it is written; the last attempt is made before it ends
    :param retry: whether to write again after an error
    :raises Overtaken: if too little time of the claim is left, because this process was suspended; nothing was written
    :raises TokenStoreError: if the record could not be written
    """
    require_time_to_store(store, clock, claim)
    while True:
        try:
            return store.write(record)
        except TokenStoreError as error:
            # A record without tokens is not worth waiting until the file with the private key is there again.
            if not retry or (isinstance(error, RecordLocked) and not (record.tokens or record.refresh_token)):
                raise
            last_error = error
        log.warning("%s Trying to store the tokens again.", last_error)
        generation = _stored_generation(store, clock, claim.ends)
        if generation is None:
            raise last_error
        if generation >= record.generation:
            return None


def require_time_to_store(store: TokenStore, clock: Clock, claim: Claim) -> None:
    """Raise an error if too little time of the claim is left to store a record under it.

    :param store: stores the record
    :param clock: the clocks
    :param claim: the claim
    :raises Overtaken: if too little time is left, because this process was suspended
    """
    if not claim.covers_storing(clock.monotonic()):
        raise Overtaken(
            f"Connection {store.conn_id!r}: {store.name} was not written, because this process was suspended or too "
            f"slow. Another process may be renewing the token now. Try again."
        )


def _stored_generation(store: TokenStore, clock: Clock, until: float) -> int | None:
    """Return the stored generation, 0 if there is no record; None if it could not be read in time.

    :param until: when to give up, on this process's monotonic clock
    """
    while clock.monotonic() + WRITE_INTERVAL <= until:
        clock.sleep(WRITE_INTERVAL)
        started = clock.monotonic()
        with suppress(TokenStoreError):
            stored = store.read()
            is_known = stored is not None or not store.is_listed()
            if is_known and clock.monotonic() - started <= WAIT / 2:
                return stored.generation if stored else 0
    return None
