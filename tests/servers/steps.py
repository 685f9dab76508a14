"""What the tests do with the connection ``api``."""

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
from tests.servers.person import Person
from tests.servers.servers import REDIRECT_URI, SECRET, AuthorizationServer

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token


def call(endpoint: str = "me") -> requests.Response:
    """Call the API, as a task does."""
    response: requests.Response = OAuthHook("api", method="GET").run(endpoint)
    return response


def authorize(config: OAuthConfig, person: Person | None = None, allow: bool = True) -> Token:
    """Consent as a user of the server, and store what the server issues, as the page and the command line do."""
    consent = AuthorizationRequest(conn_id="api", redirect_uri=REDIRECT_URI)
    url = grants.begin_authorization(config, consent)
    return grants.finish_authorization(config, consent, (person or Person()).consent(url, REDIRECT_URI, allow))


def stored_tokens(config: OAuthConfig) -> tuple[str, str]:
    """Return the access token and the refresh token that are stored."""
    record = token_source(config).grant_state().record
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


def tokens_of(server: AuthorizationServer) -> dict[str, Any]:
    """Return the tokens of a user's consent, given without the package."""
    verifier = "fake-verifier-" * 4
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code", "client_id": "app", "redirect_uri": REDIRECT_URI, "state": "fake-state",
        "scope": server.consent["scope"], "resource": server.resource, "code_challenge": challenge,
        "code_challenge_method": "S256", **server.consent.get("authorize_params", {}),
    }  # fmt: skip
    url = f"{server.url}/{server.endpoints['authorize_url']}?{urlencode(query)}"
    code = parse_qs(urlsplit(Person().consent(url, REDIRECT_URI)).query)["code"][0]
    data = {"code": code, "redirect_uri": REDIRECT_URI, "code_verifier": verifier, "resource": server.resource}
    tokens: dict[str, Any] = post(server, "grant_url", grant_type="authorization_code", **data).json()
    return tokens
