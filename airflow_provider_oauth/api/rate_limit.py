"""Limits the rate of requests, and repeats requests after 429."""

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

#: Maximum wait after the first 429 without ``Retry-After``, and after a later one, in seconds.
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
    """Delays requests while the budget is used up, and repeats them after 429 (Too Many Requests).

    :param budget: what this process may spend; None for unlimited. It limits every period of this length, so it does
        not matter when the API's period starts.
    :param rate_limit_timeout: seconds for which a request is repeated after 429 (RFC 6585 section 4)
    :param clock: the clocks; tests replace them
    """

    def __init__(self, budget: Budget | None, rate_limit_timeout: float, clock: Clock | None = None) -> None:
        self._budget = budget
        self._timeout = rate_limit_timeout
        self._clock = clock or Clock()
        self._spent: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()

    def send(self, request: requests.PreparedRequest, send: Callable[[], requests.Response]) -> requests.Response:
        """Send a request as soon as the budget allows it. Repeat it after 429, until ``rate_limit_timeout`` has passed.

        :param request: the request; it is only repeated if its body can be sent again
        :param send: sends it
        :return: the response; one with status 429 if the next attempt would be after the timeout
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
            # With a Retry-After of 0, or in the past, requests would otherwise follow each other without a pause.
            wait = requested or random.uniform(pause / 2, pause)  # noqa: S311 - spreads load
            if self._clock.monotonic() - started_at + wait > self._timeout:
                return response
            response.close()
            log.info("The API responded with 429 (Too Many Requests). Repeating the request in %.0f s.", wait)
            self._clock.sleep(wait)
            pause = min(2 * pause, MAX_PAUSE)

    def _spend(self, method: str | None) -> None:
        """Wait until the budget has the credits that a request costs, and spend them."""
        if self._budget is None:
            return
        cost = self._budget.cost(method)
        with self._lock:
            while (wait := self._seconds_until_free(self._budget, cost)) > 0:
                log.info("The budget of %d credits is used up. Waiting %.0f s.", self._budget.credits, wait)
                self._clock.sleep(wait)
            self._spent.append((self._clock.monotonic(), cost))

    def _seconds_until_free(self, budget: Budget, cost: int) -> float:
        """Return the seconds until ``cost`` credits are free; 0 if nothing is spent, even if ``cost`` is too high."""
        now = self._clock.monotonic()
        while self._spent and self._spent[0][0] + budget.seconds <= now:
            self._spent.popleft()
        if not self._spent or sum(spent for _, spent in self._spent) + cost <= budget.credits:
            return 0.0
        return self._spent[0][0] + budget.seconds - now
