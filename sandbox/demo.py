"""``python -m sandbox.demo``: run every example DAG against the sandbox with real Airflow, and show what it took.

The second time, it finds the tokens of the first time: no token requests.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from tabulate import tabulate

from sandbox.airflow import Airflow, AirflowError
from sandbox.examples import (
    EXAMPLES,
    USERNAME,
    ExampleClients,
    authorize_examples,
    check_examples_complete,
    end_unfinished_runs,
    example_airflow,
    start_example,
)
from sandbox.processes import interrupted_by_signals
from sandbox.server import SandboxProcess

HEADINGS = ("DAG", "grant", "token requests", "API calls", "rows", "state")
RUN_TIMEOUT = 180.0
"""Seconds for all DAGs together, from the start of the last one."""


@dataclass(frozen=True)
class Outcome:
    """What became of one DAG: ``success``, or what went wrong instead."""

    dag_id: str
    state: str
    detail: str = ""


def main(arguments: list[str] | None = None) -> int:
    """Run the demo.

    :param arguments: the command line, without the program's name
    :return: the exit code: 0 if every DAG succeeded
    """
    parser = argparse.ArgumentParser("python -m sandbox.demo", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".demo"), help="folder of everything it keeps")
    home = parser.parse_args(arguments).home.resolve()
    try:
        with interrupted_by_signals():
            return demo(home)
    except KeyboardInterrupt as interrupt:
        _say(str(interrupt) or "stopped by Ctrl-C")
        return 143 if "SIGTERM" in str(interrupt) else 130
    except (AirflowError, LookupError, RuntimeError) as error:
        _say(str(error))
        return 1


def demo(home: Path) -> int:
    """Start everything, run the DAGs, print the table, stop everything.

    :return: the exit code
    """
    check_examples_complete()
    home.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    _say(f"Starting the sandbox: authorization servers and APIs (state in {home / 'sandbox'})")
    with SandboxProcess(home / "sandbox") as sandbox:
        wiring = ExampleClients(home / "clients.json")
        wiring.register(sandbox)
        sandbox.control("counts/reset", {})
        _say(f"The sandbox is on {sandbox.url}. Starting Airflow (AIRFLOW_HOME={home / 'airflow'})")
        with example_airflow(home / "airflow", wiring.connections(sandbox)) as airflow:
            _say(f"Airflow is on {airflow.url} ({time.monotonic() - start:.0f} s)")
            for conn_id in authorize_examples(airflow):
                _say(f"{conn_id}: {USERNAME} consented in Airflow's pages")
            _say(f"Running {len(EXAMPLES)} DAGs")
            outcomes = run_all(airflow)
            counts = sandbox.control("counts")
            _say("Stopping everything")
    report(outcomes, counts)
    return 0 if all(outcome.state == "success" for outcome in outcomes) else 1


def run_all(airflow: Airflow) -> list[Outcome]:
    """Run every example DAG; one that fails does not keep the others from running."""
    airflow.wait_until_parsed(EXAMPLES)
    end_unfinished_runs(airflow)
    # The watcher starts polling when its DAG is next parsed: let that happen while the others run.
    for dag_id, example in EXAMPLES.items():
        if example.watched:
            airflow.unpause(dag_id)
    started: dict[str, str] = {}
    outcomes = []
    for dag_id in sorted(EXAMPLES, key=lambda dag_id: EXAMPLES[dag_id].watched):
        try:
            started[dag_id] = start_example(airflow, dag_id)
        except AirflowError as error:
            outcomes.append(Outcome(dag_id, "did not run", str(error)))
    deadline = time.monotonic() + RUN_TIMEOUT
    for dag_id, run_id in started.items():
        outcome = _outcome(airflow, dag_id, run_id, max(1.0, deadline - time.monotonic()))
        _say(f"  {dag_id}: {outcome.state}")
        outcomes.append(outcome)
    return outcomes


def report(outcomes: list[Outcome], counts: dict[str, dict[str, Any]]) -> None:
    """Print the table, and under it what went wrong.

    :param counts: what the server has counted in this run, by client ID
    """
    rows = []
    for outcome in sorted(outcomes, key=lambda outcome: list(EXAMPLES).index(outcome.dag_id)):
        example = EXAMPLES[outcome.dag_id]
        of_client = counts[example.conn_id]
        numbers = [of_client[what] for what in ("token_requests", "api_calls", "rows")]
        rows.append([outcome.dag_id, example.grant, *numbers, outcome.state])
    sys.stdout.write("\n" + tabulate(rows, HEADINGS) + "\n\nCounted by the server, in this run.\n")
    for outcome in outcomes:
        if outcome.detail:
            sys.stdout.write(f"\n{outcome.dag_id}: {outcome.detail}\n")
    sys.stdout.flush()


def _outcome(airflow: Airflow, dag_id: str, run_id: str, timeout: float) -> Outcome:
    try:
        state = airflow.wait(dag_id, run_id, timeout)
    except AirflowError as error:
        return Outcome(dag_id, "not finished", str(error))
    if state == "success":
        return Outcome(dag_id, state)
    return Outcome(dag_id, state, _last_log_lines(airflow, dag_id, run_id))


def _last_log_lines(airflow: Airflow, dag_id: str, run_id: str) -> str:
    """Say what the failed tasks logged at last."""
    logs = []
    for task in airflow.task_instances(dag_id, run_id):
        if task["state"] == "failed":
            name, number, index = task["task_id"], task["try_number"], task["map_index"]
            try:
                log = airflow.task_log(dag_id, run_id, name, number, index)
            except (AirflowError, requests.RequestException) as error:
                log = f"no log: {error}"
            lines = [line[:500] for line in log.splitlines() if line.startswith(("error", "critical"))]
            logs.append(f"{name} failed\n" + "\n".join(lines[-5:] or log.splitlines()[-5:]))
    return "\n".join(logs)


def _say(text: str) -> None:
    sys.stdout.write(f"[demo] {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
