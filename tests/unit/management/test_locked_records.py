"""The page and *Test* for a connection whose stored tokens this process cannot decrypt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.cli.output import format_status as cli_row
from airflow_provider_oauth.exceptions import ConfigurationError, RecordLocked
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.management.messages import DEPENDS_ON_FILE, remarks
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.ui.page import actions_of, format_status
from tests.fake_clock import FakeClock
from tests.unit.runtime.rotation import Process, record

if TYPE_CHECKING:
    from requests_mock import Mocker

    from airflow_provider_oauth.protocol.config import OAuthConfig


@pytest.fixture
def config(variables: dict[str, str], tmp_path: Path) -> OAuthConfig:
    """A connection whose file has another key than the one that its tokens are encrypted with."""
    process = Process(tmp_path / "host", FakeClock(), "A", revoke_url="https://login.example.com/revoke")
    process.store.write(record("refresh-1", process.clock))
    process.replace_file("B")
    return process.config


def test_the_status_contains_the_error_and_no_user_has_to_authorize(config: OAuthConfig) -> None:
    status = grants.status(config)

    assert (status.locked, status.changed, status.needs_consent, status.has_refresh_token) == (
        True,
        False,
        False,
        False,
    )
    assert "were encrypted with another private key" in status.problem(FakeClock().now())


def test_the_page_and_the_command_line_show_that_the_token_is_unknown(config: OAuthConfig) -> None:
    status = grants.status(config)
    row = format_status(status, can_edit=True)

    assert row["token"].label == "Unknown"
    assert "another private key" in row["error"]
    assert (cli_row(status)["token"], cli_row(status)["consent"]) == (None, None)


def test_a_user_can_test_authorize_renew_and_forget(config: OAuthConfig) -> None:
    assert actions_of(grants.status(config)) == ["test", "authorize", "renew", "forget"]


@pytest.mark.parametrize(
    "fields",
    [{}, {"client_auth": "private_key_jwt"}, {"client_auth": "private_key_jwt", "client_secret": "fake-secret"}],
)
def test_no_user_is_asked_to_authorize_if_the_file_is_missing(config: OAuthConfig, fields: dict[str, str]) -> None:
    """The code could not be exchanged, or its tokens could not be stored."""
    urls = {"authorize_url": "https://login.example.com/authorize", "device_url": "https://login.example.com/device"}
    config = replace(config, **urls, **fields)  # type: ignore[arg-type]
    back = "https://airflow.example.com/callback"
    request = AuthorizationRequest(conn_id="shop", redirect_uri=back, state="s", code_verifier="fake-verifier")
    assert "client_id" in grants.begin_authorization(config, request)
    Path(config.private_key_file or "").unlink()

    with pytest.raises(ConfigurationError, match="Private key file"):
        grants.begin_authorization(config, request)
    with pytest.raises(ConfigurationError, match="Private key file"):
        grants.begin_device_authorization(config)


def test_the_test_fails_with_the_error(config: OAuthConfig, requests_mock: Mocker) -> None:
    requests_mock.post(config.token_url or "", status_code=400, json={"error": "invalid_grant"})
    check = grants.test(config)

    assert check.works is False
    assert "the tokens in the Airflow Variable oauth_token__shop cannot be decrypted" in check.text


def test_there_are_tokens_to_forget(config: OAuthConfig) -> None:
    assert not grants.is_empty(config)
    with pytest.raises(RecordLocked):
        grants.revoke(config)


def test_a_remark_says_that_the_tokens_depend_on_the_file_and_none_that_they_are_not_encrypted(
    config: OAuthConfig,
) -> None:
    assert remarks(config) == [DEPENDS_ON_FILE]
    assert remarks(replace(config, client_secret="fake-random text")) == []
    assert remarks(replace(config, grant_type="client_credentials")) == []
