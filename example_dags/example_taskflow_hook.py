"""Shows: OAuthHook in TaskFlow functions: one mapped task per page, each with its own file, and one token for all.

The grant type is Refresh token, with a refresh token that was obtained elsewhere. The server replaces it whenever it is
used. The new one is stored in an Airflow Variable, so the one in the connection is used only once.

It needs the connection ``example_taskflow``:

    AIRFLOW_CONN_EXAMPLE_TASKFLOW='{"conn_type": "oauth", "host": "https://api.example.com/v1",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "refresh_token", "grant_url": "https://api.example.com/oauth/token",
                "refresh_token": "FIRST_REFRESH_TOKEN",
                "client_auth": "client_secret_post", "body_format": "json", "leeway": 60}}'
"""

import json
import os

from airflow.sdk import dag, task

from airflow_provider_oauth.hooks.oauth import OAuthHook

FOLDER = os.path.join(os.environ.get("AIRFLOW_HOME", ""), "extracts")
PAGE_SIZE = 100


@dag(schedule=None, tags=["oauth", "example"])
def example_taskflow_hook():
    @task
    def page_numbers() -> list[int]:
        hook = OAuthHook(oauth_conn_id="example_taskflow")
        total = hook.run("items", data={"limit": 1}).json()["total"]
        return list(range(1, -(-total // PAGE_SIZE) + 1))

    @task
    def fetch_page(page: int, run_id=None) -> int:
        hook = OAuthHook(oauth_conn_id="example_taskflow")
        rows = hook.run("items", data={"page": page, "limit": PAGE_SIZE}).json()["data"]
        os.makedirs(FOLDER, exist_ok=True)
        with open(os.path.join(FOLDER, f"page-{page}-{run_id}.jsonl"), "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        return len(rows)

    @task
    def count_rows(counts) -> int:
        return sum(counts)

    count_rows(fetch_page.expand(page=page_numbers()))


example_taskflow_hook()
