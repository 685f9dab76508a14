"""How Airflow finds the page. Light: every Airflow process imports it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_oauth.runtime.ui_urls import PAGES, airflow_url


class OAuthPlugin(AirflowPlugin):
    """The page *OAuth connections*, and its entry in the menu."""

    name = "oauth_connections"

    # Airflow reads both on an instance, and the applications in the API server only.

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The pages, as an application that the API server mounts."""
        from airflow_provider_oauth.ui.app import create_app

        return [{"app": create_app(), "url_prefix": PAGES, "name": "OAuth connections"}]

    @property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The entry in the menu: a plain link, because a view within Airflow's page could not lead to a vendor's."""
        path = urlsplit(airflow_url()).path
        return [{"name": "OAuth connections", "href": f"{path}{PAGES}/", "destination": "nav", "category": "admin"}]
