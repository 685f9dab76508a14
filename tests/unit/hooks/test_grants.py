"""What a person is told of a connection's grant, from what is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import ConsentRequired
from airflow_provider_oauth.hooks import grants
from airflow_provider_oauth.oauth.config import OAuthConfig
from airflow_provider_oauth.oauth.store import Record, Refusal
from airflow_provider_oauth.oauth.token import Token
from airflow_provider_oauth.variable_store import VariableTokenStore

CONFIG = OAuthConfig(
    conn_id="shop",
    base_url="https://api.example.com",
    token_url="https://login.example.com/token",
    grant_type="authorization_code",
    client_id="app",
    client_secret="fake-secret",
)
NOW = datetime.now(UTC)
ENDS = NOW + timedelta(days=30)
RECORD = Record(
    generation=1,
    nonce="n",
    tokens={"": Token(access_token="fake-access", issued_at=NOW, expires_at=NOW + timedelta(days=1))},
    refresh_token="fake-refresh",
    refresh_expires_at=ENDS,
)
REFUSAL = Refusal(error=ConsentRequired("the refresh token was refused"), until=NOW)


def status(config: OAuthConfig = CONFIG, record: Record | None = RECORD, **changes: Any) -> grants.Status:
    """Return the status of ``changes`` of the connection whose record was written by ``config``."""
    if record:
        VariableTokenStore(config).write(record)
    return grants.status(replace(config, **changes))


@pytest.mark.usefixtures("variables")
class TestConsentBy:
    def test_is_when_the_refresh_token_ends(self) -> None:
        assert status().consent_by == ENDS

    def test_may_have_passed(self) -> None:
        ended = replace(RECORD, refresh_expires_at=NOW - timedelta(days=1))

        assert status(record=ended).consent_by == NOW - timedelta(days=1)

    def test_is_not_known_where_the_server_has_not_said(self) -> None:
        assert status(record=replace(RECORD, refresh_expires_at=None)).consent_by is None

    def test_is_none_where_nothing_is_stored(self) -> None:
        assert status(record=None).consent_by is None

    @pytest.mark.parametrize("changes", [{"client_secret": "fake-other"}, {"refresh_token": "fake-pasted"}])
    def test_is_none_where_what_is_stored_is_not_used_any_more(self, changes: dict[str, str]) -> None:
        assert status(**changes).consent_by is None

    @pytest.mark.parametrize("gone", [{"refresh_token": None}, {"refused": REFUSAL}])
    def test_is_none_where_consent_is_needed_already(self, gone: dict[str, Any]) -> None:
        found = status(record=replace(RECORD, **gone))

        assert (found.needs_consent, found.consent_by) == (True, None)

    def test_is_none_where_the_grant_can_be_repeated(self) -> None:
        repeated = replace(CONFIG, grant_type="client_credentials", use_refresh=True)

        assert status(repeated).consent_by is None
