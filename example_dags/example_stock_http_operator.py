"""Shows: Airflow's own HttpOperator with an OAuth 2.0 connection. It fetches all pages of a list into a file.

The operator uses the hook of the connection's type, which adds the token. This does not work with ``deferrable=True``:
a deferred HttpOperator does not use that hook. Use OAuthHttpOperator instead, see ``example_oauth_operator.py``.

It needs the connection ``example_stock``:

    AIRFLOW_CONN_EXAMPLE_STOCK='{"conn_type": "oauth", "host": "https://api.example.com/v1",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "client_credentials", "grant_url": "https://api.example.com/oauth/token",
                "scope": "read", "leeway": 60}}'
"""

import json
import os

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import dag

FOLDER = os.path.join(os.environ.get("AIRFLOW_HOME", ""), "extracts")


def next_page(response):
    """Return the parameters of the next page; None after the last one."""
    content = response.json()
    if content["page"] < content["pages"]:
        return {"data": {"page": content["page"] + 1}}
    return None


def write_rows(responses, run_id):
    """Write the rows to a file, and return its path, so that XCom does not contain the rows."""
    os.makedirs(FOLDER, exist_ok=True)
    path = os.path.join(FOLDER, f"stock-items-{run_id}.jsonl")
    with open(path, "w") as file:
        for response in responses:
            file.writelines(json.dumps(row) + "\n" for row in response.json()["data"])
    return path


@dag(schedule=None, tags=["oauth", "example"])
def example_stock_http_operator():
    HttpOperator(
        task_id="fetch_items",
        http_conn_id="example_stock",
        method="GET",
        endpoint="items",
        data={"page": 1, "limit": 50},
        pagination_function=next_page,
        response_filter=write_rows,
    )


example_stock_http_operator()
