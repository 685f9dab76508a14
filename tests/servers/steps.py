"""What the tests do with the connection ``api``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_oauth.hooks import grants
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.hooks.sources import token_source
from airflow_provider_oauth.oauth.consent import Consent
from tests.servers.person import Person
from tests.servers.servers import REDIRECT_URI, SECRET, AuthorizationServer

if TYPE_CHECKING:
    from airflow_provider_oauth.oauth.config import OAuthConfig
    from airflow_provider_oauth.oauth.token import Token


def call(endpoint: str = "me") -> requests.Response:
    """Call the API, as a task does."""
    response: requests.Response = OAuthHook("api", method="GET").run(endpoint)
    return response


def authorize(config: OAuthConfig, person: Person | None = None, allow: bool = True) -> Token:
    """Consent as a user of the server, and store what the server issues, as the page and the command line do."""
    consent = Consent(conn_id="api", redirect_uri=REDIRECT_URI)
    url = grants.begin(config, consent)
    return grants.finish(config, consent, (person or Person()).consent(url, REDIRECT_URI, allow))


def stored_tokens(config: OAuthConfig) -> tuple[str, str]:
    """Return the access token and the refresh token that are stored."""
    record = token_source(config).stored().record
    assert record is not None
    assert record.refresh_token is not None
    return record.tokens[""].access_token, record.refresh_token


def api_status(server: AuthorizationServer, access_token: str) -> int:
    """Return how the API answers to a token, without the package."""
    headers = {"Authorization": f"Bearer {access_token}"}
    return requests.get(f"{server.resource}/me", headers=headers, timeout=10).status_code


def post(server: AuthorizationServer, field: str, **data: Any) -> requests.Response:
    """Send a request to the endpoint that a connection field names, as the client ``app``, without the package."""
    own = {"client_id": "app", "client_secret": SECRET}
    return requests.post(f"{server.url}/{server.endpoints[field]}", data={**own, **data}, timeout=10)
