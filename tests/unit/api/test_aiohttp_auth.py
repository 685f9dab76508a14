"""Requests of aiohttp: the threads in which an event loop waits for tokens, and the transport options."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.api.aiohttp_auth import (
    aiohttp_options,
    replacement_token,
    translated_options,
    valid_token,
)
from airflow_provider_oauth.api.policy import ApiAccess, ApiRefusal
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.protocol.token import Token
from tests.connections import oauth_config

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_oauth.protocol.config import OAuthConfig

#: Gets a token.
Get = Callable[[], Coroutine[Any, Any, Token | None]]
START = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = (Token(access_token=name, issued_at=START, expires_at=START + timedelta(hours=1)) for name in ("old", "new"))


class SlowSource:
    """A token source that blocks until ``finish`` is set."""

    config = oauth_config()

    def __init__(self, usable: Token | None = None) -> None:
        self._usable = usable
        self.started, self.finish = threading.Event(), threading.Event()
        self.calls: list[object] = []

    def fresh(self, scope: str | None = None) -> Token | None:
        return None

    def usable(self, scope: str | None = None) -> Token | None:
        return self._usable

    def token(self, scope: str | None = None) -> Token:
        return self._slow("token")

    def replacement(self, refused: Token, scope: str | None = None, *, renew: bool) -> Token:
        return self._slow(("replacement", refused.access_token, renew))

    def _slow(self, call: object) -> Token:
        self.calls.append(call)
        self.started.set()
        assert self.finish.wait(30)
        return NEW


def while_one_waits(source: SlowSource, first: Get, second: Get) -> tuple[bool, Token | None, Token | None]:
    """Start ``first``, then ``second`` while the source is blocked. Return whether it waited, and both results."""

    async def scenario() -> tuple[bool, Token | None, Token | None]:
        waiting = asyncio.ensure_future(first())
        await asyncio.to_thread(source.started.wait, 30)
        other = asyncio.ensure_future(second())
        for _ in range(10):
            await asyncio.sleep(0)  # let it run as far as it can
        finished = other.done()
        source.finish.set()
        return finished, await waiting, await other

    return asyncio.run(scenario())


def test_while_one_thread_renews_a_due_token_other_callers_use_it_without_waiting() -> None:
    source = SlowSource(usable=OLD)
    access = ApiAccess(source)
    get = partial(valid_token, access)
    assert while_one_waits(source, get, get) == (True, NEW, OLD)
    assert source.calls == ["token"]


def test_without_a_usable_token_all_callers_wait_for_the_same_thread() -> None:
    source = SlowSource()
    access = ApiAccess(source)
    get = partial(valid_token, access)
    assert while_one_waits(source, get, get) == (False, NEW, NEW)
    assert source.calls == ["token"]


def test_a_refused_token_is_not_used_while_it_is_replaced() -> None:
    source = SlowSource(usable=OLD)
    access = ApiAccess(source)
    get = partial(replacement_token, access, OLD, ApiRefusal.INVALID_TOKEN)
    assert while_one_waits(source, get, get) == (False, NEW, NEW)
    assert source.calls == [("replacement", "old", True)]


def test_callers_share_a_thread_only_if_their_refusals_are_the_same() -> None:
    source = SlowSource()
    access = ApiAccess(source)
    first = partial(replacement_token, access, OLD, ApiRefusal.FORBIDDEN)
    second = partial(replacement_token, access, OLD, ApiRefusal.INVALID_TOKEN)
    assert while_one_waits(source, first, second) == (False, NEW, NEW)
    assert sorted(source.calls) == [("replacement", "old", False), ("replacement", "old", True)]


def test_over_plain_http_a_folder_without_ca_certificates_is_ignored(tmp_path: Path) -> None:
    transport = TransportOptions(verify=str(tmp_path))
    config = oauth_config(transport=transport)
    assert asyncio.run(aiohttp_options(config, transport, "http://localhost:1/v1"))["ssl"] is True
    with pytest.raises(ConfigurationError, match="verify is not a file or folder of CA certificates"):
        asyncio.run(aiohttp_options(config, transport, "https://localhost:1/v1"))


def test_files_are_read_and_keys_decrypted_while_the_event_loop_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    loop_ran, contexts = threading.Event(), []

    def slow_context(config: OAuthConfig, verify: bool | str, cert: str) -> str:
        assert loop_ran.wait(30)
        contexts.append((verify, cert))
        return f"context with {cert}"

    monkeypatch.setattr("airflow_provider_oauth.api.aiohttp_auth.tls_context", slow_context)
    transport = TransportOptions(cert="own")
    config = oauth_config(transport=transport)

    async def scenario() -> list[Any]:
        waiting = [
            asyncio.ensure_future(aiohttp_options(config, transport, "https://localhost:1/v1")),
            asyncio.ensure_future(translated_options({"cert": "other"}, config, "https://localhost:1/v1")),
        ]
        await asyncio.sleep(0)
        loop_ran.set()
        return [(await each)["ssl"] for each in waiting]

    assert asyncio.run(scenario()) == ["context with own", "context with other"]
    assert sorted(contexts) == [(True, "other"), (True, "own")]


def test_options_of_a_request_that_do_not_concern_tls_keep_the_context_of_the_connection() -> None:
    config = oauth_config(transport=TransportOptions(cert="/fake/absent.pem"))
    options = asyncio.run(translated_options({"timeout": 5, "trace": 1}, config, "https://localhost:1/v1"))
    assert "ssl" not in options
    assert (options["timeout"].total, options["trace"]) == (5, 1)
