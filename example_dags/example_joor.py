"""Shows: waiting for approved orders at JOOR, fetching them and their lines into files, and updating quantities.

JOOR allows 300 credits in 300 s per account. The tasks share a pool of 4 slots, so each may spend 75 credits:

    airflow pools set joor 4 "JOOR: 300 credits in 300 s"

It needs the connection ``example_joor``:

    AIRFLOW_CONN_EXAMPLE_JOOR='{"conn_type": "joor", "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"environment": "sandbox", "username": "USER", "user_password": "PASSWORD", "account": "1234",
                "leeway": 60}}'
"""

import os

from airflow.sdk import dag, task

from airflow_provider_oauth.operators.joor import JoorBulkOperator, JoorListOrderLinesOperator, JoorListOrdersOperator
from airflow_provider_oauth.sensors.oauth import OAuthHttpSensor

FOLDER = os.path.join(os.environ.get("AIRFLOW_HOME", ""), "extracts")


@dag(schedule=None, tags=["oauth", "example"], default_args={"oauth_conn_id": "example_joor", "pool": "joor"})
def example_joor():
    # With mode="reschedule" the sensor releases its slot while it waits. The interval is short for the demo; for JOOR
    # itself use several minutes.
    approved = OAuthHttpSensor(
        task_id="wait_for_approved_orders",
        endpoint="orders",
        request_params={"status": "approved", "page_size": 1},
        response_check=lambda response: bool(response.json()["data"]),
        mode="reschedule",
        poke_interval=5,
        timeout=3600,
    )

    orders = JoorListOrdersOperator(
        task_id="fetch_orders",
        status="approved",
        path=FOLDER + "/orders-{{ run_id }}.jsonl",
        xcom_fields="id",
        credits=75,
    )

    lines = JoorListOrderLinesOperator(
        task_id="fetch_lines",
        order_ids=orders.output,
        path=FOLDER + "/lines-{{ run_id }}.jsonl",
        xcom_fields="{id: id, quantity: quantity}",
        credits=75,
    )

    @task
    def increase_quantities(lines):
        return [{**line, "quantity": line["quantity"] + 1} for line in lines[:5]]

    update = JoorBulkOperator(
        task_id="update_lines",
        resource="order_lines",
        action="update",
        items=increase_quantities(lines.output),
        on_error="collect",
        credits=75,
    )

    @task
    def report(result):
        # JOOR can reject items with status 200. With on_error="collect" the operator returns these errors.
        for error in result["errors"]:
            print(f"JOOR rejected an item: {error}")
        return result["written"]

    approved >> orders
    report(update.output)


example_joor()
