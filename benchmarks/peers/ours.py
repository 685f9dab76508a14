"""``OAuthExtractOperator`` of this package. The first task of a process gets the token."""

from __future__ import annotations

import itertools
import re
import warnings
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow_provider_oauth.extract.incremental import Incremental
from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.runtime import airflow_variables
from benchmarks.client import define_connection
from benchmarks.peers.worker import Job, serve

COLUMNS = {
    "id": "int64",
    "name": "string",
    "email": "string",
    "created_at": "string",
    "amount": "float64",
    "quantity": "int64",
    "active": "boolean",
    "city": "string",
    "comment": "string",
    "url": "string",
}
DAGS = itertools.count()


def pull(job: Job) -> None:
    conn_id = re.sub(r"\W+", "_", job.url)
    define_connection(conn_id, job.url, f"{job.url}/token")
    # The parameters that the job does not need are left out, so that it has their default values.
    options: dict[str, Any] = {} if job.concurrency == 1 else {"concurrency": job.concurrency}
    if job.path.endswith("/"):
        options["part_suffix"] = ".jsonl"
    elif not job.path.endswith(".jsonl"):
        options["columns"] = COLUMNS
    if job.incremental:
        options["incremental"] = Incremental(field="created_at", param="since", initial="2024-01-01T00:00:00Z")
    operator = OAuthExtractOperator(
        task_id="ours",
        oauth_conn_id=conn_id,
        endpoint="items",
        paginator=PageNumberPaginator(last="pages"),
        records_path="data",
        path="{{ run_id }}",  # an incremental extract requires that the path differs between runs
        **options,
    )
    operator.path = job.path
    operator.execute(context())


def context() -> Any:
    """Return the context of the first run of a new DAG, which has no mark."""
    ids = {"dag_id": f"bench-{next(DAGS)}", "task_id": "ours", "run_id": "run", "map_index": -1, "try_number": 1}
    return {"ti": SimpleNamespace(**ids), "dag_run": SimpleNamespace(run_after=datetime(2026, 1, 1, tzinfo=UTC))}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    stored: dict[str, str] = {}
    airflow_variables.get_variable = stored.get  # type: ignore[assignment]
    airflow_variables.is_listed = lambda name: name in stored
    airflow_variables.set_variable = lambda name, value, description: stored.update({name: value})
    serve(pull)
