"""The package works with an independent authorization server: Authlib's."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
import requests
from authlib.oauth2.rfc8414 import get_well_known_url as rfc8414_url
from authlib.oidc.discovery import get_well_known_url as oidc_url

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol import discovery
from airflow_provider_oauth.runtime import token_sources
from tests.connections import oauth_config
from tests.integration.authlib_server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_oauth.hooks.oauth import OAuthHook
    from tests.integration.authlib_server import Server


ID = "reports:/+%&é"
SECRET = "fake-secret-:/+%&é"
PASSWORD = "fake-password-:/+%&é 1"


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        running.add_user("ada", PASSWORD)
        yield running


@pytest.fixture
def connect(airflow_db: None, define_connection: Callable[..., None], server: Server) -> Callable[..., OAuthHook]:
    """Define a connection to the server and return its hook, without the state of earlier hooks."""
    from airflow.models.variable import Variable

    from airflow_provider_oauth.hooks.oauth import OAuthHook

    def define(client_id: str = ID, client_secret: str = SECRET, **extra: Any) -> OAuthHook:
        urls = {"host": f"{server.url}/api", "grant_url": server.token_url}
        client = {"login": client_id, "password": client_secret, "grant_type": "client_credentials"}
        define_connection("authlib", **(urls | client | extra))
        token_sources._sources.clear()
        return OAuthHook("authlib", method="GET")

    for name in ("oauth_token__authlib", "oauth_lease__authlib"):
        Variable.delete(name)
    return define


def record() -> dict[str, Any]:
    from airflow.models.variable import Variable

    return json.loads(Variable.get("oauth_token__authlib"))


def me(hook: OAuthHook) -> dict[str, Any]:
    return hook.run("me").json()


# --- the server itself, without the package


def basic(client_id: str, secret: str, encode: Callable[[str], str]) -> dict[str, str]:
    pair = f"{encode(client_id)}:{encode(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


@pytest.mark.parametrize(("encode", "status"), [(lambda text: quote(text, safe=""), 200), (quote_plus, 401)])
def test_authlib_percent_decodes_basic_credentials_but_keeps_plus_signs(
    server: Server, encode: Callable[[str], str], status: int
) -> None:
    # Authlib keeps "+", which RFC 6749 section 2.3.1 (appendix B) decodes to a space. "%20" works for both.
    server.add_client("with space", "fake secret")
    data = {"grant_type": "client_credentials"}
    headers = basic("with space", "fake secret", encode)
    assert requests.post(server.token_url, data=data, headers=headers, timeout=10).status_code == status


def test_authlib_protects_its_resource(server: Server) -> None:
    server.add_client(ID, SECRET, "client_secret_post")
    data = {"grant_type": "client_credentials", "client_id": ID, "client_secret": SECRET, "scope": "read"}
    token = requests.post(server.token_url, data=data, timeout=10).json()["access_token"]
    assert server.issued == [token]

    def get(path: str, value: str) -> int:
        headers = {"Authorization": f"Bearer {value}"}
        return requests.get(f"{server.url}/api/{path}", headers=headers, timeout=10).status_code

    assert [get("me", token), get("me", "made-up"), get("admin", token)] == [200, 401, 403]
    server.revoke_access_tokens()
    assert get("me", token) == 401


# --- client authentication


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
@pytest.mark.parametrize("grant", ["client_credentials", "password"])
def test_a_client_with_special_characters_is_accepted(
    server: Server, connect: Callable[..., OAuthHook], method: str, grant: str
) -> None:
    server.add_client(ID, SECRET, method)
    user = {"username": "ada", "user_password": PASSWORD} if grant == "password" else {}
    hook = connect(client_auth=method, grant_type=grant, scope="read", **user)
    assert me(hook) == {"client_id": ID, "user": "ada" if user else None, "scope": "read"}
    assert [(made.grant_type, made.status) for made in server.requests] == [(grant, 200)]


def test_authlib_accepts_a_space_in_the_body(server: Server, connect: Callable[..., OAuthHook]) -> None:
    server.add_client("with space", "fake secret", "client_secret_post")
    assert me(connect("with space", "fake secret", client_auth="client_secret_post", scope="read"))


def test_authlib_accepts_a_space_in_raw_basic_credentials(server: Server, connect: Callable[..., OAuthHook]) -> None:
    # Authlib does not decode "+" to a space (see above), so this client needs client_secret_basic_raw. With Authlib,
    # that works only if there is no "%" in the secret and no ":" in the client ID.
    server.add_client("with space", "fake secret é+/&")
    assert me(connect("with space", "fake secret é+/&", client_auth="client_secret_basic_raw", scope="read"))


def test_a_public_client_is_accepted(server: Server, connect: Callable[..., OAuthHook]) -> None:
    server.add_client(ID, "", "none")
    user = {"username": "ada", "user_password": PASSWORD}
    hook = connect(client_secret=None, client_auth="none", grant_type="password", scope="read", **user)
    assert me(hook)["client_id"] == ID


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_wrong_secret_is_an_invalid_client_and_sent_once(
    server: Server, connect: Callable[..., OAuthHook], method: str
) -> None:
    from airflow_provider_oauth.exceptions import InvalidClient

    server.add_client(ID, SECRET, method)
    with pytest.raises(InvalidClient) as caught:
        connect(client_secret="fake-secret-wrong", client_auth=method).get_token()
    assert caught.value.error == "invalid_client"
    assert "fake-secret" not in str(caught.value)
    assert len(server.requests) == 1


def test_the_wrong_client_authentication_is_an_invalid_client(
    server: Server, connect: Callable[..., OAuthHook]
) -> None:
    from airflow_provider_oauth.exceptions import InvalidClient

    server.add_client(ID, SECRET, "client_secret_post")
    with pytest.raises(InvalidClient):
        connect(client_auth="client_secret_basic").get_token()


# --- errors of grants


def test_a_grant_that_the_client_may_not_use_is_an_unauthorized_client(
    server: Server, connect: Callable[..., OAuthHook]
) -> None:
    from airflow_provider_oauth.exceptions import UnauthorizedClient

    server.add_client(ID, SECRET, grant_types=("password",))
    with pytest.raises(UnauthorizedClient):
        connect().get_token()


def test_a_wrong_password_is_refused_and_sent_once(server: Server, connect: Callable[..., OAuthHook]) -> None:
    from airflow_provider_oauth.exceptions import TokenRequestError

    server.add_client(ID, SECRET)
    with pytest.raises(TokenRequestError) as caught:
        connect(grant_type="password", username="ada", user_password="fake-password-wrong").get_token()
    # RFC 6749 section 5.2 requires invalid_grant here.
    assert (caught.value.error, caught.value.status_code) == ("invalid_request", 400)
    assert len(server.requests) == 1


def test_a_narrower_scope_is_stored_with_the_token(server: Server, connect: Callable[..., OAuthHook]) -> None:
    server.add_client(ID, SECRET, scope="read")
    hook = connect(scope="read write")
    assert hook.get_token().scope == "read"
    assert me(hook)["scope"] == "read"
    assert "did not grant these scopes: write" in hook.test_connection()[1]


# --- refresh tokens


@pytest.fixture
def refresh_token(server: Server) -> str:
    """A refresh token that was obtained without this package."""
    server.add_client(ID, SECRET)
    data = {"grant_type": "password", "username": "ada", "password": PASSWORD, "scope": "read"}
    headers = basic(ID, SECRET, quote_plus)
    return requests.post(server.token_url, data=data, headers=headers, timeout=10).json()["refresh_token"]


def test_each_renewal_uses_and_stores_the_rotated_refresh_token(
    server: Server, connect: Callable[..., OAuthHook], refresh_token: str
) -> None:
    hook = connect(grant_type="refresh_token", refresh_token=refresh_token)
    generations = []
    for _ in range(3):
        # The API responds with 401: the token is renewed and the request repeated.
        assert me(hook)["user"] == "ada"
        generations.append(record()["generation"])
        server.revoke_access_tokens()
        token_sources._sources.clear()  # as in a new process: after a 401, a process renews at most once in 60 s
    assert generations == [1, 2, 3]
    assert [(made.grant_type, made.error) for made in server.requests[1:]] == [("refresh_token", None)] * 3
    assert server.api_statuses == [200, 401, 200, 401, 200]


def test_a_new_process_uses_the_stored_refresh_token(
    server: Server, connect: Callable[..., OAuthHook], refresh_token: str
) -> None:
    for _ in range(3):
        assert me(connect(grant_type="refresh_token", refresh_token=refresh_token))["user"] == "ada"
        server.revoke_access_tokens()
    assert [made.status for made in server.requests] == [200] * 4
    assert not [value for value in server.issued if value in json.dumps(record())]


def test_a_used_refresh_token_requires_consent(
    server: Server, connect: Callable[..., OAuthHook], refresh_token: str
) -> None:
    from airflow_provider_oauth.exceptions import ConsentRequired

    me(connect(grant_type="refresh_token", refresh_token=refresh_token))
    for token in server.tokens:
        token.access_revoked = token.refresh_revoked = True
    access = connect(grant_type="refresh_token", refresh_token=refresh_token).access
    with pytest.raises(ConsentRequired, match="authlib"):
        access.source.token(rejected=access.token())
    assert server.requests[-1].error == "invalid_grant"


def test_the_connection_test_uses_no_refresh_token(
    server: Server, connect: Callable[..., OAuthHook], refresh_token: str
) -> None:
    hook = connect(grant_type="refresh_token", refresh_token=refresh_token)
    assert hook.test_connection()[0]
    assert server.requests[-1].error == "invalid_grant"
    assert me(hook)["user"] == "ada"


def test_a_token_with_a_lifetime_of_a_minute_is_stored_and_used_again(
    connect: Callable[..., OAuthHook], server: Server
) -> None:
    server.add_client(ID, SECRET)
    for _ in range(2):
        assert me(connect(scope="read"))
    assert len(server.requests) == 1


def test_the_server_issues_tokens_with_a_short_lifetime() -> None:
    with serve(expires_in=60) as server:
        server.add_client(ID, SECRET)
        data, headers = {"grant_type": "client_credentials"}, basic(ID, SECRET, quote_plus)
        response = requests.post(server.token_url, data=data, headers=headers, timeout=10).json()
    assert response["expires_in"] == 60


# --- discovery


DISCOVERED = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/token"]


def test_endpoints_are_discovered_only_if_a_token_is_requested(
    server: Server, connect: Callable[..., OAuthHook]
) -> None:
    server.add_client(ID, SECRET)

    user = {"username": "ada", "user_password": PASSWORD}

    def hook() -> OAuthHook:
        """Return the hook of a new process."""
        return connect(grant_url=None, issuer=server.url, scope="read", grant_type="password", use_refresh=True, **user)

    assert me(hook())["user"] == "ada"
    assert server.paths == [*DISCOVERED, "/api/me"]
    server.paths.clear()
    assert me(hook())["user"] == "ada"
    assert server.paths == ["/api/me"]  # a stored token is used without a request to the authorization server
    server.revoke_access_tokens()
    server.paths.clear()
    assert me(hook())["user"] == "ada"
    assert server.paths == ["/api/me", *DISCOVERED, "/api/me"]
    assert [made.grant_type for made in server.requests] == ["password", "refresh_token"]


def test_metadata_of_an_issuer_with_another_spelling_is_rejected(
    server: Server, connect: Callable[..., OAuthHook]
) -> None:
    server.add_client(ID, SECRET)
    with pytest.raises(ConfigurationError, match="set Issuer to exactly this value"):
        connect(grant_url=None, issuer=f"{server.url}/", scope="read").get_token()
    assert server.requests == []


@pytest.mark.parametrize("issuer", ["https://a.example", "https://a.example/", "https://a.example/t/1"])
def test_authlib_has_its_metadata_at_the_standard_urls(issuer: str) -> None:
    config = oauth_config(conn_id="authlib", base_url="https://a.example", issuer=issuer, client_auth="none")
    assert discovery._metadata_urls(config, issuer) == (
        oidc_url(issuer, external=True),
        rfc8414_url(issuer, external=True),
    )
