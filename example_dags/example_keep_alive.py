"""Shows: a DAG that uses refresh tokens before they expire, and alerts you before a user must consent again.

Many servers expire a refresh token that was not used for some weeks. Some servers expire it in any case after a fixed
time; then a user must consent again. Add the connections to ``CONNECTIONS``. The task ``warn`` fails some days before a
refresh token expires, so that Airflow sends the alerts that you have configured for failed tasks.

It needs the connection ``example_keep_alive``, or any other connection with a refresh token:

    AIRFLOW_CONN_EXAMPLE_KEEP_ALIVE='{"conn_type": "justimmo", "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "refresh_token", "refresh_token": "FIRST_REFRESH_TOKEN", "leeway": 60}}'
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task, task_group
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants

CONNECTIONS = ["example_keep_alive"]
RENEW_AFTER = timedelta(days=7)  # since the last renewal; this works even if the refresh token's expiry is unknown
RENEW_BEFORE = timedelta(days=10)  # before the refresh token expires
WARN_BEFORE = timedelta(days=5)


@dag(schedule="@daily", catchup=False, tags=["oauth", "example"])
def example_keep_alive():
    @task(retries=2)
    def renew(conn_id):
        config = OAuthHook(conn_id).config
        status, now = grants.status(config), datetime.now(UTC)
        never_expires = status.token is not None and status.token.expires_at is None  # no renewal is needed
        idle = status.token is None or (status.token.issued_at < now - RENEW_AFTER and not never_expires)
        ending = status.consent_by is not None and status.consent_by < now + RENEW_BEFORE
        if status.needs_consent or idle or ending:
            grants.renew(config)  # if a user must consent, this fails with an error that says so

    @task
    def warn(conn_id):
        consent_by = grants.status(OAuthHook(conn_id).config).consent_by
        if consent_by and consent_by < datetime.now(UTC) + WARN_BEFORE:
            raise AirflowFailException(
                f"Connection {conn_id!r}: the refresh token expires on {consent_by:%Y-%m-%d at %H:%M} UTC, and a "
                "renewal does not extend it. A user must consent again before that: click Authorize on the page OAuth "
                "connections."
            )

    @task_group
    def keep_alive(conn_id):
        renew(conn_id) >> warn(conn_id)

    keep_alive.expand(conn_id=CONNECTIONS)


example_keep_alive()
