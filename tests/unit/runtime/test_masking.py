from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from airflow.sdk._shared.secrets_masker import _secrets_masker, redact

from airflow_provider_oauth.runtime import masking
from airflow_provider_oauth.runtime.masking import MIN_MASKED
from tests.fake_clock import START, FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


ENDED, LATER = START - timedelta(seconds=1), START + timedelta(hours=1)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClock]:
    clock = FakeClock()
    monkeypatch.setattr(masking, "_clock", clock)
    monkeypatch.setattr(_secrets_masker(), "patterns", set())
    monkeypatch.setattr(_secrets_masker(), "replacer", None)
    masking.reset()
    yield clock
    masking.reset()


def is_masked(text: str) -> bool:
    return text not in str(redact(f"line with {text} in it"))


def test_a_secret_is_masked_as_it_is_and_as_in_urls() -> None:
    masking.mask("fake secret/1+%")
    assert is_masked("fake secret/1+%")
    assert is_masked(quote("fake secret/1+%", safe=""))
    assert is_masked("fake+secret%2F1%2B%25")


def test_an_expired_token_is_unmasked_when_the_next_one_is_masked(clock: FakeClock) -> None:
    masking.mask("fake-token-one", LATER)
    clock.seconds = 3599
    masking.mask("fake-token-two", LATER + timedelta(hours=1))
    assert is_masked("fake-token-one")
    clock.seconds = 3601
    masking.mask("fake-token-three", LATER + timedelta(hours=1))
    assert not is_masked("fake-token-one")
    assert is_masked("fake-token-two")


@pytest.mark.parametrize("until", [ENDED, START, START + MIN_MASKED])
def test_an_expired_token_stays_masked_for_10_minutes_because_it_may_be_in_use(
    clock: FakeClock, until: datetime
) -> None:
    masking.mask("fake-token-one", until)
    clock.seconds = MIN_MASKED.total_seconds()
    masking.mask("fake-token-two", LATER)
    assert is_masked("fake-token-one")
    clock.seconds += 1
    masking.mask("fake-token-three", LATER)
    assert not is_masked("fake-token-one")


def test_an_expired_token_that_is_used_again_stays_masked_for_another_10_minutes(clock: FakeClock) -> None:
    masking.mask("fake-token-one", ENDED)
    clock.seconds = 500
    masking.mask("fake-token-one", ENDED)
    clock.seconds = 500 + MIN_MASKED.total_seconds()
    masking.mask("fake-token-two", LATER)
    assert is_masked("fake-token-one")


def test_a_secret_without_expiry_stays_masked_until_its_expiry_is_known(clock: FakeClock) -> None:
    masking.mask("fake-refresh-one")
    masking.mask("fake-token-one", LATER)
    assert is_masked("fake-refresh-one")
    masking.mask("fake-refresh-one", ENDED)
    clock.seconds = MIN_MASKED.total_seconds() + 1
    assert is_masked("fake-refresh-one")
    masking.mask("fake-refresh-two")
    assert not is_masked("fake-refresh-one")
    assert is_masked("fake-token-one")


def test_the_number_of_patterns_does_not_grow_over_a_thousand_renewals(clock: FakeClock) -> None:
    for number in range(1000):
        masking.mask(f"fake-token-{number}-of-a-thousand", clock.now() + timedelta(seconds=180))
        masking.mask(f"fake-refresh-{number}-of-a-thousand")
        masking.mask(f"fake-refresh-{number}-of-a-thousand", clock.now())
        clock.seconds += 135
    assert len(_secrets_masker().patterns) <= 12
    assert is_masked("fake-refresh-999-of-a-thousand")


def test_if_airflow_has_another_masker_nothing_is_unmasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("airflow.sdk._shared.secrets_masker._secrets_masker", raising=True)
    masked: list[str] = []
    monkeypatch.setattr(masking, "mask_secret", masked.append)
    masking.mask("fake-token-one", ENDED)
    masking.mask("fake-token-two", LATER)
    assert masked == ["fake-token-one", "fake-token-two"]


def test_a_masked_secret_is_not_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    monkeypatch.setattr(masking, "mask_secret", masked.append)
    for _ in range(3):
        masking.mask("fake-token", LATER)
    masking.mask("fake-token", ENDED)
    assert masked == ["fake-token"]
