"""The tokens in the memory of a process, on both sides of each limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.token_cache import TokenCache
from tests.fake_clock import START, FakeClock

LIFETIME = 1000
LEEWAY = 60
TOKEN = Token(access_token="fake-1", issued_at=START, expires_at=START + timedelta(seconds=LIFETIME))
LONGER = replace(TOKEN, access_token="fake-2", expires_at=START + timedelta(seconds=2 * LIFETIME))
FOREVER = replace(TOKEN, access_token="fake-3", expires_at=None)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def masked() -> list[tuple[str, datetime | None]]:
    return []


@pytest.fixture
def cache(clock: FakeClock, masked: list[tuple[str, datetime | None]]) -> TokenCache:
    cache = TokenCache(clock, LEEWAY, lambda secret, until: masked.append((secret, until)))
    cache._jitter = 0.0
    return cache


@pytest.mark.parametrize(
    ("seconds", "fresh", "usable"),
    [(0, True, True), (749, True, True), (750, False, True), (939, False, True), (940, False, False)],
)
def test_a_token_is_fresh_until_it_is_due_and_usable_until_the_leeway(
    cache: TokenCache, clock: FakeClock, seconds: int, fresh: bool, usable: bool
) -> None:
    cache.put("", TOKEN)
    clock.seconds = seconds
    assert cache.fresh("") == (TOKEN if fresh else None)
    assert cache.usable("") == (TOKEN if usable else None)


def test_a_token_that_never_expires_is_always_fresh(cache: TokenCache, clock: FakeClock) -> None:
    cache.put("", FOREVER)
    clock.seconds = 1e9
    assert cache.fresh("") == cache.usable("") == FOREVER


def test_each_scope_has_its_own_token(cache: TokenCache) -> None:
    cache.put("read", TOKEN)
    assert cache.fresh("") is None
    assert cache.fresh("read") == TOKEN


def test_a_rejected_token_is_not_returned(cache: TokenCache) -> None:
    cache.put("", TOKEN)
    assert cache.fresh("", TOKEN) is cache.usable("", TOKEN) is cache.best("", TOKEN, TOKEN) is None
    assert cache.best("", TOKEN, LONGER) == LONGER


@pytest.mark.parametrize(
    ("held", "stored", "best"),
    [
        (TOKEN, LONGER, LONGER),
        (LONGER, TOKEN, LONGER),
        (LONGER, FOREVER, FOREVER),
        (None, TOKEN, TOKEN),
        (TOKEN, None, TOKEN),
    ],
)
def test_the_best_token_expires_last_and_is_masked_and_put_in_memory(
    cache: TokenCache,
    masked: list[tuple[str, datetime | None]],
    held: Token | None,
    stored: Token | None,
    best: Token,
) -> None:
    if held:
        cache.put("", held)
    assert cache.best("", None, stored) == cache.get("") == best
    assert masked == [(best.access_token, best.expires_at)]


def test_an_expired_token_is_never_the_best(cache: TokenCache, clock: FakeClock) -> None:
    cache.put("", TOKEN)
    clock.seconds = LIFETIME
    assert cache.best("", None, TOKEN) is None


def test_tokens_can_be_removed_from_memory(cache: TokenCache) -> None:
    cache.put("", TOKEN)
    cache.put("read", TOKEN)
    cache.discard("")
    assert (cache.get(""), cache.get("read")) == (None, TOKEN)
    cache.clear()
    assert cache.get("read") is None
