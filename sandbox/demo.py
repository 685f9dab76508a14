"""Runs every example DAG with a real Airflow against the sandbox, and prints a table of the results.

``python -m sandbox.demo``. The second run uses the tokens that the first run stored: it sends no token requests.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from tabulate import tabulate

from sandbox.airflow import AirflowError
from sandbox.examples import (
    EXAMPLES,
    USERNAME,
    authorize_examples,
    create_runs,
    end_unfinished_runs,
    running_examples,
    start_watched_example,
)
from sandbox.processes import interrupted_by_signals

if TYPE_CHECKING:
    from sandbox.airflow import Airflow

HEADINGS = ("DAG", "grant", "token requests", "API calls", "rows", "state")
#: Seconds for all DAGs together, after the last one was started.
RUN_TIMEOUT = 180.0


@dataclass(frozen=True)
class Outcome:
    """The result of one DAG.

    :param dag_id: the DAG
    :param state: ``success`` or another state
    :param detail: the error
    """

    dag_id: str
    state: str
    detail: str = ""


def main(arguments: list[str] | None = None) -> int:
    """Run the demo.

    :param arguments: the command line arguments, without the program name
    :return: the exit code: 0 if every DAG succeeded
    """
    parser = argparse.ArgumentParser("python -m sandbox.demo", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".demo"), help="the folder for all files")
    home = parser.parse_args(arguments).home.resolve()
    try:
        with interrupted_by_signals():
            return demo(home)
    except KeyboardInterrupt as interrupt:
        _print(str(interrupt) or "Stopped by Ctrl-C.")
        return 143 if "SIGTERM" in str(interrupt) else 130
    except (AirflowError, LookupError, RuntimeError) as error:
        _print(str(error))
        return 1


def demo(home: Path) -> int:
    """Start the sandbox and Airflow, run the DAGs, stop both and print the table.

    :return: the exit code
    """
    with running_examples(home, _print) as (sandbox, airflow):
        for conn_id in authorize_examples(airflow):
            _print(f"The user {USERNAME} authorized the connection {conn_id} on the page OAuth connections")
        _print(f"Running {len(EXAMPLES)} DAGs")
        outcomes = run_all(airflow)
        counts = sandbox.control("counts")
        _print("Stopping Airflow and the server")
    report(outcomes, counts)
    return 0 if all(outcome.state == "success" for outcome in outcomes) else 1


def run_all(airflow: Airflow) -> list[Outcome]:
    """Run every example DAG. If one fails, the others run nevertheless."""
    airflow.wait_until_parsed(EXAMPLES)
    end_unfinished_runs(airflow)
    # An asset watcher starts polling when its DAG is parsed again. The other DAGs run meanwhile.
    for dag_id, example in EXAMPLES.items():
        if example.watched:
            airflow.unpause(dag_id)
    outcomes = []
    started = create_runs(airflow)
    for dag_id, example in EXAMPLES.items():
        if not example.watched:
            continue
        try:
            started[dag_id] = start_watched_example(airflow, dag_id)
        except AirflowError as error:
            outcomes.append(Outcome(dag_id, "did not run", str(error)))
    deadline = time.monotonic() + RUN_TIMEOUT
    for dag_id, run_id in started.items():
        outcome = _wait_for(airflow, dag_id, run_id, max(1.0, deadline - time.monotonic()))
        _print(f"  {dag_id}: {outcome.state}")
        outcomes.append(outcome)
    return outcomes


def report(outcomes: list[Outcome], counts: dict[str, dict[str, Any]]) -> None:
    """Print the table, and the errors below it.

    :param counts: the server's counters of this run, by client ID
    """
    rows = []
    for outcome in sorted(outcomes, key=lambda outcome: list(EXAMPLES).index(outcome.dag_id)):
        example = EXAMPLES[outcome.dag_id]
        counters = counts[example.conn_id]
        numbers = [counters[name] for name in ("token_requests", "api_calls", "rows")]
        rows.append([outcome.dag_id, example.grant, *numbers, outcome.state])
    sys.stdout.write("\n" + tabulate(rows, HEADINGS) + "\n\nThe server counted the requests of this run.\n")
    for outcome in outcomes:
        if outcome.detail:
            sys.stdout.write(f"\n{outcome.dag_id}: {outcome.detail}\n")
    sys.stdout.flush()


def _wait_for(airflow: Airflow, dag_id: str, run_id: str, timeout: float) -> Outcome:
    try:
        state = airflow.wait(dag_id, run_id, timeout)
    except AirflowError as error:
        return Outcome(dag_id, "not finished", str(error))
    if state == "success":
        return Outcome(dag_id, state)
    return Outcome(dag_id, state, _last_log_lines(airflow, dag_id, run_id))


def _last_log_lines(airflow: Airflow, dag_id: str, run_id: str) -> str:
    """Return the last log lines of the failed tasks."""
    logs = []
    for task in airflow.task_instances(dag_id, run_id):
        if task["state"] == "failed":
            name, number, index = task["task_id"], task["try_number"], task["map_index"]
            try:
                log = airflow.task_log(dag_id, run_id, name, number, index)
            except (AirflowError, requests.RequestException) as error:
                log = f"The log is not available: {error}"
            lines = [line[:500] for line in log.splitlines() if line.startswith(("error", "critical"))]
            logs.append(f"{name} failed\n" + "\n".join(lines[-5:] or log.splitlines()[-5:]))
    return "\n".join(logs)


def _print(text: str) -> None:
    sys.stdout.write(f"[demo] {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
