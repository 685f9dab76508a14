"""What people are shown of a connection, wherever it is defined."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.secrets import BaseSecretsBackend
from airflow.secrets.environment_variables import EnvironmentVariablesBackend
from airflow.secrets.metastore import MetastoreBackend

from airflow_provider_oauth.management import connections
from airflow_provider_oauth.management.grants import Status
from tests.connections import oauth_config

if TYPE_CHECKING:
    from collections.abc import Callable


# Airflow drops the last three, but in a task.
@pytest.mark.parametrize("conn_id", ["shop", "team/shop#1", "team shop", "shöp?", "<b>shop</b>"])
def test_a_connection_of_the_environment_keeps_its_id(define_connection: Callable[..., None], conn_id: str) -> None:
    define_connection(conn_id)

    assert connections.config_of(conn_id).conn_id == conn_id


def test_what_is_wrong_is_said_in_place_of_what_is_not_known(define_connection: Callable[..., None]) -> None:
    define_connection("shop", grant_url=None)
    shown = connections.overview("shop")

    assert (shown.conn_type, shown.config, shown.status) == ("oauth", None, None)
    assert "Token URL" in shown.error


class FakeVault(BaseSecretsBackend):
    """Finds connections by their ID only."""


class TestUnlisted:
    def test_names_the_environment_variables_of_our_types(
        self, define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        define_connection("shop")
        define_connection("listed")
        define_connection("plain", conn_type="http")
        monkeypatch.setenv("AIRFLOW_CONN_URI", "justimmo://app:fake-secret@/")
        monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "{")

        found = connections.unlisted(["Listed"])
        assert found == (["AIRFLOW_CONN_SHOP", "AIRFLOW_CONN_URI"], [])

    def test_names_the_secrets_backend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        backends = [FakeVault(), EnvironmentVariablesBackend(), MetastoreBackend()]
        monkeypatch.setattr(connections, "ensure_secrets_loaded", lambda: backends)

        assert connections.unlisted([]).backends == ["FakeVault"]


NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = oauth_config(grant_type="authorization_code")
STATUS = Status(token=None, usable=False, changed=False, needs_consent=False, consent_by=None, error="")


class TestProblem:
    def problem(self, error: str = "", grant_type: str = "authorization_code", **status: Any) -> str:
        shown = connections.Overview(
            conn_id="shop",
            config=replace(CONFIG, grant_type=grant_type),
            status=replace(STATUS, **status),
            error=error,
        )
        return shown.problem(NOW)

    def test_is_none_of_a_connection_that_tasks_can_renew(self) -> None:
        assert self.problem() == self.problem(consent_by=NOW + timedelta(seconds=1)) == ""
        assert self.problem(grant_type="client_credentials") == ""

    def test_is_the_error_of_a_connection_that_is_invalid_or_was_refused(self) -> None:
        assert self.problem("Token URL is missing") == "Token URL is missing"
        assert connections.Overview(conn_id="shop", error="It cannot be read").problem(NOW) == "It cannot be read"

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            ({"needs_consent": True}, "no refresh token is stored"),
            (
                {"needs_consent": True, "changed": True},
                "the stored tokens are for another client, secret, user, URL or scope, or are damaged",
            ),
            ({"consent_by": NOW}, "the refresh token expired on 2026-01-01"),
        ],
    )
    def test_says_what_a_person_has_to_do(self, status: dict[str, Any], reason: str) -> None:
        assert self.problem(**status) == f"A user has to authorize the connection: {reason}."
        pasted = self.problem(grant_type="refresh_token", **status)
        assert pasted == f"A new refresh token must be entered in Refresh token: {reason}."
