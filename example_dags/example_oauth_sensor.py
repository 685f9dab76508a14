"""OAuthHttpSensor: wait until the API says 200 instead of 404, in a worker or in the triggerer.

The grant is a user's password, sent to the token URL as multipart form data, as some APIs want it.

Needs the connection ``example_sensor``:

    AIRFLOW_CONN_EXAMPLE_SENSOR='{"conn_type": "oauth", "host": "https://api.example.com/v1",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "password", "grant_url": "https://api.example.com/oauth/token",
                "username": "USER", "user_password": "PASSWORD",
                "client_auth": "client_secret_post", "body_format": "multipart", "leeway": 60}}'
"""

from airflow.sdk import dag

from airflow_provider_oauth.sensors.oauth import OAuthHttpSensor


@dag(schedule=None, tags=["oauth", "example"], default_args={"oauth_conn_id": "example_sensor"})
def example_oauth_sensor():
    # Short intervals, so that the demo is quick. Ask a real API every minute or so.
    OAuthHttpSensor(
        task_id="wait_in_worker",
        endpoint="ready/{{ run_id }}-worker",
        request_params={"after": 1},
        poke_interval=1,
        timeout=60,
    )

    OAuthHttpSensor(
        task_id="wait_in_triggerer",
        endpoint="ready/{{ run_id }}-triggerer",
        request_params={"after": 2},
        poke_interval=1,
        timeout=60,
        deferrable=True,
        retries=2,  # Airflow 3.3.2 may take a deferred task that comes back within seconds for lost
    )


example_oauth_sensor()
