"""The cool-down after refused credentials."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_provider_oauth.exceptions import (
    ConsentRequired,
    InvalidClient,
    InvalidGrant,
    TokenRequestError,
    TokenResponseError,
    WrongPassword,
)
from airflow_provider_oauth.tokens.cool_down import COOL_DOWN, MAX_COOL_DOWN
from airflow_provider_oauth.tokens.record import Record
from tests.fake_clock import START
from tests.unit.tokens.world import World

WRONG = {
    "client_credentials": InvalidClient("who are you", error="invalid_client"),
    "password": WrongPassword("wrong", error="invalid_grant"),
    "refresh_token": InvalidClient("who are you", error="invalid_client"),
    "jwt_bearer": InvalidGrant("bad assertion", error="invalid_grant"),
    "token_exchange": InvalidGrant("bad token", error="invalid_grant"),
}


@pytest.mark.parametrize("grant_type", WRONG)
def test_after_refused_credentials_no_request_is_sent_for_some_time(grant_type: str) -> None:
    error = WRONG[grant_type]
    files = {"assertion_file": "/tokens/a", "subject_token_file": "/tokens/b"}
    world = World(grant_type=grant_type, refresh_token="fake-first", **files)
    world.endpoint.errors = [error]
    with pytest.raises(type(error)):
        world.process().token()
    refused_at = world.clock.seconds
    for seconds in (0, COOL_DOWN - 0.1):
        world.clock.seconds = refused_at + seconds
        with pytest.raises(type(error), match=rf"{error}.*No request is sent until 2026-01-01 00:0\d:\d\d UTC"):
            world.process().token()
        assert world.clock.seconds == refused_at + seconds  # it fails immediately
    assert len(world.endpoint.requests) == 1
    world.clock.seconds = refused_at + COOL_DOWN
    assert world.process().token().access_token == "token-2"
    assert world.store.record.refused is None


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(None, COOL_DOWN), (0.0, COOL_DOWN), (5.0, COOL_DOWN), (61.0, 61.0), (1e12, MAX_COOL_DOWN)],
)
def test_the_server_can_extend_the_cool_down_to_a_day_but_not_shorten_it(
    world: World, asked: float | None, seconds: float
) -> None:
    world.endpoint.errors = [InvalidClient("who are you", retry_after=asked)]
    with pytest.raises(InvalidClient):
        world.process().token()
    assert world.store.record.refused.until == START + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "error",
    [
        TokenRequestError("busy", status_code=503, retryable=True, retry_after=30.0),
        TokenRequestError("no answer", retryable=True),
        TokenResponseError("not a token"),
    ],
)
def test_server_errors_and_timeouts_do_not_start_the_cool_down(world: World, error: BaseException) -> None:
    world.endpoint.errors = [error]
    with pytest.raises(type(error)):
        world.process().token()
    assert world.process().token().access_token == "token-2"


def test_a_refused_refresh_token_is_not_sent_again_for_some_time(rotating: World) -> None:
    rotating.another_renewed()
    rotating.endpoint.errors = [InvalidGrant("already used", error_description="revoked")]
    for _ in range(3):
        with pytest.raises(ConsentRequired, match="revoked"):
            rotating.process().token()
    assert len(rotating.endpoint.requests) == 1


def test_a_usable_token_is_used_while_the_credentials_are_refused(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    source = world.process()
    source.token()
    world.clock.seconds = 800
    world.endpoint.errors = [InvalidClient("who are you")]
    assert source.token().access_token == "token-1"
    assert world.process().token().access_token == "token-1"
    assert len(world.endpoint.requests) == 2
    assert "who are you" in caplog.text


def test_a_refusal_does_not_change_the_stored_tokens(rotating: World) -> None:
    rotating.process().token()
    before = rotating.store.record
    rotating.clock.seconds = 990
    rotating.endpoint.errors = [InvalidClient("who are you")]
    with pytest.raises(InvalidClient):
        rotating.process().token()
    after = rotating.store.record
    assert replace(after, nonce=before.nonce, refused=None) == before


def test_refused_credentials_replace_a_corrupt_record_of_a_repeatable_grant(world: World) -> None:
    world.store.record = Record(readable=False, corrupt=True)
    world.endpoint.errors = [InvalidClient("who are you")]
    for _ in range(2):
        with pytest.raises(InvalidClient):
            world.process().token()
    assert len(world.endpoint.requests) == 1


def test_a_refusal_that_cannot_be_stored_is_still_raised(world: World) -> None:
    world.endpoint.errors = [InvalidClient("who are you")]
    world.store.failing_writes = 1
    with pytest.raises(InvalidClient, match="who are you"):
        world.process().token()
