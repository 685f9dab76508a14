"""Renewals that end with an exception: the next process waits only if the server may have renewed the token."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTerminated, AirflowTaskTimeout

from airflow_provider_oauth.exceptions import OAuthError, TokenRequestError, to_event
from airflow_provider_oauth.tokens.grant_state import GrantState
from airflow_provider_oauth.tokens.lease import MAX_EXCHANGE_TIME, TERM, WAIT
from airflow_provider_oauth.tokens.record import Record
from tests.unit.tokens.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

SECRET = "fake-secret-\udfff"


def used() -> World:
    """Return a connection that was used before."""
    world = World(grant_type="refresh_token", refresh_token="fake-first")
    world.store.record = world.record_of("refresh-0")
    world.store.lease = world.store.record.nonce
    return world


class Interruption:
    """Raises an exception at one step of a renewal. Each call to a store, endpoint, clock or mask is a step.

    :param world: its connection
    :param at: the number of the step, from 1
    :param error: the exception
    """

    def __init__(self, world: World, at: float, error: Any) -> None:
        self.at = at
        self.error = error
        self.steps = []
        store, endpoint, clock = world.store, world.endpoint, world.clock
        for name in ("read", "write", "is_listed", "read_lease", "lease_is_listed", "write_lease"):
            setattr(store, name, self.before(name, getattr(store, name)))
        clock.sleep = self.before("sleep", clock.sleep)
        world.mask = self.before("mask", world.mask)
        self.refresh = endpoint.refresh
        endpoint.refresh = self.exchange

    def before(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.step(name)
            return function(*args, **kwargs)

        return wrapped

    def step(self, name: str) -> None:
        self.steps.append(name)
        if len(self.steps) == self.at:
            raise self.error

    def exchange(self, *args: Any, **kwargs: Any) -> Any:
        """Refresh as ``TokenEndpoint`` does: it sets on each exception whether the request was sent."""
        sent = False
        try:
            self.step("metadata")
            sent = True
            token = self.refresh(*args, **kwargs)
            self.step("response")
        except BaseException as error:
            error.request_sent = sent
            raise
        return token


@pytest.mark.parametrize("error", [AirflowTaskTimeout, AirflowTaskTerminated, KeyboardInterrupt])
def test_if_a_task_is_stopped_the_lease_runs_out_only_if_the_server_may_have_renewed_the_token(error: Any) -> None:
    ended_early, ran_out = set(), set()
    for at in range(1, 100):
        world = used()
        interruption = Interruption(world, at, error("stop"))
        source = world.process()
        try:
            source.token()
        except error:
            pass
        else:
            break
        *before, last = interruption.steps[:at]
        was_sent = "response" in (*before, last)
        interruption.at = 0
        was_granted = source._lease._own is not None
        started = world.clock.seconds
        assert world.process().token()
        waited = world.clock.seconds - started
        if was_sent:
            ran_out.add(last)
            assert waited >= TERM - WAIT, before
            assert world.endpoint.requests == [("refresh", "refresh-0")] * 2
        elif was_granted:
            ended_early.add(last)
            assert waited <= 2 * WAIT, before
            assert world.endpoint.requests == [("refresh", "refresh-0")]
        else:
            assert waited <= TERM + 3 * WAIT, before
    assert at > 15
    assert ended_early == {"mask", "metadata"}
    assert ran_out == {"response", "mask", "write"}


def test_if_a_task_is_stopped_at_the_first_line_after_the_response_the_lease_runs_out() -> None:
    class Response:
        """A response that stops the task at the first line that uses the token."""

        @property
        def scope(self) -> None:
            raise AirflowTaskTimeout("stop")

    world = used()
    world.endpoint.refresh = lambda refresh_token, access_token=None, *, retry=True: Response()
    with pytest.raises(AirflowTaskTimeout):
        world.process().token()
    assert not world.lease_is_free()


def test_a_record_whose_write_was_interrupted_is_stored_later_by_the_same_process() -> None:
    world = used()
    write = world.store.write

    def stop(record: Record) -> None:
        world.store.write = write
        raise AirflowTaskTimeout("stop")

    world.store.write = stop
    source = world.process()
    with pytest.raises(AirflowTaskTimeout):
        source.token()
    assert source.token().access_token == "token-1"
    assert world.endpoint.requests == [("refresh", "refresh-0")]


@pytest.mark.parametrize("grant_type", ["client_credentials", "password"])
def test_no_process_waits_for_a_repeatable_grant_that_was_stopped_before_its_request(grant_type: str) -> None:
    world = World(grant_type=grant_type)
    grant = world.endpoint.grant

    def stop(scope: str | None = None, *, retry: bool = True) -> None:
        world.endpoint.grant = grant
        error = AirflowTaskTimeout("stop")
        error.request_sent = False
        raise error

    world.endpoint.grant = stop
    with pytest.raises(AirflowTaskTimeout):
        world.process().token()
    assert world.process().token()
    assert world.clock.seconds < 1
    assert MAX_EXCHANGE_TIME > 1


def test_stopping_a_task_does_not_end_a_cool_down() -> None:
    world = used()
    world.endpoint.errors = [TokenRequestError("no", error="invalid_client")]
    before = world.store.record

    def stop() -> None:
        raise AirflowTaskTimeout("stop")

    world.endpoint.on_request = stop
    with pytest.raises(AirflowTaskTimeout):
        world.process().token()
    assert world.store.record.refused == before.refused


# --- exceptions of other libraries


UNEXPECTED = [
    OSError(2, "No such file", SECRET),
    UnicodeEncodeError("utf-8", SECRET, 12, 13, "surrogates not allowed"),
    RecursionError(SECRET),
    ValueError(SECRET),
]


@pytest.fixture(params=UNEXPECTED, ids=lambda error: type(error).__name__)
def unexpected(request: pytest.FixtureRequest) -> Exception:
    return request.param


def test_an_unexpected_exception_becomes_an_error_that_names_the_connection_without_quoting_the_exception(
    unexpected: Exception,
) -> None:
    world = used()
    world.endpoint.errors = [unexpected]
    with pytest.raises(OAuthError) as caught:
        world.process().token()
    text = str(caught.value)
    assert text.startswith("Connection 'api': the token could not be renewed, because of an unexpected error. ")
    assert type(unexpected).__name__ in text
    assert "fake-secret" not in text + repr(to_event(caught.value))
    assert caught.value.__suppress_context__


def test_after_an_unexpected_exception_a_usable_token_is_used_and_the_lease_is_free(
    unexpected: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world = used()
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.endpoint.errors = [None, unexpected]
    with caplog.at_level(logging.WARNING):
        world.endpoint.errors = [unexpected]
        assert source.token().access_token == "token-1"
    assert type(unexpected).__name__ in caplog.text
    assert "fake-secret" not in caplog.text
    assert world.lease_is_free()
    started = world.clock.seconds
    world.process().token()
    assert world.clock.seconds - started <= 2 * WAIT


@pytest.mark.parametrize("secret", ["token-1", "refresh-1"])
def test_an_exception_after_the_response_counts_as_a_lost_response(secret: str) -> None:
    world = used()
    mask = world.mask

    def fail(value: str, until: datetime | None) -> None:
        if value == secret:
            raise ValueError(SECRET)
        mask(value, until)

    world.mask = fail
    with pytest.raises(OAuthError, match="ValueError"):
        world.process().token()
    assert world.lease_is_free()
    world.mask = mask
    world.process().token()
    assert world.endpoint.requests == [("refresh", "refresh-0")] * 2


@pytest.mark.parametrize("act", ["store_grant", "forget", "revoke"])
def test_an_unexpected_exception_in_a_users_action_becomes_an_error_that_names_the_connection(
    act: str, unexpected: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = used()
    token = world.process().token()
    source = world.process()

    def fail(*args: Any) -> None:
        raise unexpected

    monkeypatch.setattr(GrantState, "used_refresh_tokens", property(fail))
    if act == "revoke":
        world.endpoint.revocation_results = [unexpected]
    with pytest.raises(OAuthError, match=rf"^Connection 'api': .*{type(unexpected).__name__}") as caught:
        getattr(source.actions, act)(*([token] if act == "store_grant" else []))
    assert "fake-secret" not in str(caught.value)
    assert world.lease_is_free()


@pytest.mark.parametrize("error", [AirflowTaskTimeout, ValueError])
def test_a_revocation_that_is_stopped_ends_its_claim(error: Any) -> None:
    world = used()
    world.process().token()

    def stop() -> None:
        world.endpoint.on_request = lambda: None
        raise error("stop")

    world.endpoint.on_request = stop
    with pytest.raises((AirflowTaskTimeout, OAuthError)):
        world.process().actions.revoke()
    assert world.lease_is_free()
    assert isinstance(world.store.record, Record)
    assert world.store.record.refresh_token == "refresh-1"
