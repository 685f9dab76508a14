"""The mark of a task in its Variable: reading, writing, and runs that write at the same moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_oauth.runtime.mark_record import MarkName, MarkSettings
from airflow_provider_oauth.runtime.mark_store import MarkStore

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAME = MarkName(dag_id="crm", task_id="contacts")


def settings(**changes: Any) -> MarkSettings:
    values: dict[str, Any] = {
        "conn_id": "shop",
        "initial": "100",
        "format": "int",
        "timezone": None,
        "fingerprint": {"endpoint": "a"},
        "since_of": lambda mark: mark,
        "end_of": lambda started: None,
        "position": int,
    }
    return MarkSettings(**(values | changes))


def test_the_next_run_reads_from_the_mark_that_a_run_has_reached(variables: dict[str, str]) -> None:
    store = MarkStore(NAME)
    run = store.begin("run1", NOW, settings(), NOW)
    store.confirm("run1", run, settings())
    store.finish("run1", run, "150", settings())

    assert run.since == "100"
    assert store.begin("run2", NOW + timedelta(days=1), settings(), NOW).since == "150"
    assert list(variables) == [NAME.variable]
