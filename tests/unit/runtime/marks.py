"""Builders for tests of marks: integers as values, and runs by their numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_oauth.runtime.mark_record import MarkName, MarkRecord, MarkSettings

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAME = MarkName(dag_id="crm", task_id="contacts")
LOOKBACK = 5


def settings(**changes: Any) -> MarkSettings:
    """Return settings of a task with integers from 100 on; ``changes`` replace fields."""
    values: dict[str, Any] = {
        "conn_id": "shop",
        "initial": "100",
        "format": "int",
        "timezone": None,
        "fingerprint": {"endpoint": "a"},
        "end_of": lambda started: None,
        "position": int,
    }
    values |= changes
    initial = int(values["initial"]) if values["format"] == "int" else 0
    return MarkSettings(since_of=lambda mark: str(max(int(mark) - LOOKBACK, min(int(mark), initial))), **values)


def at(number: int) -> datetime:
    """Return the time of a run."""
    return START + timedelta(hours=number)


def begun(record: MarkRecord | None, number: int, **changes: Any) -> MarkRecord:
    """Return the record after the run ``run<number>`` has begun."""
    record = record or MarkRecord.first(NAME, settings(**changes))
    return record.begin(f"run{number}", at(number), settings(**changes), at(number))[0]


def finished(record: MarkRecord | None, number: int, mark: str | None, **changes: Any) -> MarkRecord:
    """Return the record after the run ``run<number>`` has begun and finished."""
    record = begun(record, number, **changes)
    return record.finish(f"run{number}", record.runs[f"run{number}"], mark, settings(**changes))
