"""Actions of the tests with the connection ``api``."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.runtime.token_sources import token_source
from tests.servers.servers import REDIRECT_URI, SECRET, AuthorizationServer
from tests.servers.user import User

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token


def call(endpoint: str = "me") -> requests.Response:
    """Call the API like a task."""
    response: requests.Response = OAuthHook("api", method="GET").run(endpoint)
    return response


def authorize(config: OAuthConfig, user: User | None = None, allow: bool = True) -> Token:
    """Authorize the connection as a user of the server, like the page and the command line."""
    request = AuthorizationRequest(conn_id="api", redirect_uri=REDIRECT_URI)
    url = grants.begin_authorization(config, request)
    return grants.finish_authorization(config, request, (user or User()).consent(url, REDIRECT_URI, allow))


def stored_tokens(config: OAuthConfig) -> tuple[str, str]:
    """Return the stored access token and refresh token."""
    record = token_source(config).grant_state().record
    assert record is not None
    assert record.refresh_token is not None
    return record.tokens[""].access_token, record.refresh_token


def api_status(server: AuthorizationServer, access_token: str) -> int:
    """Return the API's status for a token, without this package."""
    headers = {"Authorization": f"Bearer {access_token}"}
    return requests.get(f"{server.resource}/me", headers=headers, timeout=10).status_code


def post(server: AuthorizationServer, field: str, **data: Any) -> requests.Response:
    """Send a request of the client ``app`` to an endpoint of the server, without this package.

    :param field: the connection field of the endpoint
    """
    client = {"client_id": "app", "client_secret": SECRET}
    return requests.post(f"{server.url}/{server.endpoints[field]}", data={**client, **data}, timeout=10)


def tokens_of(server: AuthorizationServer) -> dict[str, Any]:
    """Return the tokens of a new authorization, obtained without this package."""
    verifier = "fake-verifier-" * 4
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code", "client_id": "app", "redirect_uri": REDIRECT_URI, "state": "fake-state",
        "scope": server.authorization_fields["scope"], "resource": server.resource, "code_challenge": challenge,
        "code_challenge_method": "S256", **server.authorization_fields.get("authorize_params", {}),
    }  # fmt: skip
    url = f"{server.url}/{server.endpoints['authorize_url']}?{urlencode(query)}"
    code = parse_qs(urlsplit(User().consent(url, REDIRECT_URI)).query)["code"][0]
    data = {"code": code, "redirect_uri": REDIRECT_URI, "code_verifier": verifier, "resource": server.resource}
    tokens: dict[str, Any] = post(server, "grant_url", grant_type="authorization_code", **data).json()
    return tokens
