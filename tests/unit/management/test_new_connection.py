"""New connections: which IDs are accepted, and what else may define them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models import Connection
from airflow.secrets import BaseSecretsBackend
from airflow.secrets.environment_variables import EnvironmentVariablesBackend
from airflow.secrets.metastore import MetastoreBackend
from sqlalchemy.exc import IntegrityError

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.management import new_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Session:
    """A session of a database.

    :param found: the type of the connection that the database has; None if it has none
    :param fails: whether another user creates the connection before the session ends
    """

    def __init__(self, found: str | None = None, *, fails: bool = False) -> None:
        self.added: list[Any] = []
        self._found = found
        self._fails = fails

    def scalar(self, query: Any) -> str | None:
        return self._found

    def add(self, row: Any) -> None:
        self.added.append(row)

    @contextmanager
    def begin(self) -> Iterator[Session]:
        yield self
        if self.added and self._fails:
            raise IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed"))


def use(monkeypatch: pytest.MonkeyPatch, session: Session) -> Session:
    monkeypatch.setattr(new_connection, "create_session", session.begin)
    return session


@pytest.mark.parametrize("conn_id", ["my acme", "a/b", "x" * 201, ""])
def test_an_id_that_airflow_does_not_accept_is_refused(conn_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Session())
    with pytest.raises(ConfigurationError, match="^The connection ID '.*' is not valid. The key"):
        new_connection.check_new_id(conn_id)


def test_an_id_that_the_database_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    session = use(monkeypatch, Session("http"))
    with pytest.raises(ConfigurationError, match="^Connection 'shop' already exists in Airflow's database. Nothing"):
        new_connection.store(Connection(conn_id="shop", conn_type="oauth"))
    assert session.added == []


def test_a_new_connection_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    session = use(monkeypatch, Session())
    connection = Connection(conn_id="shop", conn_type="oauth")
    new_connection.store(connection)

    assert session.added == [connection]


def test_a_connection_that_another_user_creates_at_the_same_time_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Session(fails=True))
    with pytest.raises(ConfigurationError, match="already exists"):
        new_connection.store(Connection(conn_id="shop", conn_type="oauth"))


class FakeVault(BaseSecretsBackend):
    """Has each connection."""

    def get_connection(self, conn_id: str, *args: Any) -> Any:
        return Connection(conn_id=conn_id, conn_type="oauth")


class BrokenVault(BaseSecretsBackend):
    """Cannot be read."""

    def get_connection(self, conn_id: str, *args: Any) -> Any:
        raise OSError


def test_other_definitions_of_a_connection_are_found(
    define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    define_connection("shop")
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "{")
    backends = [BrokenVault(), FakeVault(), EnvironmentVariablesBackend(), MetastoreBackend()]
    monkeypatch.setattr(new_connection, "secrets_backends", lambda: backends)

    vaults = ["the secrets backend BrokenVault (it cannot be read: OSError)", "the secrets backend FakeVault"]
    assert new_connection.overriding_sources("shop") == [*vaults, "the environment variable AIRFLOW_CONN_SHOP"]
    assert new_connection.overriding_sources("other") == vaults
    (*_, broken) = new_connection.overriding_sources("broken")
    assert broken.startswith("the environment variable AIRFLOW_CONN_BROKEN (it cannot be read: ")
