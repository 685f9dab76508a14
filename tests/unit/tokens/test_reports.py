"""The metrics that renewals report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import (
    ConsentRequired,
    InvalidClient,
    InvalidGrant,
    RenewalTimeout,
    TokenRequestError,
    TokenStoreError,
)
from airflow_provider_oauth.protocol.metrics import RENEWAL_WAIT, RENEWALS
from airflow_provider_oauth.tokens.waiting import RENEWAL_WAIT_TIMEOUT

if TYPE_CHECKING:
    from tests.unit.tokens.world import World


def test_a_renewal_is_reported_after_its_token_was_stored(world: World) -> None:
    world.process().token()
    assert world.reports.all == [("oauth.renewals", "success", 1)]


def test_a_token_from_the_store_or_memory_is_not_reported(world: World) -> None:
    source = world.process()
    source.token()
    source.token()
    world.process().token()
    assert world.reports.of(RENEWALS) == ["success"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (InvalidClient("no", error="invalid_client", status_code=401), "refused"),
        (TokenRequestError("busy", status_code=503, retryable=True), "failed"),
    ],
)
def test_a_failed_renewal_is_reported(world: World, error: Exception, outcome: str) -> None:
    world.endpoint.errors = [error]
    with pytest.raises(type(error)):
        world.process().token()
    assert world.reports.of(RENEWALS) == [outcome]


def test_a_refused_refresh_token_is_reported_as_refused(rotating: World) -> None:
    rotating.endpoint.errors = [InvalidGrant("no", error="invalid_grant", status_code=400)]
    with pytest.raises(ConsentRequired):
        rotating.process().token()
    assert rotating.reports.of(RENEWALS) == ["refused"]


def test_a_renewed_token_that_cannot_be_stored_is_reported(rotating: World) -> None:
    rotating.store.failing_writes = 10_000
    with pytest.raises(TokenStoreError):
        rotating.process().token()
    assert rotating.reports.of(RENEWALS)[0] == "not_stored"
    assert "success" not in rotating.reports.of(RENEWALS)


def test_the_wait_for_another_process_is_reported_with_its_length(world: World) -> None:
    first, second = world.process(), world.process()
    world.lock.held_elsewhere = True

    def renew() -> None:
        if world.clock.seconds >= 3 and world.lock.held_elsewhere:
            world.lock.held_elsewhere = False
            first.token()
            world.reports.all.clear()

    world.clock.on_sleep = renew
    second.token()
    ((name, outcome, seconds),) = world.reports.all
    assert (name, outcome) == ("oauth.renewal_wait", "success")
    assert seconds >= 3


def test_a_wait_that_is_too_long_is_reported_as_a_timeout(rotating: World) -> None:
    rotating.lock.held_elsewhere = True
    rotating.store.lease = "another process"
    rotating.clock.on_sleep = lambda: rotating.store.write_lease(f"another process, {rotating.clock.seconds}")
    with pytest.raises(RenewalTimeout):
        rotating.process().token()
    ((name, outcome, seconds),) = rotating.reports.all
    assert (name, outcome) == (RENEWAL_WAIT.name, "timeout")
    assert seconds > RENEWAL_WAIT_TIMEOUT
