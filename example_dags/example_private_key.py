"""Shows: a client that authenticates with a private key instead of a secret (``private_key_jwt``).

The DAG is the same as with a client secret. Airflow signs a new JWT for each token request. The private key is in a
file below the folder that an administrator sets in ``[oauth] file_folder``. It can also be pasted into the connection's
field Private key. docs/connections/private_key_jwt.md shows how to create and register the key.

It needs the connection ``example_private_key``:

    AIRFLOW_CONN_EXAMPLE_PRIVATE_KEY='{"conn_type": "oauth", "host": "https://api.example.com/v1", "login": "CLIENT_ID",
      "extra": {"grant_type": "client_credentials", "grant_url": "https://api.example.com/oauth/token", "scope": "read",
                "client_auth": "private_key_jwt", "private_key_file": "/etc/airflow-oauth/client.pem", "leeway": 60}}'
"""

import os

from airflow.sdk import dag

from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.operators.oauth import OAuthHttpOperator

FOLDER = os.path.join(os.environ.get("AIRFLOW_HOME", ""), "extracts")


@dag(schedule=None, tags=["oauth", "example"], default_args={"oauth_conn_id": "example_private_key"})
def example_private_key():
    count = OAuthHttpOperator(
        task_id="count_items",
        method="GET",
        endpoint="items",
        data={"limit": 1},
        response_filter=lambda response: response.json()["total"],
    )

    items = OAuthExtractOperator(
        task_id="fetch_items",
        endpoint="items",
        paginator=PageNumberPaginator(size_param="limit", size=100, last="pages"),
        records_path="data",
        path=FOLDER + "/signed-items-{{ run_id }}.jsonl",
    )

    count >> items


example_private_key()
