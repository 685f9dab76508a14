"""The Airflow plugin that adds the page *OAuth connections*.

Every Airflow process imports this module, so it imports little.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_oauth.runtime.ui_urls import PAGES, airflow_url


class OAuthPlugin(AirflowPlugin):
    """Adds the page *OAuth connections* and its menu entry to Airflow."""

    name = "oauth_connections"

    # fastapi_apps is a property, so that the application is imported only in the API server: other processes do not
    # read this attribute.

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The application that Airflow mounts in the API server."""
        from airflow_provider_oauth.ui.app import create_app

        return [{"app": create_app(), "url_prefix": PAGES, "name": "OAuth connections"}]

    @property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The menu entry. It is a plain link, because a page in Airflow's iframe could not redirect to another site."""
        path = urlsplit(airflow_url()).path
        return [{"name": "OAuth connections", "href": f"{path}{PAGES}/", "destination": "nav", "category": "admin"}]
