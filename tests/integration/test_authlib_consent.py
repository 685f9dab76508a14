"""Consent at an independent authorization server: Authlib's, with PKCE, ``iss`` and revocation."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
import requests

from airflow_provider_oauth.exceptions import ConsentDenied
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from sandbox.user_agent import PageError, UserAgent
from tests.integration.authlib_server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token
    from tests.integration.authlib_server import Server


SECRET = "fake-secret-/+%&"
BACK = "https://airflow.example.com/oauth/callback"
STATE = "fake-state+/="
VERIFIER = "fake-verifier-" * 4
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
OWN = {"client_id": "app", "client_secret": SECRET}


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        for name, secret, method in (
            ("app", SECRET, "client_secret_post"),
            ("other", SECRET, "client_secret_post"),
            ("public", "", "none"),
        ):
            running.add_client(name, secret, method, redirect_uris=(BACK,))
        yield running


def request_url(server: Server, **more: str) -> str:
    parameters = {"response_type": "code", "client_id": "app", "redirect_uri": BACK, "state": STATE, "scope": "read"}
    challenge = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    return f"{server.url}/authorize?{urlencode({**parameters, **challenge, **more})}"


def post(server: Server, path: str, **parameters: Any) -> requests.Response:
    return requests.post(f"{server.url}/{path}", data={**OWN, **parameters}, timeout=10)


def exchange_code(server: Server, callback: str, **more: Any) -> requests.Response:
    code = parse_qs(urlsplit(callback).query)["code"][0]
    parameters = {"code": code, "redirect_uri": BACK, "code_verifier": VERIFIER, **more}
    return post(server, "token", grant_type="authorization_code", **parameters)


def renew(server: Server, tokens: dict[str, str]) -> requests.Response:
    return post(server, "token", grant_type="refresh_token", refresh_token=tokens["refresh_token"])


def me(server: Server, tokens: dict[str, str]) -> requests.Response:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return requests.get(f"{server.url}/api/me", headers=headers, timeout=10)


# --- the server itself, without the package


def test_authlib_redirects_the_browser_with_a_code_for_the_user(server: Server) -> None:
    callback = UserAgent().consent(request_url(server), "grace")
    fields = parse_qsl(urlsplit(callback).query)
    assert callback.startswith(f"{BACK}?")
    assert [name for name, _ in fields] == ["code", "state", "iss"]
    assert dict(fields).items() >= {"state": STATE, "iss": server.url}.items()
    tokens = exchange_code(server, callback).json()
    assert me(server, tokens).json() == {"client_id": "app", "user": "grace", "scope": "read"}


def test_authlib_reports_that_the_user_declined(server: Server) -> None:
    callback = parse_qs(urlsplit(UserAgent().consent(request_url(server), allow=False)).query)
    assert (callback["error"], callback["state"], callback["iss"]) == (["access_denied"], [STATE], [server.url])


def test_authlib_redirects_with_errors_that_need_no_user(server: Server) -> None:
    callback = parse_qs(urlsplit(UserAgent().consent(request_url(server, code_challenge="short"))).query)
    assert (callback["error"], callback["state"], callback["iss"]) == (["invalid_request"], [STATE], [server.url])


def test_authlib_does_not_redirect_to_an_unregistered_redirect_uri(server: Server) -> None:
    with pytest.raises(PageError, match=r"\(400\)"):
        UserAgent().consent(request_url(server, redirect_uri="https://elsewhere.example.com/"))


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"code_verifier": VERIFIER[::-1]}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"redirect_uri": f"{BACK}/another"}, "invalid_grant"),
        ({"client_id": "other"}, "invalid_grant"),
    ],
)
def test_authlib_refuses_a_code_with_another_client_redirect_uri_or_verifier(
    server: Server, more: dict[str, Any], error: str
) -> None:
    refused = exchange_code(server, UserAgent().consent(request_url(server)), **more)
    assert (refused.status_code, refused.json()["error"]) == (400, error)


def test_authlib_requires_pkce_for_a_public_client(server: Server) -> None:
    url = request_url(server, client_id="public", code_challenge="", code_challenge_method="")
    data = {"grant_type": "authorization_code", "client_id": "public", "redirect_uri": BACK}
    data["code"] = parse_qs(urlsplit(UserAgent().consent(url)).query)["code"][0]
    refused = requests.post(server.token_url, data=data, timeout=10)
    assert refused.json() == {"error": "invalid_request", "error_description": "Missing 'code_verifier'"}


def test_authlib_accepts_a_code_once_and_before_it_expires(server: Server) -> None:
    callback = UserAgent().consent(request_url(server))
    assert [exchange_code(server, callback).status_code for _ in range(2)] == [200, 400]
    server.code_lifetime = 0
    assert exchange_code(server, UserAgent().consent(request_url(server))).json()["error"] == "invalid_grant"


def test_authlib_rotates_refresh_tokens(server: Server) -> None:
    first = exchange_code(server, UserAgent().consent(request_url(server))).json()
    second = renew(server, first).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert [renew(server, each).status_code for each in (first, second)] == [400, 200]


def test_authlib_revokes_a_refresh_token_with_its_access_token(server: Server) -> None:
    tokens = exchange_code(server, UserAgent().consent(request_url(server))).json()
    revoked = post(server, "revoke", token=tokens["refresh_token"], token_type_hint="refresh_token")
    assert (revoked.status_code, server.revocations) == (200, [200])
    assert (me(server, tokens).status_code, renew(server, tokens).status_code) == (401, 400)


def test_authlib_revokes_only_the_access_token(server: Server) -> None:
    tokens = exchange_code(server, UserAgent().consent(request_url(server))).json()
    assert post(server, "revoke", token=tokens["access_token"]).status_code == 200
    assert (me(server, tokens).status_code, renew(server, tokens).status_code) == (401, 200)


def test_authlib_revokes_tokens_only_for_their_client(server: Server) -> None:
    tokens = exchange_code(server, UserAgent().consent(request_url(server))).json()
    refused = post(server, "revoke", token=tokens["refresh_token"], client_id="other")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert post(server, "revoke", token="made-up").status_code == 200
    assert me(server, tokens).status_code == 200


def test_authlib_has_its_endpoints_in_its_metadata(server: Server) -> None:
    metadata = requests.get(f"{server.url}/.well-known/oauth-authorization-server", timeout=10).json()
    assert metadata["issuer"] == server.url
    assert [metadata[f"{name}_endpoint"] for name in ("authorization", "token", "revocation")] == [
        f"{server.url}/{path}" for path in ("authorize", "token", "revoke")
    ]
    assert metadata["authorization_response_iss_parameter_supported"] is True


# --- with the package


@pytest.fixture
def connect(
    define_connection: Callable[..., None], variables: dict[str, str], server: Server
) -> Callable[..., OAuthConfig]:
    """Define the connection ``api``; arguments replace or add fields."""

    def define(**extra: Any) -> OAuthConfig:
        urls = {"grant_url": server.token_url, "authorize_url": f"{server.url}/authorize", "issuer": server.url}
        client = {"login": "app", "password": SECRET, "client_auth": "client_secret_post", "scope": "read"}
        fields = {"host": f"{server.url}/api", "grant_type": "authorization_code"} | urls | client
        define_connection("api", **(fields | extra))
        return OAuthHook("api", method="GET").config

    return define


def begin(config: OAuthConfig) -> tuple[AuthorizationRequest, str]:
    consent = AuthorizationRequest(conn_id="api", redirect_uri=BACK)
    return consent, grants.begin_authorization(config, consent)


def test_a_consent_at_authlib_lets_tasks_call_the_api(connect: Callable[..., OAuthConfig], server: Server) -> None:
    config = connect()
    consent, url = begin(config)
    grants.finish_authorization(config, consent, UserAgent().consent(url, "grace"))
    assert OAuthHook("api", method="GET").run("me").json()["user"] == "grace"
    grants.renew(config)
    assert OAuthHook("api", method="GET").run("me").json()["user"] == "grace"
    assert [made.grant_type for made in server.requests] == ["authorization_code", "refresh_token"]


def test_a_callback_of_another_issuer_is_rejected(connect: Callable[..., OAuthConfig], server: Server) -> None:
    config = connect(issuer="https://another.example.com")
    consent, url = begin(config)
    with pytest.raises(ConsentDenied, match="another server"):
        grants.finish_authorization(config, consent, UserAgent().consent(url))
    assert server.requests == []


def test_a_declined_consent_at_authlib_is_reported(connect: Callable[..., OAuthConfig]) -> None:
    config = connect()
    consent, url = begin(config)
    with pytest.raises(ConsentDenied, match="The user declined"):
        grants.finish_authorization(config, consent, UserAgent().consent(url, allow=False))


def test_another_account_is_refused_until_the_first_grant_is_forgotten(
    connect: Callable[..., OAuthConfig], server: Server
) -> None:
    server.clients["app"].scope = "openid read"
    config = connect(scope="openid read")

    def consent_as(user: str) -> Token:
        consent, url = begin(config)
        return grants.finish_authorization(config, consent, UserAgent().consent(url, user))

    consent_as("ada")
    grants.renew(config)
    with pytest.raises(ConsentDenied, match="as a different user than before.*forget"):
        consent_as("grace")
    assert OAuthHook("api", method="GET").run("me").json()["user"] == "ada"
    consent_as("ada")
    grants.forget(config)
    consent_as("grace")
    assert OAuthHook("api", method="GET").run("me").json()["user"] == "grace"
