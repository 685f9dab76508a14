"""The states of a connection, and when a user must act."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_oauth.management.status import ConnectionStatus
from airflow_provider_oauth.protocol.token import Token
from tests.connections import oauth_config

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = oauth_config(grant_type="authorization_code")
TOKEN = Token(access_token="fake-access", issued_at=NOW, expires_at=NOW + timedelta(hours=1))


def status(grant_type: str = "authorization_code", **changes: Any) -> ConnectionStatus:
    return ConnectionStatus(conn_id="shop", config=replace(CONFIG, grant_type=grant_type), **changes)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"token": TOKEN, "usable": True}, "usable"),
        ({"token": TOKEN}, "expired"),
        ({}, "none"),
        ({"changed": True}, "changed"),
        ({"is_known": False}, "unknown"),
        ({"locked": True}, "unknown"),
    ],
)
def test_the_token_state_describes_the_stored_token(changes: dict[str, Any], state: str) -> None:
    assert status(**changes).token_state == state


def test_the_consent_state_describes_whether_a_user_must_authorize() -> None:
    assert status().consent_state == "given"
    assert status(needs_consent=True).consent_state == "needed"
    assert status("refresh_token").consent_state == "given"
    assert status("client_credentials").consent_state == ""
    assert status(is_known=False).consent_state == ""
    assert status(locked=True).consent_state == ""
    assert ConnectionStatus(conn_id="shop").consent_state == ""


def problem(grant_type: str = "authorization_code", **changes: Any) -> str:
    return status(grant_type, **changes).problem(NOW)


def test_the_problem_is_empty_if_tasks_can_renew_the_token() -> None:
    assert problem() == problem(consent_by=NOW + timedelta(seconds=1)) == ""
    assert problem("client_credentials") == ""


def test_the_problem_is_the_error_of_a_connection_that_is_invalid_or_was_refused() -> None:
    assert problem(error="Token URL is missing") == "Token URL is missing"
    assert ConnectionStatus(conn_id="shop", error="It cannot be read").problem(NOW) == "It cannot be read"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"needs_consent": True}, "no refresh token is stored"),
        (
            {"needs_consent": True, "changed": True},
            "the tokens were stored for a different client, secret, user, URL or scope than the connection has now, or "
            "are corrupt",
        ),
        ({"consent_by": NOW}, "the refresh token expired on 2026-01-01"),
    ],
)
def test_the_problem_names_what_the_user_must_do_and_why(changes: dict[str, Any], reason: str) -> None:
    assert problem(**changes) == f"A user must authorize the connection: {reason}."
    assert problem("refresh_token", **changes) == (
        f"The connection needs a new refresh token: {reason}. Obtain one and enter it in the field Refresh token."
    )
