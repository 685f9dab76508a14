from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_oauth.protocol.token import Token

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def token(lifetime: float) -> Token:
    return Token(access_token="fake-access", issued_at=START, expires_at=START + timedelta(seconds=lifetime))


@pytest.mark.parametrize(
    ("lifetime", "leeway", "last"),
    [
        (3600, 60, 3540),  # the leeway
        (3600, 0, 3600),
        (600, 60, 540),  # the leeway is exactly a tenth of the lifetime
        (599, 60, 539.1),  # a tenth of the lifetime
        (180, 60, 162),  # tokens with a lifetime of three minutes exist
        (60, 3600, 54),
        (1, 60, 0.9),
    ],
)
def test_a_token_is_usable_until_the_leeway_or_a_tenth_of_its_lifetime_before_its_expiry(
    lifetime: float, leeway: float, last: float
) -> None:
    end = START + timedelta(seconds=last)

    assert token(lifetime).usable(end - INSTANT, leeway)
    assert not token(lifetime).usable(end, leeway)
    assert not token(lifetime).usable(end + INSTANT, leeway)


@pytest.mark.parametrize("lifetime", [1, 60, 3600, 10**8])
@pytest.mark.parametrize("leeway", [0, 60, 10**6])
def test_a_new_token_is_usable_whatever_the_leeway(lifetime: float, leeway: float) -> None:
    assert token(lifetime).usable(START, leeway)


@pytest.mark.parametrize("leeway", [10**12, 10**14, 10**20])
def test_an_enormous_leeway_is_a_tenth_of_the_lifetime(leeway: int) -> None:
    assert token(100).usable(START + timedelta(seconds=90) - INSTANT, leeway)
    assert not token(100).usable(START + timedelta(seconds=90), leeway)


@pytest.mark.parametrize("lifetime", [0, -1])
def test_a_token_without_a_lifetime_is_never_usable(lifetime: float) -> None:
    assert not token(lifetime).usable(START, 0)
    assert not token(lifetime).usable(START, 60)


@pytest.mark.parametrize(
    ("lifetime", "jitter", "from_"), [(3600, 0.0, 2700), (3600, 0.05, 2520), (100, 0.0, 75), (100, 0.025, 72.5)]
)
def test_a_token_is_due_after_three_quarters_of_its_lifetime_minus_the_jitter(
    lifetime: float, jitter: float, from_: float
) -> None:
    start = START + timedelta(seconds=from_)

    assert not token(lifetime).due(start - timedelta(microseconds=2), jitter)
    assert token(lifetime).due(start + timedelta(microseconds=2), jitter)


def test_without_jitter_a_token_is_due_after_exactly_three_quarters_of_its_lifetime() -> None:
    assert token(100).due(START + timedelta(seconds=75))
    assert not token(100).due(START + timedelta(seconds=75) - INSTANT)


@pytest.mark.parametrize("lifetime", [2, 10, 180, 3600])
def test_a_token_is_due_before_it_becomes_unusable(lifetime: float) -> None:
    due = START + 0.75 * timedelta(seconds=lifetime)

    assert token(lifetime).due(due)
    assert token(lifetime).usable(due, 60)


def test_the_lifetime_counts_from_the_request() -> None:
    assert token(90).lifetime == timedelta(seconds=90)


def test_the_current_time_can_have_any_time_zone() -> None:
    elsewhere = datetime.fromisoformat("2026-03-01T21:29:00+09:00")  # 12:29 UTC

    assert token(1800).usable(elsewhere, 59)
    assert not token(1800).usable(elsewhere, 60)


def test_a_token_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        token(60).access_token = "other"  # type: ignore[misc]


def test_the_repr_contains_no_token() -> None:
    shown = repr(dataclasses.replace(token(60), refresh_token="fake-refresh"))

    assert "fake" not in shown
    assert "expires_at" in shown


@pytest.mark.parametrize("now", [START, START + timedelta(days=36500)])
def test_a_token_that_never_expires_is_always_usable_and_never_due(now: datetime) -> None:
    never = Token(access_token="fake-access", issued_at=START, expires_at=None)

    assert never.usable(now, 60)
    assert not never.due(now, 0.05)
    assert never.lifetime is None
    assert not never.is_single_use


@pytest.mark.parametrize(("lifetime", "is_single_use"), [(-1, True), (0, True), (0.001, False), (3600, False)])
def test_a_token_without_a_lifetime_is_single_use(lifetime: float, is_single_use: bool) -> None:
    assert token(lifetime).is_single_use is is_single_use
