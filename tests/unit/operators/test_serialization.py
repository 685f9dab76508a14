"""What Airflow stores of a DAG: the same in every process, and no values of headers and bodies.

Airflow creates a new version of the DAG whenever the stored text changes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from airflow_provider_oauth.hooks.task import ReportsFailure
from tests.documents import DOCS


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


def without_location(text: str) -> Any:
    return json.loads(re.sub(r'"_processor_dags_folder": "[^"]*"', "", text))


def test_the_stored_dag_is_the_same_in_every_process(stored: list[str]) -> None:
    assert stored[0] == stored[1]
    assert " at 0x" not in stored[0]


def test_the_stored_dag_has_no_values_of_headers_and_bodies(stored: list[str]) -> None:
    assert "private" not in stored[0]
    assert "headers=***" in stored[0]


def test_the_stored_dag_has_the_other_values(stored: list[str]) -> None:
    for value in ("visible", "ErrorRule('stop', status=(400, 404, 410))", "CursorPaginator(", "status == 'done'"):
        assert value in stored[0]


def test_every_kind_of_operator_is_in_the_stored_dag(stored: list[str]) -> None:
    tasks = json.loads(stored[0])["dag"]["tasks"]
    used = {task["__var"]["task_type"] for task in tasks}
    modules = {cls.__module__ for cls in _subclasses(ReportsFailure) if cls.__name__ in used}
    assert modules >= {
        f"airflow_provider_oauth.{name}"
        for name in ("operators.extract", "operators.oauth", "operators.joor", "operators.justlogin")
    } | {"airflow_provider_oauth.sensors.oauth", "airflow_provider_oauth.operators.justimmo"}


def _subclasses(cls: type) -> set[type]:
    found = set(cls.__subclasses__())
    return found.union(*map(_subclasses, found))
