"""Where the unit tests run: an Airflow home of their own, never the user's, and no database that was migrated."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Airflow reads its home when it is first imported, and tests import it at their top: so this stands before any fixture.
_home = tempfile.mkdtemp(prefix="airflow-home-unit-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith(("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_"))]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW_CONFIG"] = os.path.join(_home, "airflow.cfg")
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
