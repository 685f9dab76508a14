"""The number of masked assertions stays small in a process that requests tokens for weeks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from airflow_provider_oauth.runtime import masking
from tests.connections import TOKEN_URL, oauth_config
from tests.fake_clock import FakeClock
from tests.keys import ec_key, pem

if TYPE_CHECKING:
    from pathlib import Path

    from requests_mock import Mocker

MINUTE, HOUR = 60, 3600


@pytest.fixture
def masked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The texts that Airflow masks. Its own masker would compile them for each new text."""
    texts: set[str] = set()
    monkeypatch.setattr(masking, "mask_secret", texts.add)
    monkeypatch.setattr(masking, "unmask", texts.difference_update)
    return texts


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, requests_mock: Mocker) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(masking, "_clock", clock)
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})
    masking.reset()
    return clock


def most_masked(
    masked: set[str], clock: FakeClock, seconds: float, count: int, file: Path | None = None, **values: Any
) -> int:
    """Return how many texts are masked at most while ``count`` tokens are requested, one per ``seconds``."""
    endpoint = TokenEndpoint(oauth_config(**values), clock, mask=masking.mask)
    most = 0
    for number in range(count):
        if file:
            file.write_text(f"fake-subject-token-{number}")
        endpoint.grant()
        most = max(most, len(masked))
        clock.advance(seconds)
    return most


@pytest.mark.parametrize(("grant", "assertions"), [({}, 1), ({"grant_type": "jwt_bearer"}, 2)])
def test_signed_assertions_are_unmasked_after_they_expired(
    masked: set[str], clock: FakeClock, grant: dict[str, str], assertions: int
) -> None:
    settings = {"client_auth": "private_key_jwt", "private_key": pem(ec_key()), **grant}

    assert most_masked(masked, clock, MINUTE, 40, **settings) == 11 * assertions  # those of 10 minutes


def test_tokens_from_files_are_unmasked_after_a_day(masked: set[str], clock: FakeClock, tmp_path: Path) -> None:
    file = tmp_path / "token"
    settings = {"grant_type": "token_exchange", "subject_token_file": str(file), "file_folder": str(tmp_path)}

    # Kubernetes renews a token after 48 minutes or more.
    assert most_masked(masked, clock, HOUR, 60, file=file, **settings) <= 25


def test_a_token_from_a_file_that_stays_the_same_is_masked_once(
    masked: set[str], clock: FakeClock, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("fake-subject-token")
    settings = {"grant_type": "token_exchange", "subject_token_file": str(file), "file_folder": str(tmp_path)}

    assert most_masked(masked, clock, MINUTE, 15, **settings) == 1
