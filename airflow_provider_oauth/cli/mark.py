"""Shows and sets the mark of an incremental task, for ``airflow oauth mark``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.cli.output import format_time, print_data, print_line, print_rows
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.extract.mark_values import values_of
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.runtime.compat import read_dag, read_run_after
from airflow_provider_oauth.runtime.mark_record import MarkName, MarkRecord
from airflow_provider_oauth.runtime.mark_store import MarkStore, list_marks

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from airflow_provider_oauth.cli.output import Row
    from airflow_provider_oauth.runtime.mark_record import Run

#: Seconds after which a change is checked. A run that begins at the same moment can overwrite it.
CHECK_AFTER = 1.0


def show_or_set(args: Namespace) -> None:
    """Show the marks of a task, set a mark, or set the value that a run sends.

    :param args: the arguments of the command
    :raises OAuthError: if Airflow's database cannot be read or written, or if the mark is invalid
    """
    if args.set is not None and (args.run_id is not None or args.since is not None):
        raise SystemExit("--set sets the mark, --run and --from set the value of one run. Use only one of them.")
    if (args.run_id is None) != (args.since is None):
        raise SystemExit("--run and --from must be used together: --run RUN_ID --from VALUE")
    if "" in (args.set, args.since):
        raise SystemExit("The value is empty. Nothing was stored.")
    name = MarkName(dag_id=args.dag_id, task_id=args.task_id, key=args.key or None)
    if args.set is not None:
        _set_mark(name, args.set)
    elif args.run_id is not None:
        _set_run(name, args.run_id, args.since)
    else:
        _show(name, args.output)


def _show(name: MarkName, output: str) -> None:
    """Print the mark with a key, or all marks of the task."""
    own = MarkStore(name).read()
    records = [own] if own else []
    if name.key is None:
        records += [record for record in list_marks(name.dag_id, name.task_id) if record.name.key is not None]
    if not records:
        _find_task(name)
    if output in ("json", "yaml"):
        print_data([_values(record) for record in records], output)
    elif not records:
        print_line(f"{_sentence(name)} is not stored. The first run reads from initial.")
    elif len(records) == 1:
        _print_record(records[0], output)
    else:
        print_rows([_mark_row(record) for record in records], output)
        print_line("To see the runs of a mark, add --key KEY.")


def _print_record(record: MarkRecord, output: str) -> None:
    state = " No run has found rows yet." if record.is_initial else ""
    if record.fingerprint is None:
        state = " A user has set it, and no run has begun since."
    print_line(f"{_sentence(record.name)} is {record.mark}.{state}")
    print_line(f"To delete the mark: airflow variables delete {record.name.variable}")
    if record.runs:
        print_line("")
        print_rows([_run_row(run_id, run) for run_id, run in _latest_first(record)], output)


def _mark_row(record: MarkRecord) -> Row:
    latest = _latest_first(record)
    return {
        "key": record.name.key,
        "mark": record.mark,
        "runs": str(len(record.runs)),
        "latest_run": latest[0][0] if latest else None,
        "variable": record.name.variable,
    }


def _run_row(run_id: str, run: Run) -> Row:
    return {
        "run_id": run_id,
        "from": run.since,
        "to": run.until,
        "started": format_time(run.started),
        "set_by_user": "yes" if run.set_by_user else None,
    }


def _values(record: MarkRecord) -> dict[str, Any]:
    """Return a mark and its runs for JSON and YAML."""
    return {
        "key": record.name.key,
        "mark": record.mark,
        "is_initial": record.is_initial,
        "format": record.format,
        "timezone": record.timezone,
        "variable": record.name.variable,
        "runs": [
            {
                "run_id": run_id,
                "from": run.since,
                "to": run.until,
                "end": run.end,
                "started": format_time(run.started),
                "run_after": format_time(run.run_after),
                "set_by_user": run.set_by_user,
            }
            for run_id, run in _latest_first(record)
        ],
    }


def _latest_first(record: MarkRecord) -> list[tuple[str, Run]]:
    return sorted(record.runs.items(), key=lambda each: (each[1].run_after, each[1].started), reverse=True)


def _set_mark(name: MarkName, value: str) -> None:
    _check_task(name)
    store = MarkStore(name)
    before = store.read()
    if before is None:
        _check_key(name)
    else:
        _check_value(before, value)

    def change(record: MarkRecord | None) -> MarkRecord:
        return (record or MarkRecord(name=name, mark=value)).set(value)

    def is_lost(record: MarkRecord | None) -> bool:
        if record is None or record.is_initial:
            return True
        return before is not None and before.set(value) != before == replace(record, runs=before.runs)

    _store(store, change, is_lost)
    print_line(f"{_sentence(name)} is now {value}{f' (before: {before.mark})' if before else ''}.")
    print_line("New runs send this value minus lookback. Runs that are already listed send their own values again.")


def _set_run(name: MarkName, run_id: str, since: str) -> None:
    _check_task(name)
    run_after = _read("the DAG run", run_id, lambda: read_run_after(name.dag_id, run_id))
    if run_after is None:
        raise SystemExit(
            f"The DAG {name.dag_id!r} has no run {run_id!r}. To list its runs: airflow dags list-runs {name.dag_id}"
        )
    store = MarkStore(name)
    before = store.read()
    if before is None:
        _check_key(name)
        raise SystemExit(f"{_sentence(name)} is not stored. Set it first: {name.command('--set VALUE')}")
    _check_value(before, since)
    now = Clock().now()

    def change(record: MarkRecord | None) -> MarkRecord:
        return (record or before).set_run(run_id, since, run_after, now)

    def is_lost(record: MarkRecord | None) -> bool:
        return record is not None and (run_id not in record.runs or record.runs[run_id].since != since)

    _store(store, change, is_lost)
    print_line(f"The run {run_id} will send {since}. If the task has already run in it, clear the task.")


def _store(
    store: MarkStore,
    change: Callable[[MarkRecord | None], MarkRecord],
    is_lost: Callable[[MarkRecord | None], bool],
) -> None:
    """Store a change, and store it again if a run that began at the same moment has overwritten it."""
    store.update(change)
    Clock().sleep(CHECK_AFTER)
    if is_lost(store.read()):
        store.update(change)


def _find_task(name: MarkName) -> Any:
    """Return the task as it is stored in the database."""
    dag = _read("the DAG", name.dag_id, lambda: read_dag(name.dag_id))
    if dag is None:
        raise SystemExit(
            f"Airflow's database has no DAG {name.dag_id!r}. Check the spelling. To list the DAGs: airflow dags list"
        )
    if not dag.has_task(name.task_id):
        raise SystemExit(
            f"The DAG {name.dag_id!r} has no task {name.task_id!r}. A task in a task group is GROUP_ID.TASK_ID. To "
            f"list the tasks: airflow tasks list {name.dag_id}"
        )
    return dag.get_task(name.task_id)


def _check_task(name: MarkName) -> None:
    """Check that the task exists, and that a mapped task has a key."""
    if _find_task(name).get_needs_expansion() and name.key is None:
        raise SystemExit(f"The task {name.task_id!r} is mapped, so each of its marks has a key. Add --key KEY.")


def _check_key(name: MarkName) -> None:
    """Check that a new mark without a key does not belong to a task whose marks have keys."""
    keys = [str(record.name.key) for record in list_marks(name.dag_id, name.task_id) if record.name.key]
    if keys and name.key is None:
        raise SystemExit(f"The marks of the task {name.task_id!r} have the keys {', '.join(keys)}. Add --key KEY.")


def _check_value(record: MarkRecord, value: str) -> None:
    """Check that a value can be compared with the values that are stored."""
    if record.format is None:
        return
    try:
        values_of(record.format, record.timezone).position(value)
    except ValueError as error:
        raise SystemExit(
            f"The value is not valid for the format {record.format!r}: {error}. Nothing was stored. If the task has "
            f"another format now, delete the mark first: airflow variables delete {record.name.variable}"
        ) from None


def _read(kind: str, identifier: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception as error:
        raise OAuthError(
            f"Cannot read {kind} {identifier!r} ({type(error).__name__}). Check that Airflow's database is available."
        ) from error


def _sentence(name: MarkName) -> str:
    return name.label[0].upper() + name.label[1:]
