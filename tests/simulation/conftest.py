"""Gives the simulations a new Airflow home, without a database."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Airflow reads its home when it is first imported. Tests import it at module level, so a fixture would be too late.
_home = tempfile.mkdtemp(prefix="airflow-home-simulation-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith(("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_"))]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW_CONFIG"] = os.path.join(_home, "airflow.cfg")
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
