"""OAuthHook in TaskFlow functions: a task a page, all with the same token.

The grant is a refresh token obtained elsewhere. The server replaces it with every use; the new one is kept in an
Airflow Variable, and the one in the connection is needed only once.

Needs the connection ``example_taskflow``:

    AIRFLOW_CONN_EXAMPLE_TASKFLOW='{"conn_type": "oauth", "host": "https://api.example.com/v1",
      "login": "CLIENT_ID", "password": "CLIENT_SECRET",
      "extra": {"grant_type": "refresh_token", "grant_url": "https://api.example.com/oauth/token",
                "refresh_token": "FIRST_REFRESH_TOKEN",
                "client_auth": "client_secret_post", "body_format": "json", "leeway": 60}}'
"""

from airflow.sdk import dag, task

from airflow_provider_oauth.hooks.oauth import OAuthHook

PAGE_SIZE = 100


@dag(schedule=None, tags=["oauth", "example"])
def example_taskflow_hook():
    @task
    def list_pages() -> list[int]:
        hook = OAuthHook(oauth_conn_id="example_taskflow")
        total = hook.run("items", data={"limit": 1}).json()["total"]
        return list(range(1, -(-total // PAGE_SIZE) + 1))

    @task
    def count_rows(page: int) -> int:
        hook = OAuthHook(oauth_conn_id="example_taskflow")
        rows = hook.run("items", data={"page": page, "limit": PAGE_SIZE}).json()["data"]
        return len(rows)

    @task
    def add_up(counts) -> int:
        return sum(counts)

    add_up(count_rows.expand(page=list_pages()))


example_taskflow_hook()
