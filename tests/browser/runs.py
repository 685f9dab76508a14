"""Runs DAGs and deletes connections through Airflow's API, without the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.airflow import Airflow

DAG, TASK = "uses_connection", "whoami"


def run_dag(airflow: Airflow, conn_id: str, **conf: str) -> Any:
    """Call the API in a task; return the response.

    :param airflow: the running Airflow
    :param conn_id: the connection to use
    :param conf: ``endpoint``, to replace the DAG's own
    """
    run_id = airflow.trigger(DAG, conf={"conn_id": conn_id, **conf})
    state = airflow.wait(DAG, run_id)
    assert state == "success", airflow.task_log(DAG, run_id, TASK)
    return airflow.xcom(DAG, run_id, TASK)


def run_failing_dag(airflow: Airflow, conn_id: str) -> str:
    """Run the DAG, check that it fails without a retry, and return the task's log."""
    run_id = airflow.trigger(DAG, conf={"conn_id": conn_id})
    assert airflow.wait(DAG, run_id) == "failed"
    (task,) = airflow.task_instances(DAG, run_id)
    log = airflow.task_log(DAG, run_id, TASK)
    assert (task["try_number"], task["max_tries"]) == (1, 2), log
    return log


def delete_connections(airflow: Airflow) -> None:
    """Delete all connections."""
    for connection in airflow.api("GET", "connections")["connections"]:
        airflow.api("DELETE", f"connections/{connection['connection_id']}")
