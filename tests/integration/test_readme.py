"""What the README shows works, and it shows everything."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from airflow.sdk import DAG, Connection

from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.fields import FIELDS

README = (Path(__file__).parents[2] / "README.md").read_text()
CONNECTIONS = re.findall(r"^```json\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
DAGS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
ROWS = "\n".join(line.split("|")[1] for line in README.splitlines() if line.startswith("| `"))


def test_there_are_blocks_to_test():
    assert len(CONNECTIONS) == 3
    assert len(DAGS) == 1


@pytest.mark.parametrize("text", CONNECTIONS)
def test_every_connection_shown_makes_sense_and_is_protected_from_stock_code(text):
    values = json.loads(text)
    connection = Connection(conn_id="shown", **{**values, "extra": json.dumps(values["extra"])})
    assert read_connection(connection).warnings == ()
    assert isinstance(values["extra"]["leeway"], int)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_in_the_table(name):
    assert f"`{name}`" in ROWS


def test_the_table_knows_no_other_field():
    assert set(re.findall(r"`(\w+)`", ROWS)) <= set(FIELDS)


@pytest.mark.parametrize("text", DAGS)
def test_every_dag_shown_is_one(text):
    found = {}
    exec(compile(text, "README.md", "exec"), found)  # noqa: S102 - our own README
    dag = found["customers"]()
    assert isinstance(dag, DAG)
    assert dag.task_ids == ["list"]
