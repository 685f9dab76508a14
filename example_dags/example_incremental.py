"""Shows: an extract that reads only the rows that changed since the last run, and a task that merges them by ID.

The operator stores the greatest ``updated_at`` of the rows in an Airflow Variable, and sends it in the next run. To see
and to change it, run ``airflow oauth mark example_incremental fetch_changed_tickets``. In Airflow 3.2, run this command
with ``--set 2024-01-01T00:00:00Z`` before the first run.

It needs the connection ``example_incremental``:

    AIRFLOW_CONN_EXAMPLE_INCREMENTAL='{"conn_type": "oauth", "host": "https://api.example.com/v1",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "client_credentials", "grant_url": "https://api.example.com/oauth/token",
                "scope": "read", "leeway": 60}}'
"""

import gzip
import json
import os

from airflow.sdk import ObjectStoragePath, dag, task

from airflow_provider_oauth.extract.incremental import Incremental
from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.operators.extract import OAuthExtractOperator

FOLDER = os.path.join(os.environ.get("AIRFLOW_HOME", ""), "extracts")


# Two runs at the same time would read the same rows.
@dag(schedule="@hourly", catchup=False, max_active_runs=1, tags=["oauth", "example"])
def example_incremental():
    changed = OAuthExtractOperator(
        task_id="fetch_changed_tickets",
        oauth_conn_id="example_incremental",
        endpoint="tickets",
        data={"sort": "id"},  # a row that changes while the list is read keeps its place
        paginator=PageNumberPaginator(size_param="limit", size=100, last="pages"),
        records_path="data",
        incremental=Incremental(field="updated_at", param="updated_since", initial="2024-01-01T00:00:00Z"),
        # The path must be different in each run. Otherwise a run would replace the rows of the run before it.
        path=FOLDER + "/tickets/{{ run_id }}.jsonl.gz",
    )

    @task
    def merge(result):
        """Store the newest version of each ticket. With a database, this is a MERGE or an upsert."""
        stored = ObjectStoragePath(FOLDER) / "tickets.json"
        tickets = json.loads(stored.read_text()) if stored.exists() else {}
        with ObjectStoragePath(result["path"]).open("rb") as file, gzip.open(file) as rows:
            for row in map(json.loads, rows):
                known = tickets.get(str(row["id"]))
                # A row can be in several files, for example after a run was cleared.
                if known is None or known["updated_at"] <= row["updated_at"]:
                    tickets[str(row["id"])] = row
        stored.write_text(json.dumps(tickets))
        return f"{result['rows']} rows from {result['from']} on, {len(tickets)} tickets in total"

    merge(changed.output)


example_incremental()
