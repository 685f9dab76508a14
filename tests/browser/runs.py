"""What the tests have Airflow do behind the browser's back: run the DAG, tidy up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.airflow import Airflow

DAG, TASK = "uses_connection", "whoami"


def run_dag(airflow: Airflow, conn_id: str, **conf: str) -> Any:
    """Call the API with the connection, in a task; return what the API answered.

    :param conf: an ``endpoint`` other than the DAG's own
    """
    run_id = airflow.trigger(DAG, conf={"conn_id": conn_id, **conf})
    state = airflow.wait(DAG, run_id)
    assert state == "success", airflow.task_log(DAG, run_id, TASK)
    return airflow.xcom(DAG, run_id, TASK)


def run_dag_in_vain(airflow: Airflow, conn_id: str) -> str:
    """Do the same where it cannot work and must not be tried again; return the task's log."""
    run_id = airflow.trigger(DAG, conf={"conn_id": conn_id})
    assert airflow.wait(DAG, run_id) == "failed"
    (task,) = airflow.task_instances(DAG, run_id)
    log = airflow.task_log(DAG, run_id, TASK)
    assert (task["try_number"], task["max_tries"]) == (1, 2), log
    return log


def delete_connections(airflow: Airflow) -> None:
    """Delete the connections of the other tests."""
    for other in airflow.api("GET", "connections")["connections"]:
        airflow.api("DELETE", f"connections/{other['connection_id']}")
