"""The Airflow plugin of the page. Every Airflow process imports this module, so it imports little."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_oauth.runtime.ui_urls import PAGES, airflow_url


class OAuthPlugin(AirflowPlugin):
    """The page *OAuth connections* and its menu entry."""

    name = "oauth_connections"

    # These are properties, because Airflow reads fastapi_apps only in the API server. The application is imported only
    # there.

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The application that Airflow mounts in the API server."""
        from airflow_provider_oauth.ui.app import create_app

        return [{"app": create_app(), "url_prefix": PAGES, "name": "OAuth connections"}]

    @property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The menu entry: a plain link, because a page in Airflow's iframe could not redirect to another site."""
        path = urlsplit(airflow_url()).path
        return [{"name": "OAuth connections", "href": f"{path}{PAGES}/", "destination": "nav", "category": "admin"}]
