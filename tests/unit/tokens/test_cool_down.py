"""For how long refused credentials and refresh tokens are not sent again, and what a repeated refusal causes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import (
    ConsentRequired,
    InvalidClient,
    InvalidGrant,
    InvalidScope,
    OAuthError,
    TokenRequestError,
    TokenResponseError,
    UnrecognizedRefusal,
    WrongPassword,
)
from airflow_provider_oauth.tokens.cool_down import COOL_DOWN, MAX_COOL_DOWN, is_repeated
from airflow_provider_oauth.tokens.record import Refusal
from tests.fake_clock import START
from tests.unit.tokens.world import World

EMPTY_403 = UnrecognizedRefusal("the server refused with status 403", status_code=403)


def error_of(world: World, **config: Any) -> OAuthError | None:
    """Request a token in another process; return the error that it raises, if any."""
    try:
        world.process(**config).token()
    except OAuthError as error:
        return error
    return None


@pytest.fixture
def refused(rotating: World) -> World:
    """Return a connection whose refresh token the server always refuses without a reason."""
    rotating.store.record = rotating.record_of("refresh-0")
    rotating.store.lease = rotating.store.record.nonce
    rotating.endpoint.errors = [EMPTY_403] * 100
    return rotating


# --- the cool-down


@pytest.mark.parametrize("requested", [None, 0.0, 30.0])
def test_fifty_tasks_send_a_refused_password_once(requested: float | None) -> None:
    world = World(grant_type="password")
    world.endpoint.errors = [WrongPassword("wrong", error="invalid_grant", retry_after=requested)] * 50
    for _ in range(50):
        assert isinstance(error_of(world), WrongPassword)
    assert len(world.endpoint.requests) == 1


def test_an_empty_403_to_a_password_starts_the_cool_down() -> None:
    world = World(grant_type="password")
    world.endpoint.errors = [EMPTY_403] * 50
    for _ in range(50):
        assert isinstance(error_of(world), UnrecognizedRefusal)
    assert len(world.endpoint.requests) == 1
    world.clock.seconds = COOL_DOWN
    assert isinstance(error_of(world), UnrecognizedRefusal)  # the password grant never requires consent
    assert len(world.endpoint.requests) == 2
    assert world.process().grant_state().needs_consent is False


@pytest.mark.parametrize("ahead", [timedelta(days=365), timedelta(days=365 * 5000), timedelta(days=1, seconds=1)])
def test_a_cool_down_written_by_a_host_with_a_wrong_clock_does_not_block_the_others(
    world: World, ahead: timedelta
) -> None:
    world.endpoint.errors = [InvalidClient("who are you", error="invalid_client")] * 2
    error_of(world)
    wrong = replace(world.store.record.refused, until=START + ahead)
    world.store.record = replace(world.store.record, refused=wrong)
    assert isinstance(error_of(world), InvalidClient)
    assert len(world.endpoint.requests) == 2
    assert world.store.record.refused.until == START + timedelta(seconds=COOL_DOWN)
    assert isinstance(error_of(world), InvalidClient)  # the time is correct now, so no request is sent
    assert len(world.endpoint.requests) == 2


def test_a_user_can_renew_after_a_host_with_a_wrong_clock_has_written_the_cool_down(rotating: World) -> None:
    error = InvalidClient("who are you", error="invalid_client")
    refusal = Refusal(error=error, until=START + timedelta(days=365))
    rotating.store.record = replace(rotating.record_of("refresh-0"), refused=refusal)
    rotating.store.lease = rotating.store.record.nonce
    assert rotating.process().renew().access_token == "token-1"


def test_the_longest_cool_down_that_a_server_can_request_is_observed(world: World) -> None:
    world.endpoint.errors = [InvalidClient("who are you", error="invalid_client", retry_after=1e12)]
    error_of(world)
    world.clock.seconds = MAX_COOL_DOWN - 0.1
    assert isinstance(error_of(world), InvalidClient)
    assert len(world.endpoint.requests) == 1
    world.clock.seconds = MAX_COOL_DOWN
    assert error_of(world) is None


# --- a refusal of the refresh token that is not recognized


def test_the_first_unrecognized_refusal_is_retried_by_airflow_and_starts_the_cool_down(refused: World) -> None:
    started = refused.store.record
    error = error_of(refused)
    assert type(error) is UnrecognizedRefusal
    assert refused.store.record.refused.unrecognized_since == refused.clock.now()
    refused.clock.seconds += COOL_DOWN - 0.1
    error = error_of(refused)
    assert type(error) is UnrecognizedRefusal
    assert "No request is sent until" in str(error)
    assert refused.endpoint.requests == [("refresh", "refresh-0")]
    assert refused.store.record.refresh_token == started.refresh_token
    assert not refused.process().grant_state().needs_consent


def test_a_second_unrecognized_refusal_a_minute_later_requires_consent(refused: World) -> None:
    error_of(refused)
    since = refused.store.record.refused.unrecognized_since
    for count in range(2, 5):
        refused.clock.seconds += COOL_DOWN
        error = error_of(refused)
        assert type(error) is ConsentRequired
        assert "refused the connection's refresh token repeatedly" in str(error)
        assert "status 403" in str(error)
        assert len(refused.endpoint.requests) == count
        assert refused.process().grant_state().needs_consent
        assert refused.store.record.refused.unrecognized_since == since
    assert refused.store.record.refresh_token == "refresh-0"


@pytest.mark.parametrize(("seconds", "repeated"), [(0, False), (59.9, False), (60, True), (61, True), (1e8, True)])
def test_a_second_refusal_counts_from_a_minute_after_the_first(seconds: float, repeated: bool) -> None:
    refusal = Refusal(error=EMPTY_403, until=START, unrecognized_since=START)
    assert is_repeated(refusal, START + timedelta(seconds=seconds)) is repeated


def test_a_second_refusal_within_a_minute_does_not_count_even_after_the_cool_down(refused: World) -> None:
    """If the clocks of the hosts differ, the second request may be sent early."""
    error_of(refused)
    early = replace(refused.store.record.refused, until=refused.clock.now())
    refused.store.record = replace(refused.store.record, refused=early)
    assert type(error_of(refused)) is UnrecognizedRefusal
    assert len(refused.endpoint.requests) == 2


def test_the_error_contains_the_servers_description(refused: World) -> None:
    refused.endpoint.errors = [
        UnrecognizedRefusal("refused", status_code=400, error="odd", error_description="Computer says no")
    ] * 2
    error_of(refused)
    refused.clock.seconds += COOL_DOWN
    assert "(Computer says no)" in str(error_of(refused))


def test_a_renewal_between_two_refusals_resets_the_count(refused: World) -> None:
    error_of(refused)
    refused.endpoint.errors = [None, EMPTY_403]
    refused.clock.seconds += COOL_DOWN
    assert error_of(refused) is None
    assert refused.store.record.refused is None
    refused.clock.seconds += 990
    assert type(error_of(refused)) is UnrecognizedRefusal


def test_a_changed_connection_resets_the_count(refused: World) -> None:
    error_of(refused)
    refused.store.record = replace(refused.store.record, refused=None)  # as the store reads it for a changed connection
    refused.clock.seconds += COOL_DOWN
    assert type(error_of(refused)) is UnrecognizedRefusal


@pytest.mark.parametrize(
    "error",
    [
        TokenRequestError("no answer", retryable=True),
        TokenRequestError("busy", status_code=503, error="temporarily_unavailable", retryable=True),
        TokenRequestError("an HTML page", status_code=403),
        TokenResponseError("not a token"),
    ],
)
def test_a_failure_between_two_refusals_that_is_no_refusal_changes_nothing(
    refused: World, error: BaseException
) -> None:
    refused.endpoint.errors = [EMPTY_403, error, EMPTY_403]
    error_of(refused)
    refused.clock.seconds += COOL_DOWN
    assert error_of(refused) is error
    assert type(error_of(refused)) is ConsentRequired
    assert refused.process().grant_state().needs_consent


def test_a_recognized_error_between_two_refusals_resets_the_count(refused: World) -> None:
    refused.endpoint.errors = [EMPTY_403, InvalidScope("scope", error="invalid_scope"), EMPTY_403]
    error_of(refused)
    refused.clock.seconds += COOL_DOWN
    assert isinstance(error_of(refused), InvalidScope)
    assert refused.store.record.refused is None
    assert type(error_of(refused)) is UnrecognizedRefusal


def test_a_recognized_refusal_after_an_unrecognized_one_requires_consent_immediately(refused: World) -> None:
    refused.endpoint.errors = [EMPTY_403, InvalidGrant("already used", error="invalid_grant")]
    error_of(refused)
    refused.clock.seconds += COOL_DOWN
    assert "no longer accepts the connection's refresh token (invalid_grant)" in str(error_of(refused))
    assert refused.store.record.refused.unrecognized_since is None


def test_a_first_refusal_stored_by_a_host_whose_clock_is_ahead_counts_from_now(refused: World) -> None:
    error_of(refused)
    refusal = replace(refused.store.record.refused, unrecognized_since=START + timedelta(days=365), until=START)
    refused.store.record = replace(refused.store.record, refused=refusal)
    assert type(error_of(refused)) is UnrecognizedRefusal
    assert refused.store.record.refused.unrecognized_since == refused.clock.now()
    refused.clock.seconds += COOL_DOWN
    assert type(error_of(refused)) is ConsentRequired


def test_a_first_refusal_at_the_latest_possible_time_counts_from_now(refused: World) -> None:
    error_of(refused)
    end = datetime.max.replace(tzinfo=UTC)
    refusal = replace(refused.store.record.refused, unrecognized_since=end, until=START)
    refused.store.record = replace(refused.store.record, refused=refusal)
    assert type(error_of(refused)) is UnrecognizedRefusal
    assert refused.store.record.refused.unrecognized_since == refused.clock.now()


def test_after_an_unrecognized_refusal_a_newer_stored_refresh_token_is_used(refused: World) -> None:
    refused.endpoint.errors = [EMPTY_403]
    newer = replace(refused.store.record, generation=7, nonce="n", refresh_token="refresh-of-another")

    def another_stores() -> None:
        refused.store.record = newer
        refused.endpoint.on_request = lambda: None

    refused.endpoint.on_request = another_stores
    assert error_of(refused) is None
    assert refused.endpoint.requests == [("refresh", "refresh-0"), ("refresh", "refresh-of-another")]


def test_a_newer_refresh_token_that_is_refused_for_the_first_time_requires_no_consent(refused: World) -> None:
    error_of(refused)
    refused.clock.seconds += COOL_DOWN
    newer = replace(refused.store.record, generation=7, refresh_token="refresh-of-another", refused=None)

    def another_stores() -> None:
        refused.store.record = newer
        refused.endpoint.on_request = lambda: None

    refused.endpoint.on_request = another_stores
    assert type(error_of(refused)) is UnrecognizedRefusal
    assert refused.endpoint.requests[1:] == [("refresh", "refresh-0"), ("refresh", "refresh-of-another")]


def test_a_repeatable_grant_is_repeated_after_an_unrecognized_refusal() -> None:
    world = World(use_refresh=True)
    world.process().token()
    world.clock.seconds = 990
    world.endpoint.errors = [EMPTY_403]
    assert error_of(world) is None
    assert world.endpoint.requests[1:] == [("refresh", "refresh-1"), ("grant", None)]


def test_a_refused_refresh_token_stays_refused_when_the_server_is_down_later(rotating: World) -> None:
    rotating.store.record = rotating.record_of("refresh-0")
    rotating.store.lease = rotating.store.record.nonce
    rotating.endpoint.errors = [
        InvalidGrant("already used", error="invalid_grant"),
        TokenRequestError("down", retryable=True),
    ]
    error_of(rotating)
    rotating.clock.seconds += COOL_DOWN
    assert str(error_of(rotating)) == "down"
    assert rotating.process().grant_state().needs_consent
