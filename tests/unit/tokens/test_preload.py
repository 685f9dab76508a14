"""A task reads the stored token in a thread while it imports the modules of the hook."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from tests.unit.tokens.world import World


def test_a_stored_token_is_read_once(world: World) -> None:
    world.process().token()
    source, reads = world.process(), world.store.reads
    source.preload()
    assert source.token().access_token == "token-1"
    assert world.store.reads == reads + 1
    assert world.endpoint.requests == [("grant", None)]


def test_a_token_in_memory_is_not_read_again(world: World) -> None:
    source = world.process()
    source.token()
    reads = world.store.reads
    source.preload()
    assert source.token().access_token == "token-1"
    assert world.store.reads == reads


def test_token_waits_until_the_stored_token_was_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.process().token()
    source, read = world.process(), world.store.read
    waiting = threading.Event()

    class Lock:
        """Sets ``waiting`` before a thread waits for the lock."""

        def __init__(self) -> None:
            self.lock = threading.Lock()
            self.release = self.lock.release

        def acquire(self, blocking: bool = True) -> bool:
            if blocking:
                waiting.set()
            return self.lock.acquire(blocking)

    monkeypatch.setattr(source, "_thread_lock", Lock())
    monkeypatch.setattr(world.store, "read", lambda: read() if waiting.wait(10) else None)
    source.preload()
    assert source.token().access_token == "token-1"
    assert world.endpoint.requests == [("grant", None)]


def test_without_a_stored_token_a_token_is_requested_once(world: World) -> None:
    source = world.process()
    source.preload()
    assert source.token().access_token == "token-1"
    assert world.endpoint.requests == [("grant", None)]


def test_a_stored_token_that_is_due_is_renewed(world: World) -> None:
    world.process().token()
    source = world.process()
    world.clock.seconds = 800
    source.preload()
    assert source.token().access_token == "token-2"


def test_a_failed_read_is_repeated_by_token(world: World) -> None:
    world.process().token()
    source = world.process()
    world.store.failing_reads = 1
    source.preload()
    assert source.token().access_token == "token-1"


def test_token_raises_the_error_about_the_scope(rotating: World) -> None:
    source = rotating.process()
    source.preload("other")
    with pytest.raises(ConfigurationError, match="scope 'other'"):
        source.token("other")


def test_if_no_thread_can_be_started_token_reads_the_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.process().token()
    source = world.process()

    def fail(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    source.preload()
    assert source.token().access_token == "token-1"
