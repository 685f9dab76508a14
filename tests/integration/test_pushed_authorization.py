"""Consent with pushed authorization requests (RFC 9126) and ID tokens, at the sandbox."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from airflow_provider_oauth.exceptions import ConsentDenied, InvalidClient, TokenResponseError
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from sandbox.server import Sandbox, serve
from sandbox.user_agent import UserAgent
from sandbox.vendors.standard import SERVER as STANDARD
from tests.keys import ec_key, pem, public_pem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from tests.fake_clock import FakeClock

SECRET = "fake-secret+/%="
BACK = "https://airflow.example.com/oauth/callback"


@pytest.fixture
def sandbox(tmp_path: Path, sandbox_clock: FakeClock) -> Iterator[Sandbox]:
    """The standard server, and the server ``strict``, which accepts only pushed authorization requests."""
    strict = replace(STANDARD, name="strict", requires_par=True)
    with serve(tmp_path / "sandbox", clock=sandbox_clock.timestamp, servers=(STANDARD, strict)) as running:
        yield running


@pytest.fixture
def connect(
    define_connection: Callable[..., None], variables: dict[str, str], sandbox: Sandbox
) -> Callable[..., OAuthConfig]:
    """Define the connection ``api`` at one of the servers."""

    def define(server: str, **extra: Any) -> OAuthConfig:
        url = f"{sandbox.url}/{server}"
        sandbox.state.add_client(server, "app", SECRET, scopes=["read", "openid"])
        fields = {"host": f"{url}/api", "login": "app", "password": SECRET, "grant_type": "authorization_code"}
        fields |= {"grant_url": None, "issuer": url, "scope": "openid read"}
        define_connection("api", **(fields | extra))
        return OAuthHook("api").config

    return define


def begin(config: OAuthConfig) -> tuple[AuthorizationRequest, str]:
    request = AuthorizationRequest(conn_id="api", redirect_uri=BACK)
    return request, grants.begin_authorization(config, request)


def test_a_consent_succeeds_at_a_server_that_requires_pushed_requests(
    connect: Callable[..., OAuthConfig], sandbox: Sandbox
) -> None:
    config = connect("strict")
    request, url = begin(config)
    assert [name for name, _ in parse_qsl(urlsplit(url).query)] == ["client_id", "request_uri"]
    grants.finish_authorization(config, request, UserAgent().consent(url))
    assert OAuthHook("api").run("items").ok
    assert sandbox.state.counts()["app"]["pushed_requests"] == 1


@pytest.mark.parametrize("client_auth", ["client_secret_basic", "client_secret_post"])
def test_the_client_authenticates_as_at_the_token_endpoint(
    connect: Callable[..., OAuthConfig], sandbox: Sandbox, client_auth: str
) -> None:
    config = connect("standard", par_url=f"{sandbox.url}/standard/par", client_auth=client_auth)
    request, url = begin(config)
    grants.finish_authorization(config, request, UserAgent().consent(url))
    with pytest.raises(InvalidClient):
        begin(replace(config, client_secret="fake-wrong"))


def test_a_client_with_a_private_key_signs_an_assertion_for_each_request(
    connect: Callable[..., OAuthConfig], sandbox: Sandbox
) -> None:
    key = ec_key()
    config = connect("strict", password="", client_auth="private_key_jwt", private_key=pem(key))
    sandbox.state.add_client("strict", "app", None, scopes=["read", "openid"], public_key=public_pem(key))
    request, url = begin(config)
    grants.finish_authorization(config, request, UserAgent().consent(url))
    assert OAuthHook("api").run("items").ok


def test_a_server_that_requires_pushed_requests_names_the_field_if_it_is_missing(
    connect: Callable[..., OAuthConfig], sandbox: Sandbox
) -> None:
    url = f"{sandbox.url}/strict"
    config = connect("strict", issuer=None, grant_url=f"{url}/token", authorize_url=f"{url}/authorize")
    request, address = begin(config)
    with pytest.raises(ConsentDenied, match=r"Set Pushed authorization request URL \(par_url\)"):
        grants.finish_authorization(config, request, UserAgent().consent(address))


def test_a_reference_expires_and_is_valid_once(connect: Callable[..., OAuthConfig], sandbox_clock: FakeClock) -> None:
    _, url = begin(connect("strict"))
    UserAgent().consent(url)
    assert requests.get(url, timeout=10).status_code == 400
    _, url = begin(connect("strict"))
    sandbox_clock.advance(61)
    assert requests.get(url, timeout=10).status_code == 400


def test_a_denied_consent_stores_nothing(connect: Callable[..., OAuthConfig], variables: dict[str, str]) -> None:
    config = connect("strict")
    request, url = begin(config)
    with pytest.raises(ConsentDenied, match="denied"):
        grants.finish_authorization(config, request, UserAgent().consent(url, allow=False))
    assert not any(name.startswith("oauth_token") for name in variables)


def test_the_id_token_of_the_sandbox_has_the_nonce_and_the_user(connect: Callable[..., OAuthConfig]) -> None:
    config = connect("standard")
    request, url = begin(config)
    grants.finish_authorization(config, request, UserAgent().consent(url, username="ada"))
    request, url = begin(config)
    with pytest.raises(ConsentDenied, match="as a different user than before"):
        grants.finish_authorization(config, request, UserAgent().consent(url, username="grace"))


def test_a_code_of_another_login_is_refused_even_without_pkce(
    connect: Callable[..., OAuthConfig], sandbox: Sandbox, variables: dict[str, str]
) -> None:
    config = connect("standard", skip_pkce=True)
    injected, url = begin(config)
    callback = UserAgent().consent(url)
    request = AuthorizationRequest(conn_id="api", redirect_uri=BACK, state=injected.state)
    with pytest.raises(TokenResponseError, match="without the nonce of the authorization request"):
        grants.finish_authorization(config, request, callback)
    assert not any(name.startswith("oauth_token") for name in variables)
