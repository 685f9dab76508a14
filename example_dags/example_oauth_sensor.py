"""Shows: OAuthHttpSensor, which waits in a worker or in the triggerer, and OAuthExtractOperator with a POST request.

The first sensor waits until the API responds with 200 instead of 404. The second one waits until a job has the status
"done". Then a list is fetched with POST requests, page by page, into a compressed file. The grant type is Password, and
the token request is multipart form data, as some APIs require it.

It needs the connection ``example_sensor``:

    AIRFLOW_CONN_EXAMPLE_SENSOR='{"conn_type": "oauth", "host": "https://api.example.com/v1",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "password", "grant_url": "https://api.example.com/oauth/token",
                "username": "USER", "user_password": "PASSWORD",
                "client_auth": "client_secret_post", "body_format": "multipart", "leeway": 60}}'
"""

import os

from airflow.sdk import Asset, dag

from airflow_provider_oauth.extract.paginators import CursorPaginator
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.sensors.oauth import OAuthHttpSensor

FOLDER = os.path.join(os.environ.get("AIRFLOW_HOME", ""), "extracts")


@dag(schedule=None, tags=["oauth", "example"], default_args={"oauth_conn_id": "example_sensor"})
def example_oauth_sensor():
    # The intervals are short for the demo. For a real API use a minute or more.
    in_worker = OAuthHttpSensor(
        task_id="wait_in_worker",
        endpoint="ready/{{ run_id }}",
        request_params={"after": 1},
        poke_interval=1,
        timeout=60,
    )

    in_triggerer = OAuthHttpSensor(
        task_id="wait_in_triggerer",
        endpoint="jobs/{{ run_id }}",
        request_params={"after": 2},
        until="status == 'done'",
        poke_interval=1,
        timeout=60,
        deferrable=True,
        retries=2,  # Airflow 3.3.2 may treat a deferred task that resumes within seconds as lost
    )

    items = OAuthExtractOperator(
        task_id="fetch_items",
        endpoint="items/search",
        method="POST",
        json={"min_id": 1, "limit": 100},
        # The response names the next page in next_cursor. The next request sends it as cursor in its JSON body.
        paginator=CursorPaginator(path="next_cursor", param="cursor", param_in="body", total="total"),
        records_path="results",
        exclude=["email"],  # personal data that must not be in the file
        on_empty="fail",
        path=FOLDER + "/ready-items-{{ run_id }}.jsonl.gz",
        outlets=[Asset("ready_items")],  # its event has the number of rows and the size of the file
    )

    [in_worker, in_triggerer] >> items


example_oauth_sensor()
