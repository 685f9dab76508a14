"""``make bench``: run every benchmark, or those named, and print a table of ratios.

Each runs in a process of its own, with a new Airflow home whose database, SQLite, is migrated once for all.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from benchmarks.measuring import Row
from sandbox.processes import Component, interrupted_by_signals, kill

BENCHMARKS = ("parsing", "authentication", "extract", "variables", "unsealing", "limits", "cold_start")
HEADINGS = Row("what", "reference", "ours", "ratio", "goal")
#: Seconds for one benchmark.
LIMIT = 180
ROOT = Path(__file__).parent.parent
#: Writes what a benchmark returns to the file that is named.
ROWS = "import json, sys; from benchmarks import {0}; json.dump({0}.rows(), open(sys.argv[1], 'w'))"


def environment(home: Path) -> dict[str, str]:
    """Return an environment without the user's Airflow, proxies and .netrc: all that is asked is on this host."""
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
    """Run Python with these arguments; with it ends all that it has started.

    :raises RuntimeError: if it fails, or takes too long
    """
    process = Component(name, [sys.executable, *arguments], environment(home), ROOT, home / f"{name}.log")
    deadline = time.monotonic() + LIMIT
    try:
        while process.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.1)
        if process.exit_code != 0:
            raise RuntimeError(f"{name} failed, or took more than {LIMIT} s:\n{process.tail()}")
    finally:
        kill([process])


def main(names: list[str]) -> None:
    """Run the benchmarks of these names, or all."""
    begun = time.monotonic()
    rows: list[Row] = []
    with interrupted_by_signals(), tempfile.TemporaryDirectory(prefix="airflow-home-") as folder:
        home = Path(folder)
        run("migrate", home, "-m", "airflow", "db", "migrate")
        for name in names or BENCHMARKS:
            print(f"{name} …", file=sys.stderr)
            run(name, home, "-c", ROWS.format(name), str(home / "rows"))
            rows += [Row(*row) for row in json.loads((home / "rows").read_text())]
    print(tabulate(rows, HEADINGS, disable_numparse=True))
    load = os.getloadavg()[1]
    print(f"\n{os.cpu_count()} cores, load {load:.1f} (5 minutes), {time.monotonic() - begun:.0f} s in all")


if __name__ == "__main__":
    main(sys.argv[1:])
