"""Storing a record that must not be lost, on registers that may fail, or be late, or seem to be either."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_oauth.exceptions import TokenStoreError
from airflow_provider_oauth.oauth.lease import WAIT

if TYPE_CHECKING:
    from airflow_provider_oauth.oauth.clock import Clock
    from airflow_provider_oauth.oauth.store import Record, TokenStore

log = logging.getLogger(__name__)

#: Seconds between attempts to store.
STORING_INTERVAL = 0.9


def insist(store: TokenStore, clock: Clock, record: Record, until: float) -> None:
    """Write the record, again and again, unless it or a newer one is stored after all.

    :param store: where it is kept
    :param clock: time
    :param record: with its generation
    :param until: when somebody else may renew, on the monotonic clock
    :raises TokenStoreError: if it cannot be stored until then
    """
    while True:
        try:
            return store.write(record)
        except TokenStoreError as error:
            trouble = error
        log.warning("Trying again. %s", trouble)
        generation = _generation(store, clock, until)
        if generation is None:
            raise trouble
        if generation >= record.generation:
            return None


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
