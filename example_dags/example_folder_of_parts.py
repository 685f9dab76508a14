"""Shows: a list that is stored in several files, and a task that reads them.

If the first task fails, its next attempt continues after the last complete part. The file ``_manifest.json`` is written
last. It lists the parts that belong to the result, so readers read only these.

It needs the connection ``example_parts``:

    AIRFLOW_CONN_EXAMPLE_PARTS='{"conn_type": "oauth", "host": "https://api.example.com/v1",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "client_credentials", "grant_url": "https://api.example.com/oauth/token",
                "scope": "read", "leeway": 60}}'
"""

import csv
import gzip
import json
import os
from datetime import timedelta

from airflow.sdk import ObjectStoragePath, dag, task

from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.operators.extract import OAuthExtractOperator

# This can be a folder in any storage that Airflow supports, such as s3://conn_id@bucket/folder.
FOLDER = os.path.join(os.environ.get("AIRFLOW_HOME", ""), "extracts")


@dag(schedule=None, tags=["oauth", "example"])
def example_folder_of_parts():
    items = OAuthExtractOperator(
        task_id="fetch_items",
        oauth_conn_id="example_parts",
        endpoint="items",
        paginator=PageNumberPaginator(size_param="limit", size=50, last="pages"),
        records_path="data",
        path=FOLDER + "/items/{{ run_id }}/",  # a folder, because it ends in /
        part_suffix=".csv.gz",
        columns={"id": "int64", "name": "string"},
        part_rows=100,  # for this short list; the default is 100,000
        concurrency=4,
        retries=5,
        retry_delay=timedelta(seconds=30),
    )

    @task
    def count_names(result):
        folder = ObjectStoragePath(result["path"])
        manifest = json.loads((folder / "_manifest.json").read_text())
        names = set()
        for part in manifest["parts"]:
            with (folder / part["name"]).open("rb") as file, gzip.open(file, "rt", newline="") as lines:
                names.update(row["name"] for row in csv.DictReader(lines))
        return len(names)

    count_names(items.output)


example_folder_of_parts()
