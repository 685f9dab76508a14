"""Shows: an API with JSON token requests and single-use refresh tokens. All pages of a list are fetched into a file.

The grant type is Password. With ``use_refresh`` the password is sent only once; then the refresh token from the last
token response renews the token. docs/vendors.md shows the other grant types of such an API.

It needs the connection ``example_json``:

    AIRFLOW_CONN_EXAMPLE_JSON='{"conn_type": "oauth", "host": "https://api.example.com",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "password", "grant_url": "/token", "username": "USER", "user_password": "PASSWORD",
                "body_format": "json", "client_auth": "client_secret_post", "use_refresh": true, "leeway": 60}}'
"""

import os

from airflow.sdk import dag, task

from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.operators.extract import OAuthExtractOperator

FOLDER = os.path.join(os.environ.get("AIRFLOW_HOME", ""), "extracts")


@dag(schedule=None, tags=["oauth", "example"], default_args={"oauth_conn_id": "example_json"})
def example_json_token():
    items = OAuthExtractOperator(
        task_id="fetch_items",
        endpoint="items",
        paginator=PageNumberPaginator(size_param="limit", size=100, last="pages"),
        records_path="data",
        path=FOLDER + "/items-{{ run_id }}.jsonl",
    )

    @task
    def report(result):
        return f"{result['rows']} rows in {result['path']}"

    report(items.output)


example_json_token()
