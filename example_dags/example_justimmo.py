"""Shows: fetching the realties of a Justimmo user's tenant into a file.

It needs the connection ``example_justimmo``, with the refresh token that Justimmo issued when a user consented:

    AIRFLOW_CONN_EXAMPLE_JUSTIMMO='{"conn_type": "justimmo", "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "refresh_token", "refresh_token": "FIRST_REFRESH_TOKEN", "leeway": 60}}'
"""

import os

from airflow.sdk import dag

from airflow_provider_oauth.operators.justimmo import JustimmoCurrentUserOperator, JustimmoListRealtiesOperator

FOLDER = os.path.join(os.environ.get("AIRFLOW_HOME", ""), "extracts")


@dag(schedule=None, tags=["oauth", "example"], default_args={"oauth_conn_id": "example_justimmo"})
def example_justimmo():
    user = JustimmoCurrentUserOperator(task_id="fetch_current_user")

    # If you have only one tenant, set tenant_id in the connection instead.
    realties = JustimmoListRealtiesOperator(
        task_id="fetch_realties",
        tenant_id="{{ ti.xcom_pull(task_ids='fetch_current_user')['tenant']['id'] }}",
        path=FOLDER + "/realties-{{ run_id }}.jsonl",
    )

    user >> realties


example_justimmo()
