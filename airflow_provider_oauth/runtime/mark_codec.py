"""Converts the record of a mark to and from the JSON in its Variable."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.runtime.mark_record import MarkName, MarkRecord, Run

if TYPE_CHECKING:
    from collections.abc import Mapping


def encode(record: MarkRecord) -> str:
    """Return the JSON of a record. Users can read it in Airflow's list of Variables."""
    values = {
        "dag_id": record.name.dag_id,
        "task_id": record.name.task_id,
        "key": record.name.key,
        "mark": record.mark,
        "is_initial": record.is_initial,
        "fingerprint": record.fingerprint,
        "format": record.format,
        "timezone": record.timezone,
        "runs": {run_id: _run_values(run) for run_id, run in record.runs.items()},
    }
    return json.dumps(values, ensure_ascii=False)


def decode(text: str) -> MarkRecord:
    """Return the record in a JSON text.

    :raises ValueError: if the text is not such JSON
    """
    try:
        values = json.loads(text)
        name = MarkName(
            dag_id=_text(values["dag_id"]), task_id=_text(values["task_id"]), key=_text_or_none(values["key"])
        )
        fingerprint = values["fingerprint"]
        return MarkRecord(
            name=name,
            mark=_text(values["mark"]),
            is_initial=_flag(values["is_initial"]),
            fingerprint=None if fingerprint is None else {name: _text(each) for name, each in fingerprint.items()},
            format=_text_or_none(values["format"]),
            timezone=_text_or_none(values["timezone"]),
            runs={run_id: _run(each) for run_id, each in values["runs"].items()},
        )
    except KeyError as error:
        raise ValueError(f"it does not contain the key {error.args[0]!r}") from None
    except (TypeError, AttributeError, OverflowError, RecursionError):
        raise ValueError("a value has another type") from None


def _run_values(run: Run) -> dict[str, Any]:
    values = {
        "from": run.since,
        "end": run.end,
        "to": run.until,
        "started": run.started.isoformat(),
        "run_after": run.run_after.isoformat(),
        "set_by_user": run.set_by_user or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _run(values: Mapping[str, Any]) -> Run:
    return Run(
        since=_text(values["from"]),
        end=_text_or_none(values.get("end")),
        until=_text_or_none(values.get("to")),
        started=_time(values["started"]),
        run_after=_time(values["run_after"]),
        set_by_user=_flag(values.get("set_by_user", False)),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _time(text: Any) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time has no offset")
    return time.astimezone(UTC)
