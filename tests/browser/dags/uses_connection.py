"""Calls the API with the connection that the run names: ``whoami``, unless it names another endpoint."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_oauth.operators.oauth import OAuthHttpOperator


@dag(schedule=None)
def uses_connection() -> None:
    OAuthHttpOperator(
        task_id="whoami",
        oauth_conn_id="{{ dag_run.conf['conn_id'] }}",
        method="GET",
        endpoint="{{ dag_run.conf.get('endpoint', 'whoami') }}",
        response_filter=lambda response: response.json(),
        retries=2,  # not used if a user must authorize the connection
    )


uses_connection()
