"""What the README shows works, and it shows everything."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest
from airflow.sdk import DAG, Connection

from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.presets import PRESETS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
VENDORS = (ROOT / "docs" / "vendors.md").read_text()
CONNECTIONS = re.findall(r"^```json\n(.*?)^```", README + VENDORS, re.MULTILINE | re.DOTALL)
DAGS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
TABLE = README.partition("### Fields")[2].partition("### ")[0]
ROWS = "\n".join(line.split("|")[1] for line in TABLE.splitlines() if line.startswith("| `"))


def test_there_are_blocks_to_test():
    assert len(CONNECTIONS) == 7
    assert len(DAGS) == 1


@pytest.mark.parametrize("text", CONNECTIONS)
def test_every_connection_shown_makes_sense_and_is_protected_from_stock_code(text):
    values = json.loads(text)
    connection = Connection(conn_id="shown", **{**values, "extra": json.dumps(values["extra"])})
    assert read_connection(connection, PRESETS[values["conn_type"]]).warnings == ()
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


@pytest.mark.parametrize("module", ["justlogin", "justimmo", "joor"])
def test_every_operator_of_a_vendor_is_named_in_readme_and_docs(module):
    found = vars(importlib.import_module(f"airflow_provider_oauth.operators.{module}"))
    names = [name for name in found if name.endswith("Operator") and name.lower().startswith(module)]
    assert names
    for name in names:
        assert f"`{name}`" in README
        assert f"`{name}`" in VENDORS
