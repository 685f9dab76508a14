"""Runs all benchmarks, or those in the arguments, and prints a table of ratios in Markdown: ``make bench``.

Each benchmark runs in a separate process. All use one new Airflow home with a migrated SQLite database.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from tabulate import tabulate

from benchmarks import environments
from benchmarks.measuring import Row
from sandbox.processes import Component, interrupted_by_signals, kill

BENCHMARKS = (
    "parsing",
    "provider_info",
    "task_start",
    "authentication",
    "pulling",
    "variables",
    "call_path",
    "decryption",
    "limits",
    "cold_start",
)
HEADINGS = Row("benchmark", "reference", "this package", "ratio", "goal")
#: Maximum seconds for one benchmark.
TIMEOUT = 900
ROOT = Path(__file__).parent.parent
#: Writes the rows of a benchmark to a file.
ROWS = "import json, sys; from benchmarks import {0}; json.dump({0}.rows(), open(sys.argv[1], 'w'))"


def environment(home: Path) -> dict[str, str]:
    """Return an environment without the user's Airflow settings, proxies and .netrc file."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW") and not name.lower().endswith("_proxy") and name != "NETRC"
    }
    return env | {
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__OAUTH__LOCK_FOLDER": str(home / "locks"),
    }


def run(name: str, home: Path, *arguments: str) -> None:
    """Run Python with these arguments. At the end, stop all processes that it has started.

    :raises RuntimeError: when it fails or takes too long
    """
    process = Component(name, [sys.executable, *arguments], environment(home), ROOT, home / f"{name}.log")
    deadline = time.monotonic() + TIMEOUT
    try:
        while process.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.1)
        if process.exit_code != 0:
            raise RuntimeError(f"{name} failed, or took more than {TIMEOUT} s:\n{process.tail()}")
    finally:
        kill([process])


def main(names: list[str]) -> None:
    """Run these benchmarks, or all if the list is empty."""
    if not names or "pulling" in names:
        environments.install()
    begun = time.monotonic()
    rows: list[Row] = []
    with interrupted_by_signals(), tempfile.TemporaryDirectory(prefix="airflow-home-") as folder:
        home = Path(folder)
        run("migrate", home, "-m", "airflow", "db", "migrate")
        for name in names or BENCHMARKS:
            print(f"{name} …", file=sys.stderr)
            run(name, home, "-c", ROWS.format(name), str(home / "rows"))
            rows += [Row(*row) for row in json.loads((home / "rows").read_text())]
    print(tabulate(rows, HEADINGS, tablefmt="github", disable_numparse=True))  # ready for docs/performance.md
    ours, airflow = version("airflow-provider-oauth"), version("apache-airflow")
    print(f"\nairflow-provider-oauth {ours}, Airflow {airflow}, Python {platform.python_version()}")
    load = os.getloadavg()[1]
    print(f"{os.cpu_count()} cores, load {load:.1f} (5 minutes), {time.monotonic() - begun:.0f} s in total")


if __name__ == "__main__":
    main(sys.argv[1:])
