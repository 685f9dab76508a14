"""URLs of the page *OAuth connections*.

This module imports little, because every Airflow process imports it together with the plugin.
"""

from __future__ import annotations

from urllib.parse import urlencode

from airflow.providers.common.compat.sdk import conf

#: Path of the page and everything below it, relative to Airflow's own URL.
PAGES = "/oauth"


def airflow_url() -> str:
    """Return Airflow's own URL without a trailing slash; "" if ``[api] base_url`` is not set."""
    return str(conf.get("api", "base_url", fallback="")).rstrip("/")


def connection_page_url(conn_id: str) -> str:
    """Return the URL of the page that shows a connection; "" if ``[api] base_url`` is not set."""
    return f"{airflow_url()}{PAGES}/?{urlencode({'conn_id': conn_id})}" if airflow_url() else ""


def callback_url() -> str:
    """Return the redirect URI of authorization requests of the page; "" if ``[api] base_url`` is not set."""
    return f"{airflow_url()}{PAGES}/callback" if airflow_url() else ""
