"""A DAG that runs when the API has something new: an asset, watched by OAuthHttpEventTrigger.

The triggerer asks the API every ``poll_interval`` seconds, and hands each answer to an async function of yours: here
``has_new_items`` in ``oauth_example_checks.py``, which says why it must remember what it has seen.

Needs the connection ``example_watcher``:

    AIRFLOW_CONN_EXAMPLE_WATCHER='{"conn_type": "oauth", "host": "https://api.example.com/v1",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "client_credentials", "grant_url": "https://api.example.com/oauth/token",
                "scope": "read", "leeway": 60}}'
"""

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_oauth.triggers.oauth import OAuthHttpEventTrigger

items = Asset(
    "example_items",
    watchers=[
        AssetWatcher(
            name="new_items",
            trigger=OAuthHttpEventTrigger(
                oauth_conn_id="example_watcher",
                endpoint="items?limit=1",  # Airflow 3.2 hands a watcher no dict, such as data, intact
                response_check_path="oauth_example_checks.has_new_items",
                poll_interval=5,  # for the demo; ask a real API every minute or so
            ),
        )
    ],
)


@dag(schedule=[items], tags=["oauth", "example"])
def example_asset_watcher():
    @task
    def count_events(triggering_asset_events=None) -> int:
        return len(triggering_asset_events[items])

    count_events()


example_asset_watcher()
