"""Shows: a DAG that runs when an API has new items, started by an asset watcher with OAuthHttpEventTrigger.

The triggerer requests the API every ``poll_interval`` seconds and passes each response to your async function,
here ``has_new_items`` in ``oauth_example_checks.py``. If the function returns true, Airflow runs the DAG, which fetches
all items into a file.

It needs the connection ``example_watcher``:

    AIRFLOW_CONN_EXAMPLE_WATCHER='{"conn_type": "oauth", "host": "https://api.example.com/v1",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "client_credentials", "grant_url": "https://api.example.com/oauth/token",
                "scope": "read", "leeway": 60}}'
"""

import os

from airflow.sdk import Asset, AssetWatcher, dag

from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.triggers.oauth import OAuthHttpEventTrigger

FOLDER = os.path.join(os.environ.get("AIRFLOW_HOME", ""), "extracts")

items = Asset(
    "example_items",
    watchers=[
        AssetWatcher(
            name="new_items",
            trigger=OAuthHttpEventTrigger(
                oauth_conn_id="example_watcher",
                endpoint="items?limit=1",  # not as data: Airflow 3.2 does not pass a dict to a watcher correctly
                response_check_path="oauth_example_checks.has_new_items",
                poll_interval=5,  # short for the demo; for a real API use a minute or more
            ),
        )
    ],
)


@dag(schedule=[items], tags=["oauth", "example"])
def example_asset_watcher():
    OAuthExtractOperator(
        task_id="fetch_items",
        oauth_conn_id="example_watcher",
        endpoint="items",
        paginator=PageNumberPaginator(size_param="limit", size=100, last="pages"),
        records_path="data",
        path=FOLDER + "/watched-items-{{ run_id }}.jsonl",
    )


example_asset_watcher()
