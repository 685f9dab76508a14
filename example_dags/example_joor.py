"""JOOR: wait for approved orders, read them and their lines, and write quantities back.

JOOR allows an account 300 credits in 300 s. The tasks share them by a pool of 4 slots, 75 credits each:

    airflow pools set joor 4 "JOOR: 300 credits in 300 s"

Needs the connection ``example_joor``:

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
    # It gives its slot back between two looks. Short, so that the demo is quick: ask JOOR itself every few minutes.
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
        task_id="list_orders",
        status="approved",
        path=FOLDER + "/orders-{{ run_id }}.jsonl",
        xcom_fields="id",
        credits=75,
    )

    lines = JoorListOrderLinesOperator(
        task_id="list_lines",
        order_ids=orders.output,
        path=FOLDER + "/lines-{{ run_id }}.jsonl",
        xcom_fields="{id: id, quantity: quantity}",
        credits=75,
    )

    @task
    def one_more_of_each(lines):
        return [{**line, "quantity": line["quantity"] + 1} for line in lines[:5]]

    write = JoorBulkOperator(
        task_id="write_quantities",
        resource="order_lines",
        action="update",
        items=one_more_of_each(lines.output),
        on_error="collect",
        credits=75,
    )

    @task
    def report(result):
        """JOOR may reject items with status 200: look at them."""
        for error in result["errors"]:
            print(f"rejected: {error}")
        return result["written"]

    approved >> orders
    report(write.output)


example_joor()
