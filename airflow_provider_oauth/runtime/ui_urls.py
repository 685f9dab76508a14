"""Where the pages are on which people see to connections. Light: every Airflow process imports it with the plugin."""

from __future__ import annotations

from urllib.parse import urlencode

from airflow.providers.common.compat.sdk import conf

#: Below Airflow's own URL.
PAGES = "/oauth"


def airflow_url() -> str:
    """Return Airflow's own URL, without a slash at the end; "" where it is not configured."""
    return str(conf.get("api", "base_url", fallback="")).rstrip("/")


def connection_page_url(conn_id: str) -> str:
    """Return the URL of the page on which people see to a connection; "" where Airflow's own is not configured."""
    return f"{airflow_url()}{PAGES}/?{urlencode({'conn_id': conn_id})}" if airflow_url() else ""
