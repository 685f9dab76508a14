"""Storing a record that must not be lost, on registers that may fail, or be late, or seem to be either."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_oauth.exceptions import Overtaken, TokenStoreError
from airflow_provider_oauth.tokens.lease import WAIT

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.clock import Clock
    from airflow_provider_oauth.tokens.lease import Claim
    from airflow_provider_oauth.tokens.record import Record, TokenStore

log = logging.getLogger(__name__)

#: Seconds between attempts to store.
STORING_INTERVAL = 0.9


def write_with_retry(store: TokenStore, clock: Clock, record: Record, claim: Claim, *, retry: bool = True) -> None:
    """Write the record under a claim, and write it again after an error, unless it or a newer one is stored after all.

    :param store: where it is kept
    :param clock: time
    :param record: with its generation
    :param claim: the right to write it; the last attempt is made before it ends
    :param retry: whether to write again after an error
    :raises Overtaken: if this process was suspended until too little of the claim was left; nothing was written
    :raises TokenStoreError: if the record cannot be stored
    """
    require_time_to_store(store, clock, claim)
    while True:
        try:
            return store.write(record)
        except TokenStoreError as error:
            if not retry:
                raise
            trouble = error
        log.warning("Trying again. %s", trouble)
        generation = _generation(store, clock, claim.ends)
        if generation is None:
            raise trouble
        if generation >= record.generation:
            return None


def require_time_to_store(store: TokenStore, clock: Clock, claim: Claim) -> None:
    """Return if enough time is left to store a record under the claim.

    :param store: where it is kept
    :param clock: time
    :param claim: the right to write it
    :raises Overtaken: if this process was suspended until too little of the claim was left
    """
    if not claim.covers_storing(clock.monotonic()):
        raise Overtaken(
            f"{store.name} was not written, because this process was suspended for so long that another one may be "
            f"renewing the token."
        )


def _generation(store: TokenStore, clock: Clock, until: float) -> int | None:
    """Return which generation is stored, 0 for none, as soon as that can be told; None if not by then."""
    while clock.monotonic() + STORING_INTERVAL <= until:
        clock.sleep(STORING_INTERVAL)
        looked = clock.monotonic()
        with suppress(TokenStoreError):
            stored = store.read()
            is_known = stored is not None or not store.is_listed()
            if is_known and clock.monotonic() - looked <= WAIT / 2:
                return stored.generation if stored else 0
    return None
