"""Logs the progress of an extract."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.clock import Clock

log = logging.getLogger(__name__)

#: Seconds between two lines in the log.
INTERVAL = 10.0


class ProgressLog:
    """Logs the progress of an extract after a page, at most every 10 seconds.

    :param conn_id: the connection ID, for the log
    :param clock: the clock
    """

    def __init__(self, conn_id: str, clock: Clock) -> None:
        self._conn_id = conn_id
        self._clock = clock
        self._started = self._logged = clock.monotonic()

    def report(self, *, pages: int, rows: int, size: int, waited: float = 0, total: int | None = None) -> None:
        """Log a line if the last one was logged 10 seconds ago.

        :param pages: number of pages that were read
        :param rows: number of rows that were read
        :param size: number of bytes of these rows, before compression
        :param waited: seconds for which requests waited for limits of the API and before retries
        :param total: number of rows that will be read; None if it is unknown
        """
        now = self._clock.monotonic()
        if now - self._logged < INTERVAL:
            return
        self._logged = now
        rate = rows / (now - self._started)
        parts = [f"{pages} pages", f"{rows} rows", f"{size / 1e6:.1f} MB", f"{rate:.{0 if rate >= 10 else 1}f} rows/s"]
        if total is not None and total > rows:
            remaining = f", about {(total - rows) / rate:.0f} s" if rows else ""
            parts.append(f"{total - rows} of {total} rows remain{remaining}")
        if waited:
            parts.append(f"waited {waited:.0f} s for the API")
        log.info("Connection %r: %s.", self._conn_id, ", ".join(parts))
