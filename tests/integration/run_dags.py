"""Runs DAG files with ``dag.test()`` and prints their results as JSON.

Usage: ``python run_dags.py PREPARED FILE…``. It first creates Airflow's database in AIRFLOW_HOME.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from pathlib import Path
from typing import Any

#: The keys of the marks of DAGs with a mapped task.
KEYS = {"tickets_of_regions": ("eu", "us")}


def set_marks(dag: Any) -> None:
    """Set the marks of the incremental tasks of a DAG. Airflow 3.2 requires this before the first run."""
    from airflow.sdk import Variable

    from airflow_provider_oauth.runtime.mark_record import MarkName, MarkRecord
    from airflow_provider_oauth.runtime.mark_store import MarkStore

    if hasattr(Variable, "keys"):
        return
    for task in dag.tasks:
        incremental = getattr(task, "partial_kwargs", vars(task)).get("incremental")
        for key in KEYS.get(dag.dag_id, (None,)) if incremental else ():
            name = MarkName(dag_id=dag.dag_id, task_id=task.task_id, key=key)
            record = MarkRecord(name=name, mark=incremental.initial)
            MarkStore(name).update(lambda stored, record=record: stored or record)


def run(path: Path) -> dict[str, Any]:
    """Run the DAG of a file, and return its state and the results of its tasks."""
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
    # dag.test() would parse all files of the folder. To save time, it parses only this one.
    path.with_name(".airflowignore").write_text(f"*.py\n!{path.name}\n")
    set_marks(dag)
    dag_run = dag.test()
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.query(XComModel).filter_by(dag_id=dag.dag_id, key="return_value").all()
        returned = {f"{each.task_id}[{each.map_index}]": each.value for each in found}
    return {"state": str(dag_run.state), "returned": returned}


def main() -> None:
    """Run every file, even if another one fails."""
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
