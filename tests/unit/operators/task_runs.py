"""Contexts of tasks for the tests of operators that depend on their DAG run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

FIRST_RUN = datetime(2026, 1, 1, tzinfo=UTC)


def context(run: int = 1, *, try_number: int = 1, map_index: int = -1, run_id: str | None = None) -> Any:
    """Return the context of a task in a daily run.

    :param run: the number of the run; the first one is 1
    """
    run_id = run_id or f"run_{run}"
    run_after = FIRST_RUN + timedelta(days=run - 1)
    return {
        "ti": SimpleNamespace(
            dag_id="crm", run_id=run_id, task_id="contacts", map_index=map_index, try_number=try_number
        ),
        "dag_run": SimpleNamespace(run_id=run_id, run_after=run_after),
        "run_id": run_id,
    }
