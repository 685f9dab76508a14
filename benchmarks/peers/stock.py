"""Airflow's ``HttpOperator`` with ``pagination_function``."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

from airflow.providers.http.operators.http import HttpOperator

from benchmarks.client import define
from benchmarks.peers.worker import Job, serve

if TYPE_CHECKING:
    import requests


def next_page(response: requests.Response) -> dict[str, Any] | None:
    body = response.json()
    return {"data": {"page": body["page"] + 1}} if body["page"] < body["pages"] else None


def pull(job: Job) -> None:
    def write(responses: list[requests.Response]) -> int:
        with open(job.path, "w") as file:
            for response in responses:
                for row in response.json()["data"]:
                    file.write(json.dumps(row) + "\n")
        return len(responses)

    define("stock", conn_type="http", host=job.url)
    HttpOperator(
        task_id="stock",
        http_conn_id="stock",
        method="GET",
        endpoint="items",
        data={"page": 1},
        headers={"Authorization": "Bearer fake-access-token"},
        pagination_function=next_page,
        response_filter=write,
    ).execute({})


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(pull)
