"""One user's requests that wait for a server do not delay those of another user."""

from __future__ import annotations

import asyncio
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

import anyio
import pytest
from fastapi import HTTPException

from airflow_provider_oauth.ui import threads
from airflow_provider_oauth.ui.threads import run_for_user

if TYPE_CHECKING:
    from collections.abc import Coroutine

#: Seconds after which a request counts as delayed.
MAX_DELAY = 5.0
REQUESTS = 40


class SlowServer:
    """A server that responds when the test allows it."""

    def __init__(self) -> None:
        self.may_respond = threading.Event()
        self.waiting = threading.Semaphore(0)

    def send_request(self) -> str:
        self.waiting.release()
        assert self.may_respond.wait(60)
        return "response"

    async def until_waiting(self, requests: int) -> None:
        for _ in range(requests):
            assert await asyncio.to_thread(self.waiting.acquire, timeout=MAX_DELAY)


async def status_of(request: Coroutine[None, None, str]) -> int:
    try:
        await request
    except HTTPException as error:
        return error.status_code
    return 200


def test_forty_slow_requests_of_one_user_do_not_delay_another_user() -> None:
    async def run() -> list[int]:
        server = SlowServer()
        try:
            slow = [asyncio.create_task(status_of(run_for_user("ann", server.send_request))) for _ in range(REQUESTS)]
            await server.until_waiting(threads.THREADS_PER_USER)
            assert await asyncio.wait_for(run_for_user("bob", lambda: "fast"), MAX_DELAY) == "fast"
        finally:
            server.may_respond.set()
        return await asyncio.gather(*slow)

    found = asyncio.run(run())
    assert found.count(200) == threads.THREADS_PER_USER
    assert found.count(429) == REQUESTS - threads.THREADS_PER_USER


def test_a_request_over_the_limit_is_not_started_and_the_error_explains_what_to_do() -> None:
    async def run() -> None:
        server, started = SlowServer(), []
        slow = [asyncio.create_task(run_for_user("ann", server.send_request)) for _ in range(threads.THREADS_PER_USER)]
        await server.until_waiting(len(slow))
        with pytest.raises(HTTPException, match="4 of your requests are still waiting") as caught:
            await run_for_user("ann", started.append, 1)
        server.may_respond.set()
        await asyncio.gather(*slow)
        assert (caught.value.status_code, started) == (429, [])
        assert caught.value.detail.endswith("Wait until one of them has finished, then try again.")

    asyncio.run(run())


@pytest.mark.parametrize("error", [None, ValueError("broken")])
def test_a_finished_request_makes_room_for_another(error: Exception | None) -> None:
    def work() -> None:
        if error:
            raise error

    async def run() -> None:
        for _ in range(threads.THREADS_PER_USER + 1):
            with pytest.raises(ValueError, match="broken") if error else nullcontext():
                await run_for_user("ann", work)
        assert not threads._requests_of

    asyncio.run(run())


def test_the_api_servers_own_threads_are_not_used() -> None:
    async def limits() -> tuple[float, float]:
        return threads._threads().total_tokens, anyio.to_thread.current_default_thread_limiter().total_tokens

    ours, all_others = asyncio.run(limits())
    assert threads.THREADS_PER_USER < ours == threads.THREADS < all_others
