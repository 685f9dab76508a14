"""An API that takes its token requests as JSON, and renews by single-use refresh tokens: all pages of a list.

The grant is a user's password; with ``use_refresh`` it is sent once, and renewed by the refresh token that came with
the last answer. The other grants are in docs/vendors.md.

Needs the connection ``example_json``:

    AIRFLOW_CONN_EXAMPLE_JSON='{"conn_type": "oauth", "host": "https://api.example.com",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "password", "grant_url": "/token", "username": "USER", "user_password": "PASSWORD",
                "body_format": "json", "client_auth": "client_secret_post", "use_refresh": true, "leeway": 60}}'
"""

import os

from airflow.sdk import dag, task

from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.operators.oauth import OAuthExtractOperator

FOLDER = os.path.join(os.environ.get("AIRFLOW_HOME", ""), "extracts")


@dag(schedule=None, tags=["oauth", "example"], default_args={"oauth_conn_id": "example_json"})
def example_json_token():
    items = OAuthExtractOperator(
        task_id="extract_items",
        endpoint="items",
        paginator=PageNumberPaginator(size_param="limit", size=100, last="pages"),
        records_path="data",
        path=FOLDER + "/items-{{ run_id }}.jsonl",
    )

    @task
    def report(extracted):
        return f"{extracted['rows']} rows in {extracted['path']}"

    report(items.output)


example_json_token()
