"""Keeps refresh tokens alive that end when unused, and warns some days ahead of one that will end all the same.

Many servers end a refresh token that nobody has used for some weeks, and some end it whatever you do: then a person has
to consent again. List the connections that live by one. A task that fails is the warning: Airflow's alerts hang on it.

Needs the connection ``example_keep_alive``, or any others that live by a refresh token:

    AIRFLOW_CONN_EXAMPLE_KEEP_ALIVE='{"conn_type": "justimmo", "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "refresh_token", "refresh_token": "FIRST_REFRESH_TOKEN", "leeway": 60}}'
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task, task_group
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants

CONNECTIONS = ["example_keep_alive"]
RENEW_AFTER = timedelta(days=7)  # since the last renewal, also where nobody knows when the refresh token ends
RENEW_BEFORE = timedelta(days=10)  # ahead of its end
WARN_BEFORE = timedelta(days=5)


@dag(schedule="@daily", catchup=False, tags=["oauth", "example"])
def example_keep_alive():
    @task(retries=2)
    def renew(conn_id):
        config = OAuthHook(conn_id).config
        status, now = grants.status(config), datetime.now(UTC)
        never_expires = status.token is not None and status.token.expires_at is None  # nothing to renew
        idle = status.token is None or (status.token.issued_at < now - RENEW_AFTER and not never_expires)
        ending = status.consent_by is not None and status.consent_by < now + RENEW_BEFORE
        if status.needs_consent or idle or ending:
            grants.renew(config)  # where only consent helps, this fails, and says so

    @task
    def warn(conn_id):
        consent_by = grants.status(OAuthHook(conn_id).config).consent_by
        if consent_by and consent_by < datetime.now(UTC) + WARN_BEFORE:
            raise AirflowFailException(
                f"Connection {conn_id!r}: its refresh token ends on {consent_by:%Y-%m-%d at %H:%M} UTC, and renewing "
                f"it does not help. Have a user consent again before that."
            )

    @task_group
    def keep_alive(conn_id):
        renew(conn_id) >> warn(conn_id)

    keep_alive.expand(conn_id=CONNECTIONS)


example_keep_alive()
