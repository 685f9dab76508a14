"""Limits the rate of requests to what the API allows in a period."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass

from airflow_provider_oauth.protocol.clock import Clock

log = logging.getLogger(__name__)

#: The limiters of ``shared_limiter``, by connection and budget.
_limiters: dict[tuple[str, Budget | None], RateLimiter] = {}


class Stopped(Exception):  # noqa: N818 - it is not an error
    """The response to the request is no longer needed."""


def pause(clock: Clock, seconds: float, stop: threading.Event | None) -> None:
    """Sleep before a request.

    :param clock: the clock
    :param seconds: how long
    :param stop: ends the sleep when it is set; None if nothing ends it
    :raises Stopped: if ``stop`` is set
    """
    clock.sleep(seconds, stop)
    if stop is not None and stop.is_set():
        raise Stopped


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
    """Delays requests while the budget is used up, or while one of them waits for a limit of the API.

    :param budget: the credits that requests through this limiter may spend; None for unlimited. The limit applies to
        any interval of ``budget.seconds``, so it does not matter when the API's own period starts
    :param clock: measures time and sleeps; tests replace it
    """

    def __init__(self, budget: Budget | None, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self._budget = budget
        self._spent: deque[tuple[float, int]] = deque()
        self._held_until = 0.0
        self._logged_until = -1.0
        self._lock = threading.Lock()

    def spend(self, method: str | None, stop: threading.Event | None = None) -> bool:
        """Wait until the credits that a request costs are free, and spend them.

        :param method: the HTTP method of the request
        :param stop: ends the wait when it is set; None if nothing ends it
        :return: whether the request waited because the budget was used up
        :raises Stopped: if ``stop`` is set
        """
        waited_for_budget = False
        with self._lock:
            while (wait := self._try_spend(method)) > 0:
                waited_for_budget = waited_for_budget or not self.is_held
                pause(self.clock, wait, stop)
        return waited_for_budget

    def try_spend(self, method: str | None) -> float:
        """Spend the credits that a request costs, if they are free.

        :param method: the HTTP method of the request
        :return: 0 if they were spent, otherwise the seconds after which to try again
        """
        with self._lock:
            return self._try_spend(method)

    @property
    def is_held(self) -> bool:
        """Whether requests wait because the API requires it, not because the budget is used up."""
        return self._held_until > 0

    def hold(self, seconds: float) -> None:
        """Delay all requests, because the API requires a wait.

        :param seconds: how long, from now on
        """
        self._held_until = max(self._held_until, self.clock.monotonic() + seconds)

    def _try_spend(self, method: str | None) -> float:
        if self._held_until:
            if (wait := self._held_until - self.clock.monotonic()) > 0:
                return wait
            self._held_until = 0.0
        if self._budget is None:
            return 0.0
        cost = self._budget.cost(method)
        if (wait := self._seconds_until_free(self._budget, cost)) > 0:
            if self._spent[0][0] > self._logged_until:  # not for each request that waits at the same time
                self._logged_until = self._spent[0][0]
                text = (
                    "The budget has %d credits for each %.0f s, and too few are left for this request. Waiting %.0f s."
                )
                log.info(text, self._budget.credits, self._budget.seconds, wait)
            return wait
        self._spent.append((self.clock.monotonic(), cost))
        return 0.0

    def _seconds_until_free(self, budget: Budget, cost: int) -> float:
        """Return the seconds until more credits are free; 0 if a request that costs ``cost`` may be sent now.

        A request that costs more than the whole budget may be sent when no credits are spent.
        """
        now = self.clock.monotonic()
        while self._spent and self._spent[0][0] + budget.seconds <= now:
            self._spent.popleft()
        if not self._spent or sum(spent for _, spent in self._spent) + cost <= budget.credits:
            return 0.0
        return self._spent[0][0] + budget.seconds - now


def shared_limiter(conn_id: str, budget: Budget | None) -> RateLimiter:
    """Return the limiter for a connection, which all deferred requests of this process share.

    :param conn_id: the connection ID
    :param budget: the budget of the API
    """
    return _limiters.setdefault((conn_id, budget), RateLimiter(budget))
