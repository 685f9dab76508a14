"""Airflow's own HttpOperator, unchanged, on a connection of type OAuth 2.0 API: all pages of a list.

The operator asks the connection for its hook, and that one brings the token. (Only without ``deferrable=True``:
deferred, the stock operator does not use the connection's hook. See ``example_oauth_operator.py``.)

Needs the connection ``example_stock``:

    AIRFLOW_CONN_EXAMPLE_STOCK='{"conn_type": "oauth", "host": "https://api.example.com/v1",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "client_credentials", "grant_url": "https://api.example.com/oauth/token",
                "scope": "read", "leeway": 60}}'
"""

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import dag


def next_page(response):
    """Return the parameters of the next page, or None after the last one."""
    answer = response.json()
    if answer["page"] < answer["pages"]:
        return {"data": {"page": answer["page"] + 1}}
    return None


def count_rows(responses):
    """Keep the number of rows, so that not the rows themselves end up in XCom."""
    return sum(len(response.json()["data"]) for response in responses)


@dag(schedule=None, tags=["oauth", "example"])
def example_stock_http_operator():
    HttpOperator(
        task_id="get_items",
        http_conn_id="example_stock",
        method="GET",
        endpoint="items",
        data={"page": 1, "limit": 50},
        pagination_function=next_page,
        response_filter=count_rows,
    )


example_stock_http_operator()
