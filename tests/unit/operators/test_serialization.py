"""What Airflow stores of a DAG: the same in every process, and no values of headers and bodies.

Airflow creates a new version of the DAG whenever the stored text changes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.documents import DOCS
from tests.unit.error_texts import PACKAGE


def serialized(hash_seed: int) -> str:
    """Return the serialized DAG of a process with another order of sets."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.unit.operators.serialized_dags"],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"},
        cwd=DOCS.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def stored() -> list[str]:
    return [serialized(1), serialized(2)]


def test_the_stored_dag_is_the_same_in_every_process(stored: list[str]) -> None:
    assert stored[0] == stored[1]
    assert " at 0x" not in stored[0]


def test_the_stored_dag_has_no_values_of_headers_and_bodies(stored: list[str]) -> None:
    assert "private" not in stored[0]
    assert "headers=***" in stored[0]


def test_the_stored_dag_has_the_other_values(stored: list[str]) -> None:
    for value in ("visible", "ErrorRule('stop', status=(400, 404, 410))", "CursorPaginator(", "status == 'done'"):
        assert value in stored[0]


def test_every_module_with_operators_is_in_the_stored_dag(stored: list[str]) -> None:
    tasks = json.loads(stored[0])["dag"]["tasks"]
    used = {task["__var"]["_task_module"].removeprefix("airflow_provider_oauth.") for task in tasks}
    modules = {
        f"{folder}.{path.stem}" for folder in ("operators", "sensors") for path in (PACKAGE / folder).glob("*.py")
    }
    with_tasks = {name for name in modules if "(ReportsFailure" in source(name) or "Task, " in source(name)}
    assert used >= {"operators.extract", "operators.oauth", "operators.joor", "operators.justlogin", "sensors.oauth"}
    assert with_tasks <= used


def source(module: str) -> str:
    return (PACKAGE / f"{module.replace('.', '/')}.py").read_text()
