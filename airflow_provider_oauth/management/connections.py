"""Lists and reads connections of this package's types, for the API server and the command line, not for tasks."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from airflow.models import Connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.secrets.environment_variables import CONN_ENV_PREFIX, EnvironmentVariablesBackend
from airflow.secrets.metastore import MetastoreBackend
from airflow.utils.session import create_session
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_oauth.connection import preset_of, preset_of_type, read_connection
from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.management.status import ConnectionStatus
from airflow_provider_oauth.runtime.compat import secrets_backends

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_oauth.protocol.config import OAuthConfig


def list_conn_ids(session: Session) -> list[str]:
    """Return the IDs of all OAuth 2.0 connections in the database, sorted."""
    found = session.execute(select(Connection.conn_id, Connection.conn_type).order_by(Connection.conn_id)).all()
    return [conn_id for conn_id, conn_type in found if _is_oauth_type(conn_type)]


class UnlistedSources(NamedTuple):
    """Where Airflow finds connections that are not in its database.

    :param variables: environment variables of this process that define connections of OAuth 2.0 types
    :param backends: class names of the secrets backends; they find a connection by its ID but cannot list connections
    """

    variables: list[str]
    backends: list[str]


def unlisted_sources(listed: list[str]) -> UnlistedSources:
    """Return where Airflow may find OAuth 2.0 connections that are not in its database.

    :param listed: IDs of the connections in the database, from ``list_conn_ids``
    """
    known = {CONN_ENV_PREFIX + conn_id.upper() for conn_id in listed}
    variables = [name for name in sorted(os.environ) if name.startswith(CONN_ENV_PREFIX) and name not in known]
    built_in = (EnvironmentVariablesBackend, MetastoreBackend)
    backends = [type(each).__name__ for each in secrets_backends() if not isinstance(each, built_in)]
    return UnlistedSources([name for name in variables if _is_oauth_type(_type_in_environment(name))], backends)


def get_config(conn_id: str) -> OAuthConfig:
    """Return the settings of a connection.

    As in tasks, secrets backends and the environment take precedence over the database.

    :param conn_id: ID of the connection
    :raises ConfigurationError: if the connection does not exist, has another type, or is invalid
    """
    return _read(_get_connection(conn_id))


def get_status(conn_id: str) -> ConnectionStatus:
    """Return the status of a connection. If the connection cannot be read, the status contains the error.

    :param conn_id: ID of the connection
    """
    unknown = ConnectionStatus(conn_id=conn_id, is_known=False)
    try:
        connection = _get_connection(conn_id)
        unknown = replace(unknown, conn_type=connection.conn_type or "")
        config = _read(connection)
        unknown = replace(unknown, config=config)
        return replace(grants.status(config), conn_type=unknown.conn_type)
    except OAuthError as error:
        return replace(unknown, error=str(error))
    except Exception as error:
        # For example, the connection was encrypted with another Fernet key. It must not hide the other connections.
        return replace(unknown, error=_cannot_be_read(conn_id, error))


def _cannot_be_read(conn_id: str, error: Exception) -> str:
    return (
        f"Connection {conn_id!r}: it cannot be read ({type(error).__name__}). Check [core] fernet_key, or save the "
        f"connection again."
    )


def check_exists(conn_id: str) -> None:
    """Check that a connection exists and is of an OAuth 2.0 type. Its fields are not checked.

    :param conn_id: ID of the connection
    :raises ConfigurationError: if it does not exist or has another type
    """
    _check_type(_get_connection(conn_id))


def is_outside_database(conn_id: str) -> bool:
    """Return whether a connection of an OAuth 2.0 type exists outside the database, for example in the environment.

    :param conn_id: ID of the connection
    """
    with create_session() as session:
        if _is_oauth_type(session.scalar(select(Connection.conn_type).where(Connection.conn_id == conn_id))):
            return False
    try:
        check_exists(conn_id)
    except ConfigurationError:
        return False
    return True


def _type_in_environment(name: str) -> str | None:
    """Return the type of the connection in an environment variable; None if it cannot be read."""
    try:
        found = EnvironmentVariablesBackend().get_connection(name.removeprefix(CONN_ENV_PREFIX))
    except Exception:  # the value is neither JSON nor a URI
        return None
    return found.conn_type if found else None


def _get_connection(conn_id: str) -> Connection:
    try:
        connection = Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        if team := _team_of(conn_id):
            raise ConfigurationError(
                f"Connection {conn_id!r} belongs to the team {team!r} ([core] multi_team). Connections of teams are "
                "not supported, because Airflow keeps the Variables with the tokens apart for each team. Remove the "
                "team from the connection, and use it only in DAGs that belong to no team."
            ) from None
        # Airflow raises this as well if the connection was encrypted with another Fernet key.
        raise ConfigurationError(
            f"Connection {conn_id!r} does not exist, or Airflow cannot decrypt it. Check the ID and [core] fernet_key."
        ) from None
    # Outside tasks, Airflow does not set conn_id of a connection in an environment variable if the connection form
    # would not accept the ID, for example because of a space.
    connection.conn_id = conn_id
    return connection


def _team_of(conn_id: str) -> str | None:
    """Return the team of a connection in the database. Airflow does not find such a connection here."""
    with suppress(SQLAlchemyError):  # the connection may be elsewhere
        team: str | None = Connection.get_team_name(conn_id)
        return team
    return None


def _read(connection: Connection) -> OAuthConfig:
    _check_type(connection)
    return read_connection(connection, preset_of(connection))


def _check_type(connection: Connection) -> None:
    if not _is_oauth_type(connection.conn_type):
        raise ConfigurationError(
            f"Connection {connection.conn_id!r} is of type {connection.conn_type!r}, which is not an OAuth 2.0 type. "
            f"Change its type, or choose another connection."
        )


@cache
def _is_oauth_type(conn_type: str | None) -> bool:
    return preset_of_type(conn_type) is not None
