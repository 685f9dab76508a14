"""OAuthHttpOperator: what HttpOperator does, with the token added, also deferred.

Needs the connection ``example_operator``:

    AIRFLOW_CONN_EXAMPLE_OPERATOR='{"conn_type": "oauth", "host": "https://api.example.com/v1",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "client_credentials", "grant_url": "https://api.example.com/oauth/token",
                "scope": "read write", "leeway": 60}}'
"""

from airflow.sdk import chain, dag

from airflow_provider_oauth.operators.oauth import OAuthHttpOperator


@dag(schedule=None, tags=["oauth", "example"], default_args={"oauth_conn_id": "example_operator"})
def example_oauth_operator():
    get_item = OAuthHttpOperator(
        task_id="get_item",
        method="GET",
        endpoint="items/1",
        response_filter=lambda response: response.json()["name"],
    )

    # POST is the default, as in HttpOperator.
    add_item = OAuthHttpOperator(
        task_id="add_item",
        endpoint="items",
        headers={"Content-Type": "application/json"},
        data='{"name": "{{ ti.xcom_pull(task_ids=\'get_item\') }}, copied"}',
        response_check=lambda response: response.status_code == 201,
        response_filter=lambda response: response.json()["name"],
    )

    # Waits for the answer in the triggerer, where it holds no worker slot. With retries, because Airflow 3.3.2 may take
    # a deferred task that comes back within seconds for lost.
    count_items = OAuthHttpOperator(
        task_id="count_items",
        method="GET",
        endpoint="items",
        data={"limit": 1},
        response_filter=lambda response: response.json()["total"],
        deferrable=True,
        retries=2,
    )

    chain(get_item, add_item, count_items)


example_oauth_operator()
