"""DAGs for ``test_operators.py``: one per kind of task and connection, named ``<kind>__<conn_id>``."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_oauth.operators.oauth import OAuthHttpOperator
from airflow_provider_oauth.sensors.oauth import OAuthHttpSensor
from airflow_provider_oauth.triggers.oauth import OAuthHttpEventTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import Response


RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=1)}


def next_page(response: Response) -> dict[str, Any] | None:
    body = response.json()
    return {"data": {"page": body["page"] + 1}} if body["page"] < body["pages"] else None


def count_rows(responses: list[Response]) -> int:
    return sum(len(response.json()["data"]) for response in responses)


def operator(conn_id: str, **options: Any) -> None:
    OAuthHttpOperator(
        task_id="call", oauth_conn_id=conn_id, method="GET", endpoint="items", data={"limit": 100}, **RETRIES,
        pagination_function=next_page, response_filter=count_rows, **options,
    )  # fmt: skip


def sensor(conn_id: str, **options: Any) -> None:
    OAuthHttpSensor(
        task_id="call", oauth_conn_id=conn_id, endpoint="ready/{{ run_id }}", poke_interval=1, timeout=90, **RETRIES,
        request_params={"after": "{{ dag_run.conf.get('after', 2) }}"}, **options,
    )  # fmt: skip


def stock_operator(conn_id: str, **options: Any) -> None:
    HttpOperator(
        task_id="call", http_conn_id=conn_id, method="GET", endpoint="items", data={"limit": 100}, **RETRIES,
        pagination_function=next_page, response_filter=count_rows, **options,
    )  # fmt: skip


def stock_sensor(conn_id: str, **options: Any) -> None:
    HttpSensor(task_id="call", http_conn_id=conn_id, endpoint="whoami", poke_interval=1, timeout=20, **options)


DEFERRED = {"deferrable": True}
KINDS = {
    "operator": (operator, {}),
    "operator_deferred": (operator, DEFERRED),
    "sensor": (sensor, {}),
    "sensor_deferred": (sensor, DEFERRED),
}
STOCK = {
    "stock_operator": (stock_operator, {}),
    "stock_operator_deferred": (stock_operator, DEFERRED),
    "stock_sensor": (stock_sensor, {}),
    "stock_sensor_deferred": (stock_sensor, DEFERRED),
}


def make(kinds: dict[str, tuple[Callable[..., None], dict[str, bool]]], conn_id: str) -> None:
    for kind, (build, options) in kinds.items():
        with DAG(f"{kind}__{conn_id}", schedule=None):
            build(conn_id, **options)


for each in ("valid", "wrong_secret", "wrong_password", "changed"):
    make(KINDS, each)
make(STOCK, "stock")

items = Asset(
    "watched_items",
    watchers=[
        AssetWatcher(
            name="new_items",
            trigger=OAuthHttpEventTrigger(
                oauth_conn_id="watcher",
                endpoint="items?limit=1",  # not in data: Airflow 3.2 changes a dict in a watcher
                response_check_path="oauth_example_checks.has_new_items",
                poll_interval=1,
            ),
        )
    ],
)
with DAG("watcher", schedule=[items]):

    @task
    def count_events(triggering_asset_events: Any = None) -> int:
        return len(triggering_asset_events[items])

    count_events()
