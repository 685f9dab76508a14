"""Shows: OAuthHttpOperator, an HttpOperator that adds the token: a GET, a POST, and a deferred request.

It needs the connection ``example_operator``:

    AIRFLOW_CONN_EXAMPLE_OPERATOR='{"conn_type": "oauth", "host": "https://api.example.com/v1",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "client_credentials", "grant_url": "https://api.example.com/oauth/token",
                "scope": "read write", "leeway": 60}}'
"""

from airflow.sdk import chain, dag

from airflow_provider_oauth.operators.oauth import OAuthHttpOperator


@dag(schedule=None, tags=["oauth", "example"], default_args={"oauth_conn_id": "example_operator"})
def example_oauth_operator():
    get_name = OAuthHttpOperator(
        task_id="get_name",
        method="GET",
        endpoint="items/1",
        response_filter=lambda response: response.json()["name"],
    )

    # POST is the default, as in HttpOperator. Use data instead of request_kwargs for a body with templates.
    add_copy = OAuthHttpOperator(
        task_id="add_copy",
        endpoint="items",
        headers={"Content-Type": "application/json"},
        data='{"name": "{{ ti.xcom_pull(task_ids=\'get_name\') }}, copied"}',
        response_check=lambda response: response.status_code == 201,
        response_filter=lambda response: response.json()["name"],
    )

    # A deferred task waits for the response in the triggerer and occupies no worker slot. It has retries, because
    # Airflow 3.3.2 may treat a deferred task that resumes within seconds as lost.
    get_total = OAuthHttpOperator(
        task_id="get_total",
        method="GET",
        endpoint="items",
        data={"limit": 1},
        response_filter=lambda response: response.json()["total"],
        deferrable=True,
        retries=2,
    )

    chain(get_name, add_copy, get_total)


example_oauth_operator()
