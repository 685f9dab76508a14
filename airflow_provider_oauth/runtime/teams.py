"""Refuses connections in tasks of a team (``[core] multi_team``), which Airflow keeps apart from other tasks."""

from __future__ import annotations

import logging
from functools import cache

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.runtime.compat import task_team, team_is_unknown

log = logging.getLogger(__name__)


def check_team(conn_id: str) -> None:
    """Refuse a connection in a task whose DAG belongs to a team.

    The Variables that such a task creates belong to its team. Tasks of other teams and the API server do not find them,
    but overwrite them. So tokens would be lost, and refresh tokens used twice.

    :param conn_id: ID of the connection
    :raises ConfigurationError: if the DAG of this task belongs to a team
    """
    if team := task_team():
        raise ConfigurationError(
            f"Connection {conn_id!r}: the DAG of this task belongs to the team {team!r} ([core] multi_team). Teams are "
            "not supported, because Airflow keeps the Variables with the tokens apart for each team. Use the "
            "connection in a DAG that belongs to no team."
        )
    if team_is_unknown():
        _warn(conn_id)


@cache
def _warn(conn_id: str) -> None:
    """Log the warning once per process and connection."""
    log.warning(
        "Connection %r: [core] multi_team is on, and Airflow 3.2 does not tell a task whether its DAG belongs to a "
        "team. Use the connection only in DAGs that belong to no team: teams are not supported, and tokens would be "
        "lost.",
        conn_id,
    )
