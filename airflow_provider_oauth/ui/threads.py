"""Threads for requests that wait for other servers, with a limit per user."""

from __future__ import annotations

from collections import Counter
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar

import anyio
from fastapi import HTTPException

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

#: Maximum number of requests that wait for other servers at a time, in each process of the API server.
THREADS = 16
#: Maximum number of these requests per user.
THREADS_PER_USER = 4

TOO_MANY_REQUESTS = (
    f"{THREADS_PER_USER} of your requests are still waiting for a server, which is the limit for one user. This "
    f"request was not started. Wait until one of them has finished, then try again."
)

_requests_of: Counter[str] = Counter()


async def run_for_user(user_id: str, function: Callable[..., Result], *args: object) -> Result:
    """Run a function that may wait for another server, in a thread outside the API server's own pool.

    The API server's own threads are not used, because they also handle the heartbeats of tasks. One user can occupy at
    most ``THREADS_PER_USER`` of the threads here, so a user whose servers do not respond does not block other users.

    :param user_id: ID of the Airflow user
    :param function: the function to run, with its arguments
    :raises HTTPException: 429 if ``THREADS_PER_USER`` requests of this user are running; the function is not called
    """
    if _requests_of[user_id] >= THREADS_PER_USER:
        raise HTTPException(429, TOO_MANY_REQUESTS)
    _requests_of[user_id] += 1
    try:
        return await anyio.to_thread.run_sync(partial(function, *args), limiter=_threads())
    finally:
        _requests_of[user_id] -= 1
        if not _requests_of[user_id]:
            del _requests_of[user_id]


@cache
def _threads() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(THREADS)
