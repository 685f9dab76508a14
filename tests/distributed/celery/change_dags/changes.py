"""DAGs that pull a list of changes into folders of parts in S3: ``changes__<name>``."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG

from airflow_provider_oauth.extract.incremental import Incremental
from airflow_provider_oauth.extract.paginators import CursorPaginator, PageNumberPaginator
from airflow_provider_oauth.operators.extract import OAuthExtractOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

OUTCOMES = Path(os.environ["OUTCOMES"])


class RecordedExtractOperator(OAuthExtractOperator):
    """Records in a file how an attempt ended, because a paused supervisor reads no messages of its task."""

    def execute(self, context: Context) -> Any:
        ti = context["ti"]
        file = OUTCOMES / f"{ti.dag_id} {ti.run_id} {ti.try_number}"
        try:
            result = super().execute(context)
        except BaseException as error:
            file.write_text(f"{type(error).__name__}: {error}")
            raise
        file.write_text("success")
        return result


def make(name: str, *, is_parallel: bool) -> None:
    with DAG(f"changes__{name}", schedule=None):
        RecordedExtractOperator(
            task_id="pull",
            oauth_conn_id="changes",
            endpoint=name,
            paginator=PageNumberPaginator(last="pages") if is_parallel else CursorPaginator(),
            concurrency=3 if is_parallel else 1,
            path=f"s3://lake@changes/{name}/{{{{ run_id }}}}/",
            part_rows=4,
            incremental=Incremental(field="updatedAt", param="updated_since", initial="2024-01-01T00:00:00Z"),
            retries=3,
            retry_delay=timedelta(seconds=1),
        )


for each, is_parallel in json.loads(os.environ["LISTS"]).items():
    make(each, is_parallel=is_parallel)
