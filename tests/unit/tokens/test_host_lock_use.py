"""When a process takes and releases the host lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import InvalidClient, OAuthError, TokenRequestError
from airflow_provider_oauth.protocol.token import Token
from tests.fake_clock import START

if TYPE_CHECKING:
    from tests.unit.tokens.world import World

ACTS = {
    "token": lambda source: source.token(),
    "renew": lambda source: source.renew(),
    "store_grant": lambda source: source.actions.store_grant(
        Token(access_token="fake", issued_at=START, expires_at=None)
    ),
    "forget": lambda source: source.actions.forget(),
    "revoke": lambda source: source.actions.revoke(),
    "check_can_store": lambda source: source.actions.check_can_store(),
}


def lock_calls(world: World) -> list[str]:
    """Return a list that records the calls of the lock."""
    calls, acquire, release = [], world.lock.acquire, world.lock.release
    world.lock.acquire = lambda: calls.append("acquire") or acquire()
    world.lock.release = lambda: calls.append("release") or release()
    return calls


@pytest.mark.parametrize("act", ACTS)
def test_every_action_takes_and_releases_the_host_lock(rotating: World, act: str) -> None:
    rotating.store.record = rotating.record_of("refresh-0")
    rotating.store.lease = "n"
    calls = lock_calls(rotating)
    ACTS[act](rotating.process())
    assert calls[0] == "acquire"
    assert calls[-1] == "release"
    assert not rotating.lock.held


@pytest.mark.parametrize(("act", "error"), [("token", InvalidClient("no")), ("revoke", TokenRequestError("no"))])
def test_the_lock_is_released_after_an_error(rotating: World, act: str, error: BaseException) -> None:
    rotating.store.record = rotating.record_of("refresh-0")
    rotating.store.lease = "n"
    rotating.endpoint.errors = [error]
    rotating.endpoint.revocation_results = [error]
    calls = lock_calls(rotating)
    with pytest.raises(OAuthError):
        ACTS[act](rotating.process())
    assert calls[0] == "acquire"
    assert not rotating.lock.held


@pytest.mark.parametrize("act", ["forget", "token"])
def test_the_lock_is_released_after_an_unexpected_exception(rotating: World, act: str) -> None:
    rotating.store.record = rotating.record_of("refresh-0")

    def killed(seconds: float) -> None:
        raise KeyboardInterrupt

    rotating.clock.sleep = killed
    with pytest.raises(KeyboardInterrupt):
        ACTS[act](rotating.process())
    assert not rotating.lock.held
