"""DAGs with many tasks that call the API at the same time: ``calls__<conn_id>__<number of tasks>``.

The ``conf`` of a run has the number of calls per task, and the seconds of other work before each call.
"""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from airflow_provider_oauth.hooks.oauth import OAuthHook

RETRIES = {"retries": 5, "retry_delay": timedelta(seconds=1)}


def make(dag_id: str, conn_id: str, tasks: int) -> None:
    @dag(dag_id=dag_id, schedule=None, default_args=RETRIES)
    def calls() -> None:
        @task
        def call(number: int, dag_run: Any = None) -> int:
            hook = OAuthHook(conn_id)
            rows = 0
            for _ in range(dag_run.conf["calls"]):
                time.sleep(dag_run.conf["pause"])
                rows += len(hook.run("items", data={"page": 1 + number % 5}).json()["data"])
            return rows

        call.expand(number=list(range(tasks)))

    calls()


for each in json.loads(os.environ["CALLS"]):
    make(*each)
