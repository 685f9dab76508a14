"""The time to import the operators when a DAG file is parsed, compared with the operators of the HTTP provider."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from benchmarks.measuring import Row, ratio

THEIRS = "import airflow.providers.http.operators.http, airflow.providers.http.sensors.http"
OURS = "import airflow_provider_oauth.operators.oauth, airflow_provider_oauth.sensors.oauth"
MEASURE = "import time; start = time.process_time(); {}; print(time.process_time() - start)"
ROUNDS = 7


def seconds(statement: str, home: str) -> float:
    """Return the processor seconds of ``statement`` in a new process."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE.format(statement)],
        env={**os.environ, "AIRFLOW_HOME": home},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(run.stdout.split()[-1])


def measure() -> tuple[list[float], list[float]]:
    """Return the seconds of the reference's imports and of ours, taken in turns."""
    with tempfile.TemporaryDirectory() as home:
        seconds(THEIRS, home), seconds(OURS, home)  # fills the disk cache and writes airflow.cfg
        pairs = [(seconds(THEIRS, home), seconds(OURS, home)) for _ in range(ROUNDS)]
    theirs, ours = zip(*pairs, strict=True)
    return list(theirs), list(ours)


def rows() -> list[Row]:
    """Return the rows of the table."""
    theirs, ours = measure()
    return [
        Row(
            "DAG parsing: imports, processor time",
            f"HTTP provider {statistics.median(theirs):.3f} s",
            f"{statistics.median(ours):.3f} s",
            f"{ratio(ours, theirs):.3f}",
            "≤ 1.1",
        )
    ]
