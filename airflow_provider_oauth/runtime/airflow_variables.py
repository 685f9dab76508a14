"""Reads and writes Airflow Variables, in tasks, in the triggerer, in the API server and on the command line.

No other module reads or writes Variables.
"""

from __future__ import annotations

import re

from airflow_provider_oauth.runtime.compat import has_supervisor, variable_keys
from airflow_provider_oauth.tokens.record import fingerprint

#: Maximum length of a Variable's name.
MAX_NAME = 250


def get_variable(name: str) -> str | None:
    """Return the value of a Variable; None if there is none, or if Airflow hides that the read failed."""
    if has_supervisor():
        from airflow.sdk import Variable

        value = Variable.get(name, default=None)
    else:
        from airflow.models.variable import Variable as CoreVariable

        value = CoreVariable.get(name, default_var=None)
    return value if isinstance(value, str) else None


def set_variable(name: str, value: str, description: str) -> None:
    """Create or replace a Variable."""
    if has_supervisor():
        from airflow.sdk import Variable

        Variable.set(name, value, description=description)
    else:
        from airflow.models.variable import Variable as CoreVariable

        CoreVariable.set(name, value, description=description)


def is_listed(name: str) -> bool | None:
    """Return whether a Variable exists; None if it is not known, because a task cannot always list Variables.

    Unlike ``get_variable``, this function never hides that the database failed: it raises the error.
    """
    if has_supervisor():
        keys = variable_keys(prefix=name)
        return None if keys is None else name in keys
    from airflow.models.variable import Variable as CoreVariable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return session.scalar(select(CoreVariable.key).where(CoreVariable.key == name)) is not None


def list_variables(prefix: str) -> list[str]:
    """Return the names of the Variables in Airflow's database that start with ``prefix``. Not for tasks."""
    from airflow.models.variable import Variable as CoreVariable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        names = session.scalars(
            select(CoreVariable.key)
            .where(CoreVariable.key.startswith(prefix, autoescape=True))
            .order_by(CoreVariable.key)
        )
        return list(names)


def write_pending(conn_id: str, text: str) -> None:
    """Store the pending authorization request of a connection. It replaces an earlier one.

    :param conn_id: ID of the connection
    :param text: the request, without secrets
    """
    from airflow.models.variable import Variable as CoreVariable

    description = f"Authorization request of the connection {conn_id}. It expires after 10 minutes."
    CoreVariable.set(variable_name("oauth_consent__", conn_id), text, description=description)


def read_pending(conn_id: str) -> str | None:
    """Return what ``write_pending`` stored; None if there is nothing."""
    return get_variable(variable_name("oauth_consent__", conn_id))


def delete_pending(conn_id: str) -> bool:
    """Delete the pending authorization request.

    :return: whether this call has deleted it; of several simultaneous calls, only one returns True
    """
    from airflow.models.variable import Variable as CoreVariable

    return CoreVariable.delete(variable_name("oauth_consent__", conn_id)) == 1


def variable_name(prefix: str, conn_id: str) -> str:
    """Return the name of a connection's Variable.

    An ID that is too long, or contains characters that the name of a Variable cannot have, is shortened and gets a
    fingerprint.
    """
    name = prefix + conn_id
    if len(name) <= MAX_NAME and re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        return name
    return f"{prefix}{re.sub('[^A-Za-z0-9_.-]', '-', conn_id)[:180]}-{fingerprint(conn_id, '')}"
