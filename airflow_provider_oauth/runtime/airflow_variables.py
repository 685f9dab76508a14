"""Reads and writes Airflow Variables, in tasks, in the triggerer, in the API server and on the command line.

No other module touches Variables.
"""

from __future__ import annotations

import re
import sys

from airflow.providers.common.compat.sdk import conf

from airflow_provider_oauth.tokens.record import fingerprint

#: Longest name of an Airflow Variable.
MAX_NAME = 250


def _in_task() -> bool:
    """Return whether this process is a task or a triggerer, which reach the database only through their supervisor."""
    return hasattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS")


def get_variable(name: str) -> str | None:
    """Return the value of a Variable; None if there is none, or if Airflow hides that the read failed."""
    if _in_task():
        from airflow.sdk import Variable

        value = Variable.get(name, default=None)
    else:
        from airflow.models.variable import Variable as CoreVariable

        value = CoreVariable.get(name, default_var=None)
    return value if isinstance(value, str) else None


def set_variable(name: str, value: str, description: str) -> None:
    """Write a Variable, which may exist."""
    if _in_task():
        from airflow.sdk import Variable

        Variable.set(name, value, description=description)
    else:
        from airflow.models.variable import Variable as CoreVariable

        CoreVariable.set(name, value, description=description)


def is_listed(name: str) -> bool | None:
    """Return whether the list of Variables has this one; None if this Airflow cannot list them.

    A database error is raised here, while ``get_variable`` returns None for it.
    """
    if not _in_task():
        from airflow.models.variable import Variable as CoreVariable
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            return session.scalar(select(CoreVariable.key).where(CoreVariable.key == name)) is not None
    from airflow.sdk import Variable

    keys = getattr(Variable, "keys", None)  # since 3.3
    # With several teams the list leaves out Variables that belong to no team, though ``get`` finds them.
    if keys is None or conf.getboolean("core", "multi_team", fallback=False):
        return None
    return name in keys(prefix=name)


def write_pending(conn_id: str, text: str) -> None:
    """Store the authorization request of a connection that is under way; it replaces an earlier one.

    :param conn_id: ID of the connection
    :param text: what to store, without a secret
    """
    from airflow.models.variable import Variable as CoreVariable

    description = f"Authorization request of the connection {conn_id}. It expires after 10 minutes."
    CoreVariable.set(variable_name("oauth_consent__", conn_id), text, description=description)


def read_pending(conn_id: str) -> str | None:
    """Return what ``write_pending`` stored; None if there is nothing."""
    return get_variable(variable_name("oauth_consent__", conn_id))


def delete_pending(conn_id: str) -> bool:
    """Delete the stored authorization request. Return whether this call deleted it: of several, only one does."""
    from airflow.models.variable import Variable as CoreVariable

    return CoreVariable.delete(variable_name("oauth_consent__", conn_id)) == 1


def variable_name(prefix: str, conn_id: str) -> str:
    """Return the name of a connection's Variable.

    A conn_id that is too long, or has characters that a name must not have, is shortened and gets a fingerprint.
    """
    name = prefix + conn_id
    if len(name) <= MAX_NAME and re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        return name
    return f"{prefix}{re.sub('[^A-Za-z0-9_.-]', '-', conn_id)[:180]}-{fingerprint(conn_id, '')}"
