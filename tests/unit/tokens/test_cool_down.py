"""Refused credentials and refresh tokens: how long they are not sent again, and what a repeated refusal means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

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


def ask(world, **config):
    """Let another process want a token; return the error that it gets, if any."""
    try:
        world.process(**config).token()
    except OAuthError as error:
        return error
    return None


@pytest.fixture
def refused(rotating):
    """Return a world with a refresh token that the server refuses without a reason, again and again."""
    rotating.store.record = rotating.record_of("refresh-0")
    rotating.store.lease = rotating.store.record.nonce
    rotating.endpoint.errors = [EMPTY_403] * 100
    return rotating


# --- the cool-down


@pytest.mark.parametrize("requested", [None, 0.0, 30.0])
def test_fifty_tasks_send_a_refused_password_once(requested):
    world = World(grant_type="password")
    world.endpoint.errors = [WrongPassword("wrong", error="invalid_grant", retry_after=requested)] * 50
    for _ in range(50):
        assert isinstance(ask(world), WrongPassword)
    assert len(world.endpoint.asked) == 1


def test_an_empty_403_to_a_password_starts_the_cool_down():
    world = World(grant_type="password")
    world.endpoint.errors = [EMPTY_403] * 50
    for _ in range(50):
        assert isinstance(ask(world), UnrecognizedRefusal)
    assert len(world.endpoint.asked) == 1
    world.clock.seconds = COOL_DOWN
    assert isinstance(ask(world), UnrecognizedRefusal)  # a password does not become a consent
    assert len(world.endpoint.asked) == 2
    assert world.process().grant_state().needs_consent is False


@pytest.mark.parametrize("ahead", [timedelta(days=365), timedelta(days=365 * 5000), timedelta(days=1, seconds=1)])
def test_a_cool_down_written_by_a_host_with_a_wrong_clock_does_not_block_the_others(world, ahead):
    world.endpoint.errors = [InvalidClient("who are you", error="invalid_client")] * 2
    ask(world)
    wrong = replace(world.store.record.refused, until=START + ahead)
    world.store.record = replace(world.store.record, refused=wrong)
    assert isinstance(ask(world), InvalidClient)
    assert len(world.endpoint.asked) == 2
    assert world.store.record.refused.until == START + timedelta(seconds=COOL_DOWN)
    assert isinstance(ask(world), InvalidClient)  # now the time is right, and is observed
    assert len(world.endpoint.asked) == 2


def test_a_person_can_renew_though_a_host_with_a_wrong_clock_wrote_the_cool_down(rotating):
    error = InvalidClient("who are you", error="invalid_client")
    refusal = Refusal(error=error, until=START + timedelta(days=365))
    rotating.store.record = replace(rotating.record_of("refresh-0"), refused=refusal)
    rotating.store.lease = rotating.store.record.nonce
    assert rotating.process().renew().access_token == "token-1"


def test_the_longest_cool_down_that_a_server_can_request_is_observed(world):
    world.endpoint.errors = [InvalidClient("who are you", error="invalid_client", retry_after=1e12)]
    ask(world)
    world.clock.seconds = MAX_COOL_DOWN - 0.1
    assert isinstance(ask(world), InvalidClient)
    assert len(world.endpoint.asked) == 1
    world.clock.seconds = MAX_COOL_DOWN
    assert ask(world) is None


# --- a refresh that the server refuses in words that are not recognized


def test_the_first_one_is_an_error_that_airflow_retries_and_starts_the_cool_down(refused):
    begun = refused.store.record
    error = ask(refused)
    assert type(error) is UnrecognizedRefusal
    assert refused.store.record.refused.unrecognized_since == refused.clock.now()
    refused.clock.seconds += COOL_DOWN - 0.1
    error = ask(refused)
    assert type(error) is UnrecognizedRefusal
    assert "No request is sent until" in str(error)
    assert refused.endpoint.asked == [("refresh", "refresh-0")]
    assert refused.store.record.refresh_token == begun.refresh_token
    assert not refused.process().grant_state().needs_consent


def test_the_second_one_a_minute_later_requires_consent_and_so_does_every_further_one(refused):
    ask(refused)
    since = refused.store.record.refused.unrecognized_since
    for count in range(2, 5):
        refused.clock.seconds += COOL_DOWN
        error = ask(refused)
        assert type(error) is ConsentRequired
        assert "refused its refresh token repeatedly" in str(error)
        assert "status 403" in str(error)
        assert len(refused.endpoint.asked) == count
        assert refused.process().grant_state().needs_consent
        assert refused.store.record.refused.unrecognized_since == since
    assert refused.store.record.refresh_token == "refresh-0"


@pytest.mark.parametrize(("seconds", "repeated"), [(0, False), (59.9, False), (60, True), (61, True), (1e8, True)])
def test_a_second_one_counts_from_a_minute_after_the_first(seconds, repeated):
    refusal = Refusal(error=EMPTY_403, until=START, unrecognized_since=START)
    assert is_repeated(refusal, START + timedelta(seconds=seconds)) is repeated


def test_a_second_one_within_a_minute_does_not_count_though_the_cool_down_is_over(refused):
    """Hosts whose clocks differ send the second request early."""
    ask(refused)
    early = replace(refused.store.record.refused, until=refused.clock.now())
    refused.store.record = replace(refused.store.record, refused=early)
    assert type(ask(refused)) is UnrecognizedRefusal
    assert len(refused.endpoint.asked) == 2


def test_what_the_server_said_is_in_the_error(refused):
    refused.endpoint.errors = [
        UnrecognizedRefusal("refused", status_code=400, error="odd", error_description="Computer says no")
    ] * 2
    ask(refused)
    refused.clock.seconds += COOL_DOWN
    assert "(Computer says no)" in str(ask(refused))


def test_a_renewal_in_between_starts_anew(refused):
    ask(refused)
    refused.endpoint.errors = [None, EMPTY_403]
    refused.clock.seconds += COOL_DOWN
    assert ask(refused) is None
    assert refused.store.record.refused is None
    refused.clock.seconds += 990
    assert type(ask(refused)) is UnrecognizedRefusal


def test_a_changed_connection_starts_anew(refused):
    ask(refused)
    refused.store.record = replace(refused.store.record, refused=None)  # so the store reads it for a changed connection
    refused.clock.seconds += COOL_DOWN
    assert type(ask(refused)) is UnrecognizedRefusal


@pytest.mark.parametrize(
    "error",
    [
        TokenRequestError("no answer", retryable=True),
        TokenRequestError("busy", status_code=503, error="temporarily_unavailable", retryable=True),
        TokenRequestError("an HTML page", status_code=403),
        TokenResponseError("not a token"),
    ],
)
def test_a_failure_in_between_that_is_no_refusal_changes_nothing(refused, error):
    refused.endpoint.errors = [EMPTY_403, error, EMPTY_403]
    ask(refused)
    refused.clock.seconds += COOL_DOWN
    assert ask(refused) is error
    assert type(ask(refused)) is ConsentRequired
    assert refused.process().grant_state().needs_consent


def test_another_refusal_in_between_starts_anew(refused):
    refused.endpoint.errors = [EMPTY_403, InvalidScope("scope", error="invalid_scope"), EMPTY_403]
    ask(refused)
    refused.clock.seconds += COOL_DOWN
    assert isinstance(ask(refused), InvalidScope)
    assert refused.store.record.refused is None
    assert type(ask(refused)) is UnrecognizedRefusal


def test_known_words_after_unknown_ones_require_consent_immediately(refused):
    refused.endpoint.errors = [EMPTY_403, InvalidGrant("spent", error="invalid_grant")]
    ask(refused)
    refused.clock.seconds += COOL_DOWN
    assert "no longer accepts its refresh token (invalid_grant)" in str(ask(refused))
    assert refused.store.record.refused.unrecognized_since is None


def test_a_first_refusal_noted_by_a_host_whose_clock_is_ahead_counts_from_now(refused):
    ask(refused)
    refusal = replace(refused.store.record.refused, unrecognized_since=START + timedelta(days=365), until=START)
    refused.store.record = replace(refused.store.record, refused=refusal)
    assert type(ask(refused)) is UnrecognizedRefusal
    assert refused.store.record.refused.unrecognized_since == refused.clock.now()
    refused.clock.seconds += COOL_DOWN
    assert type(ask(refused)) is ConsentRequired


def test_a_first_refusal_at_the_end_of_all_time_counts_from_now(refused):
    ask(refused)
    end = datetime.max.replace(tzinfo=UTC)
    refusal = replace(refused.store.record.refused, unrecognized_since=end, until=START)
    refused.store.record = replace(refused.store.record, refused=refusal)
    assert type(ask(refused)) is UnrecognizedRefusal
    assert refused.store.record.refused.unrecognized_since == refused.clock.now()


def test_a_newer_refresh_token_that_was_stored_meanwhile_is_used(refused):
    refused.endpoint.errors = [EMPTY_403]
    newer = replace(refused.store.record, generation=7, nonce="n", refresh_token="refresh-of-another")

    def another_stores():
        refused.store.record = newer
        refused.endpoint.during = lambda: None

    refused.endpoint.during = another_stores
    assert ask(refused) is None
    assert refused.endpoint.asked == [("refresh", "refresh-0"), ("refresh", "refresh-of-another")]


def test_a_newer_refresh_token_that_is_refused_for_the_first_time_requires_no_consent(refused):
    ask(refused)
    refused.clock.seconds += COOL_DOWN
    newer = replace(refused.store.record, generation=7, refresh_token="refresh-of-another", refused=None)

    def another_stores():
        refused.store.record = newer
        refused.endpoint.during = lambda: None

    refused.endpoint.during = another_stores
    assert type(ask(refused)) is UnrecognizedRefusal
    assert refused.endpoint.asked[1:] == [("refresh", "refresh-0"), ("refresh", "refresh-of-another")]


def test_a_grant_that_can_be_repeated_is_repeated_instead():
    world = World(use_refresh=True)
    world.process().token()
    world.clock.seconds = 990
    world.endpoint.errors = [EMPTY_403]
    assert ask(world) is None
    assert world.endpoint.asked[1:] == [("refresh", "refresh-1"), ("grant", None)]


def test_a_refused_refresh_token_stays_refused_though_the_server_is_down_then(rotating):
    rotating.store.record = rotating.record_of("refresh-0")
    rotating.store.lease = rotating.store.record.nonce
    rotating.endpoint.errors = [InvalidGrant("spent", error="invalid_grant"), TokenRequestError("down", retryable=True)]
    ask(rotating)
    rotating.clock.seconds += COOL_DOWN
    assert str(ask(rotating)) == "down"
    assert rotating.process().grant_state().needs_consent
