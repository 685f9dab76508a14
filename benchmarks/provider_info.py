"""The time that this package adds to every ``airflow`` command: Airflow loads its provider info, with the form.

The reference is the import of ``airflow.providers_manager``, which every command needs. Modules of this package that it
has imported are removed before the measurement, so that both are imported once in each process.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from benchmarks.measuring import Row, ratio

MEASURE = """
import sys, time
start = time.process_time()
import airflow.providers_manager
theirs = time.process_time() - start
for name in [name for name in sys.modules if name.startswith("airflow_provider_oauth")]:
    del sys.modules[name]
start = time.process_time()
from airflow_provider_oauth.get_provider_info import get_provider_info
get_provider_info()
print(theirs, time.process_time() - start)
"""
ROUNDS = 11


def measure() -> tuple[list[float], list[float]]:
    """Return the processor seconds of the reference and of the provider info, one value per process."""
    pairs = []
    with tempfile.TemporaryDirectory() as home:
        for _ in range(ROUNDS + 1):
            run = subprocess.run(
                [sys.executable, "-c", MEASURE],
                env={**os.environ, "AIRFLOW_HOME": home},
                capture_output=True,
                text=True,
                check=True,
            )
            pairs.append([float(value) for value in run.stdout.split()[-2:]])
    theirs, ours = zip(*pairs[1:], strict=True)  # the first process compiles the modules
    return list(theirs), list(ours)


def rows() -> list[Row]:
    """Return the row of the table."""
    theirs, ours = measure()
    return [
        Row(
            "Every airflow command: provider info, processor time",
            f"import of airflow.providers_manager {statistics.median(theirs):.3f} s",
            f"{statistics.median(ours):.4f} s",
            f"{ratio(ours, theirs):.4f}",
            "≤ 0.02",
        )
    ]
