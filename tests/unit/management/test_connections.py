"""Reading connections on the API server and on the command line, from all places in which they can be defined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.secrets import BaseSecretsBackend
from airflow.secrets.environment_variables import EnvironmentVariablesBackend
from airflow.secrets.metastore import MetastoreBackend
from sqlalchemy.exc import OperationalError

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.management import connections

if TYPE_CHECKING:
    from collections.abc import Callable


# Outside tasks, Airflow itself drops the last three.
@pytest.mark.parametrize("conn_id", ["shop", "team/shop#1", "team shop", "shöp?", "<b>shop</b>"])
def test_a_connection_in_the_environment_keeps_its_id(define_connection: Callable[..., None], conn_id: str) -> None:
    define_connection(conn_id)

    assert connections.get_config(conn_id).conn_id == conn_id


def test_the_status_of_an_invalid_connection_has_the_error(define_connection: Callable[..., None]) -> None:
    define_connection("shop", grant_url=None)
    status = connections.get_status("shop")

    assert (status.conn_type, status.config, status.is_known) == ("oauth", None, False)
    assert "Token URL" in status.error


def test_the_status_has_the_type_and_the_stored_token(
    define_connection: Callable[..., None], variables: dict[str, str]
) -> None:
    define_connection("shop")
    status = connections.get_status("shop")

    assert (status.conn_id, status.conn_type, status.error, status.token_state) == ("shop", "oauth", "", "none")


class FakeVault(BaseSecretsBackend):
    """Finds connections only by their ID."""


def test_unlisted_sources_are_the_environment_variables_with_oauth_types(
    define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    define_connection("shop")
    define_connection("listed")
    define_connection("plain", conn_type="http")
    monkeypatch.setenv("AIRFLOW_CONN_URI", "justimmo://app:fake-secret@/")
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "{")

    found = connections.unlisted_sources(["Listed"])
    assert found == (["AIRFLOW_CONN_SHOP", "AIRFLOW_CONN_URI"], [])


def test_unlisted_sources_include_the_secrets_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    backends = [FakeVault(), EnvironmentVariablesBackend(), MetastoreBackend()]
    monkeypatch.setattr(connections, "secrets_backends", lambda: backends)

    assert connections.unlisted_sources([]).backends == ["FakeVault"]


def test_a_connection_of_a_team_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections.Connection, "get_team_name", {"ours": "sales"}.get)

    with pytest.raises(ConfigurationError) as caught:
        connections.get_config("ours")

    assert str(caught.value) == (
        "Connection 'ours' belongs to the team 'sales' ([core] multi_team). Connections of teams are not supported, "
        "because Airflow keeps the Variables with the tokens apart for each team. Remove the team from the connection, "
        "and use it only in DAGs that belong to no team."
    )
    assert connections.get_status("ours").error == str(caught.value)
    with pytest.raises(ConfigurationError, match="'other' does not exist"):
        connections.get_config("other")


def test_a_connection_that_is_not_found_does_not_exist_even_if_its_team_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(conn_id: str) -> None:
        raise OperationalError("select", {}, Exception())

    monkeypatch.setattr(connections.Connection, "get_team_name", fail)

    with pytest.raises(ConfigurationError, match="'other' does not exist"):
        connections.get_config("other")
