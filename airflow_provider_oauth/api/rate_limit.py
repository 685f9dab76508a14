"""How fast an API may be called: a budget that is kept to, and a 429 that is waited out."""

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

#: Seconds to wait after a first 429 that does not say how long, and the most after a later one.
FIRST_PAUSE, MAX_PAUSE = 1.0, 60.0


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What an API allows: so many credits in a time.

    :param credits: how many
    :param seconds: the time
    :param read: credits that a GET costs
    :param write: credits that any other request costs
    """

    credits: int
    seconds: float
    read: int = 1
    write: int = 1

    def cost(self, method: str | None) -> int:
        """Return what a request costs."""
        return self.read if method in ("GET", "HEAD", "OPTIONS") else self.write


class RateLimiter:
    """Holds requests back where an API's budget is spent, and sends them again where the API says so.

    :param budget: what this process may spend; None for no end of it. Kept to over any such time, and so within the
        API's, whenever that begins
    :param rate_limit_timeout: seconds for which a request is repeated after 429 (Too Many Requests, RFC 6585 section 4)
    :param clock: time, for tests
    """

    def __init__(self, budget: Budget | None, rate_limit_timeout: float, clock: Clock | None = None) -> None:
        self._budget = budget
        self._patience = rate_limit_timeout
        self._clock = clock or Clock()
        self._spent: deque[tuple[float, int]] = deque()
        self._one_thread = threading.Lock()

    def send(self, request: requests.PreparedRequest, send: Callable[[], requests.Response]) -> requests.Response:
        """Send a request when it may be sent; again, as long as patience lasts, if it is answered 429.

        :param request: what is sent
        :param send: sends it
        """
        begun, pause = None, FIRST_PAUSE
        while True:
            self._spend(request.method)
            begun = self._clock.monotonic() if begun is None else begun  # waiting for the budget costs no patience
            response = send()
            if response.status_code != 429 or not isinstance(request.body, (str, bytes, type(None))):
                return response
            told = retry_after(response.headers.get("Retry-After", ""), self._clock.now())
            # One that says 0, or a time gone by, and 429 again, would be asked as fast as the network can.
            wait = told or random.uniform(pause / 2, pause)  # noqa: S311 - spreads load
            if self._clock.monotonic() - begun + wait > self._patience:
                return response
            response.close()
            log.info("The API says 429 (Too Many Requests); sending the request again in %.0f s.", wait)
            self._clock.sleep(wait)
            pause = min(2 * pause, MAX_PAUSE)

    def _spend(self, method: str | None) -> None:
        """Wait until the budget has what a request costs, and take it."""
        if self._budget is None:
            return
        cost = self._budget.cost(method)
        with self._one_thread:
            while (wait := self._wait(self._budget, cost)) > 0:
                log.info("The budget of %d credits is spent; going on in %.0f s.", self._budget.credits, wait)
                self._clock.sleep(wait)
            self._spent.append((self._clock.monotonic(), cost))

    def _wait(self, budget: Budget, cost: int) -> float:
        """Return the seconds until so many credits are free; none if nothing is spent, however small the budget."""
        now = self._clock.monotonic()
        while self._spent and self._spent[0][0] + budget.seconds <= now:
            self._spent.popleft()
        if not self._spent or sum(spent for _, spent in self._spent) + cost <= budget.credits:
            return 0.0
        return self._spent[0][0] + budget.seconds - now
