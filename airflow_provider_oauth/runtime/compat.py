"""Symbols of Airflow that are private, or that differ between its versions. Each one has a test."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.module_loading import import_string
from airflow.providers.common.compat.sdk import conf

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime


def has_supervisor() -> bool:
    """Return whether this process is a task or a triggerer, which reach the database only through their supervisor."""
    return hasattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS")


def variable_keys(prefix: str) -> Collection[str] | None:
    """Return the names of the Variables that start with ``prefix``; None if a task cannot list them.

    In Airflow 3.2, a task cannot list Variables. With several teams (``[core] multi_team``), the list omits Variables
    that belong to no team, although ``Variable.get`` finds them, so it is not used.
    """
    from airflow.sdk import Variable

    keys = getattr(Variable, "keys", None)  # since Airflow 3.3
    if keys is None or conf.getboolean("core", "multi_team", fallback=False):
        return None
    found: Collection[str] = keys(prefix=prefix)
    return found


def task_team() -> str | None:
    """Return the team to which the DAG of this task belongs; None if it belongs to none, or if it is not known.

    It is not known in Airflow 3.2 and in the triggerer.
    """
    return os.environ.get("AIRFLOW_CTX_TEAM_NAME")


def team_is_unknown() -> bool:
    """Return whether this is a task with Airflow 3.2 and ``[core] multi_team``, which may belong to a team."""
    if not (has_supervisor() and conf.getboolean("core", "multi_team", fallback=False)):
        return False
    from airflow.sdk import Variable

    return not hasattr(Variable, "keys")  # since Airflow 3.3


def unmask(texts: Iterable[str]) -> None:
    """Stop masking ``texts`` in logs.

    Airflow has no public function for this. If the private one changes, the texts stay masked, which only makes logging
    slower.
    """
    with suppress(ImportError, AttributeError):
        from airflow.sdk._shared.secrets_masker import _secrets_masker

        # Airflow compiles the remaining patterns when the next secret is masked.
        _secrets_masker().patterns.difference_update(map(re.escape, texts))


def allow_database_connections() -> None:
    """Let a command read connections from the database, as ``airflow connections test`` does."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"


def secrets_backends() -> list[Any]:
    """Return the backends in which the API server and commands look for connections and Variables."""
    from airflow.configuration import ensure_secrets_loaded

    return list(ensure_secrets_loaded())


def read_dag(dag_id: str) -> Any:
    """Return a DAG as it is stored in the database, for commands; None if it is not there."""
    from airflow.models.serialized_dag import SerializedDagModel

    return SerializedDagModel.get_dag(dag_id)


def read_run_after(dag_id: str, run_id: str) -> datetime | None:
    """Return ``run_after`` of a DAG run, for commands; None if there is no such run."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        run_after: datetime | None = session.scalar(
            select(DagRun.run_after).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        )
    return run_after


def api_server_key() -> str:
    """Return the key that signs cookies and forms: ``[api] secret_key``, or a random one of this process."""
    from airflow.api_fastapi.auth.tokens import get_signing_key

    return str(get_signing_key("api", "secret_key"))


def has_lineage_readers() -> bool:
    """Return whether a plugin reads the lineage of hooks.

    Without one, Airflow's collector ignores what it gets, but creating it imports modules of all providers, which takes
    about 0.4 s. If the private function changes, the collector is created anyway.
    """
    try:
        from airflow.sdk.plugins_manager import get_hook_lineage_readers_plugins
    except ImportError:
        return True
    return bool(get_hook_lineage_readers_plugins())


def hook_class(conn_type: str | None) -> Any:
    """Return the hook class that a provider registers for a connection type; None if there is none or its import fails.

    This works in a task, in the triggerer, in the API server and on the command line. No hook is created, because a
    hook of another provider could open a connection.
    """
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    info = ProvidersManagerTaskRuntime().hooks.get(conn_type or "")
    try:
        return None if info is None else import_string(info.hook_class_name)
    except Exception:  # importing another provider's module can raise anything
        return None
