"""The connections of our types, as Airflow's command line and its pages see them: not in a task."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from airflow.configuration import ensure_secrets_loaded
from airflow.models import Connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.secrets.environment_variables import CONN_ENV_PREFIX, EnvironmentVariablesBackend
from airflow.secrets.metastore import MetastoreBackend
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_oauth.connection import preset_of, preset_of_type, read_connection
from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError
from airflow_provider_oauth.management import grants

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from airflow_provider_oauth.management.grants import Status
    from airflow_provider_oauth.protocol.config import OAuthConfig


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What people are shown of a connection.

    :param conn_id: its ID
    :param conn_type: its type
    :param config: what it means, if that can be told
    :param status: what is known of its grant, if that can be told
    :param error: why it cannot, or what the server said at the last renewal
    """

    conn_id: str
    conn_type: str = ""
    config: OAuthConfig | None = None
    status: Status | None = None
    error: str = ""

    @property
    def token(self) -> str:
        """What its token is, in a word: usable, ended, none, changed, unknown."""
        if self.status is None:
            return "unknown"
        if self.status.token is None:
            return "changed" if self.status.changed else "none"
        return "usable" if self.status.usable else "ended"

    def problem(self, now: datetime) -> str:
        """Return why a person has to act, and how; "" if nobody has to.

        :param now: aware time of day
        """
        if self.error:
            return self.error
        if self.config is None or self.status is None:
            return ""
        if self.status.consent_by and self.status.consent_by <= now:
            reason = f"the refresh token expired on {self.status.consent_by:%Y-%m-%d}"
        elif self.consent != "needed":
            return ""
        elif self.status.changed:
            reason = "the stored tokens are for another client, secret, user, URL or scope, or are damaged"
        else:
            reason = "no refresh token is stored"
        if self.config.grant_type == "authorization_code":
            return f"A user has to authorize the connection: {reason}."
        return f"A new refresh token must be entered in Refresh token: {reason}."

    @property
    def consent(self) -> str:
        """Whether a person has consented: needed, given, or nothing where nobody has to."""
        if self.config is None or self.status is None or not self.config.requires_refresh_token:
            return ""
        return "needed" if self.status.needs_consent else "given"


def conn_ids(session: Session) -> list[str]:
    """Return the IDs of the connections of our types that are in the database, sorted."""
    found = session.execute(select(Connection.conn_id, Connection.conn_type).order_by(Connection.conn_id)).all()
    return [conn_id for conn_id, conn_type in found if _is_our_type(conn_type)]


class Unlisted(NamedTuple):
    """Where connections are that ``conn_ids`` does not list.

    :param variables: environment variables of this process that define connections of our types
    :param backends: class names of the secrets backends; they find a connection by its ID, but cannot list any
    """

    variables: list[str]
    backends: list[str]


def unlisted(listed: list[str]) -> Unlisted:
    """Return where there are, or may be, connections of our types besides those that are listed.

    :param listed: the result of ``conn_ids``
    """
    known = {CONN_ENV_PREFIX + conn_id.upper() for conn_id in listed}
    variables = [name for name in sorted(os.environ) if name.startswith(CONN_ENV_PREFIX) and name not in known]
    own = (EnvironmentVariablesBackend, MetastoreBackend)
    backends = [type(each).__name__ for each in ensure_secrets_loaded() if not isinstance(each, own)]
    return Unlisted([name for name in variables if _is_our_type(_type_in_environment(name))], backends)


def _type_in_environment(name: str) -> str | None:
    """Return the type of the connection in an environment variable; None if it cannot be read."""
    try:
        found = EnvironmentVariablesBackend().get_connection(name.removeprefix(CONN_ENV_PREFIX))
    except Exception:  # neither JSON nor a URI
        return None
    return found.conn_type if found else None


def config_of(conn_id: str) -> OAuthConfig:
    """Return what a connection means, wherever it is defined: as for a task, the environment wins over the database.

    :raises ConfigurationError: if there is none, it is not of our types, or makes no sense
    """
    return _config(_connection(conn_id))


def is_elsewhere(conn_id: str) -> bool:
    """Tell whether there is such a connection of our types, but not in the database: say in the environment."""
    with create_session() as session:
        if _is_our_type(session.scalar(select(Connection.conn_type).where(Connection.conn_id == conn_id))):
            return False
    try:
        check(conn_id)
    except ConfigurationError:
        return False
    return True


def check(conn_id: str) -> None:
    """Make sure that there is such a connection, and that it is of our types, though it may make no sense.

    :raises ConfigurationError: if not
    """
    _check_type(_connection(conn_id))


def overview(conn_id: str) -> Overview:
    """Return what people are shown of a connection: an error in place of what keeps it from being known."""
    conn_type, config = "", None
    try:
        connection = _connection(conn_id)
        conn_type = connection.conn_type or ""
        config = _config(connection)
        status = grants.status(config)
    except OAuthError as error:
        return Overview(conn_id=conn_id, conn_type=conn_type, config=config, error=str(error))
    except Exception as error:  # extra that is no JSON, another Fernet key: one row, not the end of the list
        problem = f"The connection cannot be read ({type(error).__name__})."
        return Overview(conn_id=conn_id, conn_type=conn_type, error=problem)
    return Overview(conn_id=conn_id, conn_type=conn_type, config=config, status=status, error=status.error)


def _connection(conn_id: str) -> Connection:
    try:
        connection = Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        # So Airflow says too if it was encrypted with another Fernet key.
        raise ConfigurationError(f"There is no connection {conn_id!r} that Airflow can read.") from None
    # Not in a task, Airflow drops an ID that its form would not take, say one with a space, of the environment.
    connection.conn_id = conn_id
    return connection


def _config(connection: Connection) -> OAuthConfig:
    _check_type(connection)
    return read_connection(connection, preset_of(connection))


def _check_type(connection: Connection) -> None:
    if not _is_our_type(connection.conn_type):
        raise ConfigurationError(
            f"Connection {connection.conn_id!r} is of type {connection.conn_type!r}, not of an OAuth 2.0 type."
        )


@cache
def _is_our_type(conn_type: str | None) -> bool:
    return preset_of_type(conn_type) is not None
