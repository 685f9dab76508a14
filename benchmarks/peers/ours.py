"""``OAuthExtractOperator`` of this package. The first task of a process gets the token."""

from __future__ import annotations

import re
import warnings
from typing import Any

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


def pull(job: Job) -> None:
    conn_id = re.sub(r"\W+", "_", job.url)
    define_connection(conn_id, job.url, f"{job.url}/token")
    # The parameters that the job does not need are left out, so that it has their default values.
    options: dict[str, Any] = {} if job.concurrency == 1 else {"concurrency": job.concurrency}
    if not job.path.endswith(".jsonl"):
        options["columns"] = COLUMNS
    OAuthExtractOperator(
        task_id="ours",
        oauth_conn_id=conn_id,
        endpoint="items",
        paginator=PageNumberPaginator(last="pages"),
        records_path="data",
        path=job.path,
        **options,
    ).execute({})


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    stored: dict[str, str] = {}
    airflow_variables.get_variable = stored.get  # type: ignore[assignment]
    airflow_variables.set_variable = lambda name, value, description: stored.update({name: value})
    serve(pull)
