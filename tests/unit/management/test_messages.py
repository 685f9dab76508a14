"""Sentences that the page and the command line share."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_oauth.management import messages
from airflow_provider_oauth.protocol.token import Token
from tests.connections import oauth_config

ISSUED = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)


def test_a_result_names_the_time_until_which_the_token_is_valid() -> None:
    token = Token(access_token="fake-access", issued_at=ISSUED, expires_at=datetime(2026, 1, 1, 11, 0, tzinfo=UTC))

    assert messages.renewed(token) == "the token was renewed. The token is valid until 2026-01-01 11:00 UTC."


def test_a_result_reports_that_a_token_never_expires() -> None:
    token = Token(access_token="fake-access", issued_at=ISSUED, expires_at=None)

    assert messages.renewed(token) == "the token was renewed. The token never expires."


@pytest.mark.parametrize(("count", "tokens"), [(1, "1 token"), (2, "2 tokens")])
def test_the_result_of_a_revocation_has_the_number_of_tokens(count: int, tokens: str) -> None:
    assert messages.revoked(count) == f"the server revoked {tokens}, and Airflow deleted the stored tokens."


@pytest.mark.parametrize(
    ("grant_type", "next_step"),
    [
        ("authorization_code", " A user must then authorize the connection again."),
        ("refresh_token", " After that, tasks fail until you enter a new refresh token in the connection."),
        ("client_credentials", ""),
    ],
)
def test_the_consequences_of_a_deletion_include_what_a_user_must_do_next(grant_type: str, next_step: str) -> None:
    for action in ("revoke", "forget"):
        assert (
            messages.consequences(action, oauth_config(grant_type=grant_type))
            == messages.CONSEQUENCES[action] + next_step
        )
