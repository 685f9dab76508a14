"""Limits the rate of requests, and repeats requests after status 429 (Too Many Requests)."""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.retry_after import retry_after

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

log = logging.getLogger(__name__)

#: Maximum wait in seconds, if the API sends no ``Retry-After``: before the first repetition, and before later ones.
FIRST_PAUSE, MAX_PAUSE = 1.0, 60.0


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The credits that an API allows in a period.

    :param credits: number of credits
    :param seconds: length of the period, in seconds
    :param read: credits that a GET, HEAD or OPTIONS request costs
    :param write: credits that any other request costs
    """

    credits: int
    seconds: float
    read: int = 1
    write: int = 1

    def cost(self, method: str | None) -> int:
        """Return the credits that a request costs.

        :param method: the HTTP method
        """
        return self.read if method in ("GET", "HEAD", "OPTIONS") else self.write


class RateLimiter:
    """Delays requests while the budget is used up, and repeats them after status 429 (Too Many Requests).

    :param budget: the credits that requests through this limiter may spend; None for unlimited. The limit applies to
        any interval of ``budget.seconds``, so it does not matter when the API's own period starts
    :param rate_limit_timeout: how long to repeat a request that gets status 429 (RFC 6585 section 4), in seconds
    :param clock: measures time and sleeps; tests replace it
    """

    def __init__(self, budget: Budget | None, rate_limit_timeout: float, clock: Clock | None = None) -> None:
        self._budget = budget
        self._timeout = rate_limit_timeout
        self._clock = clock or Clock()
        self._spent: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()

    def send(self, request: requests.PreparedRequest, send: Callable[[], requests.Response]) -> requests.Response:
        """Send a request as soon as the budget allows it. Repeat it after status 429 until ``rate_limit_timeout`` ends.

        :param request: the request; it is repeated only if its body can be sent again
        :param send: a function that sends the request once
        :return: the response. Its status is 429 if the request cannot be repeated, or not before the timeout ends
        """
        started_at, pause = None, FIRST_PAUSE
        while True:
            self._spend(request.method)
            if started_at is None:  # the timeout does not include the first wait for the budget
                started_at = self._clock.monotonic()
            response = send()
            if response.status_code != 429 or not isinstance(request.body, (str, bytes, type(None))):
                return response
            requested = retry_after(response.headers.get("Retry-After", ""), self._clock.now())
            # A Retry-After of 0 or in the past is ignored, because the request would be repeated without a pause.
            wait = requested or random.uniform(pause / 2, pause)  # noqa: S311 - spreads load
            if self._clock.monotonic() - started_at + wait > self._timeout:
                return response
            response.close()
            log.info("The API responded with status 429. Repeating the request in %.0f s.", wait)
            self._clock.sleep(wait)
            pause = min(2 * pause, MAX_PAUSE)

    def _spend(self, method: str | None) -> None:
        """Wait until the credits that a request costs are free, and spend them."""
        if self._budget is None:
            return
        cost = self._budget.cost(method)
        with self._lock:
            while (wait := self._seconds_until_free(self._budget, cost)) > 0:
                text = "Too few of the %d credits for %.0f s are left. Waiting %.0f s."
                log.info(text, self._budget.credits, self._budget.seconds, wait)
                self._clock.sleep(wait)
            self._spent.append((self._clock.monotonic(), cost))

    def _seconds_until_free(self, budget: Budget, cost: int) -> float:
        """Return the seconds until more credits are free; 0 if a request that costs ``cost`` may be sent now.

        A request that costs more than the whole budget may be sent when no credits are spent.
        """
        now = self._clock.monotonic()
        while self._spent and self._spent[0][0] + budget.seconds <= now:
            self._spent.popleft()
        if not self._spent or sum(spent for _, spent in self._spent) + cost <= budget.credits:
            return 0.0
        return self._spent[0][0] + budget.seconds - now
