"""A program that runs DAG files with ``dag.test()`` and prints what came of them, as JSON.

``python run_dags.py PREPARED FILE…``; it makes Airflow's database in AIRFLOW_HOME first.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from pathlib import Path
from typing import Any


def run(path: Path) -> dict[str, Any]:
    """Run the DAG of a file, and return its state and what its tasks returned."""
    from airflow.sdk import DAG

    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    defined: list[DAG] = []
    enter = DAG.__exit__
    DAG.__exit__ = lambda self, *args: (defined.append(self), enter(self, *args))[1]
    try:
        spec.loader.exec_module(module)
    finally:
        DAG.__exit__ = enter
    (dag,) = defined
    # dag.test() parses all files of the folder: here only this one, to save time.
    path.with_name(".airflowignore").write_text(f"*.py\n!{path.name}\n")
    dag_run = dag.test()
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.query(XComModel).filter_by(dag_id=dag.dag_id, key="return_value").all()
        returned = {f"{each.task_id}[{each.map_index}]": each.value for each in found}
    return {"state": str(dag_run.state), "returned": returned}


def main() -> None:
    """Run every file; one that cannot be run does not stop the others."""
    from airflow.utils.db import initdb

    initdb()
    results = {}
    for name in sys.argv[1:]:
        path = Path(name)
        try:
            results[path.stem] = run(path)
        except Exception:
            results[path.stem] = {"state": traceback.format_exc(), "returned": {}}
    print("\n" + json.dumps(results))


if __name__ == "__main__":
    main()
