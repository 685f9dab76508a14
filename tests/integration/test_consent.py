"""Consent, from the browser to the stored token, with the pages of the sandbox and a simple user agent."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_oauth.cli import loopback as loopback_module
from airflow_provider_oauth.cli.loopback import Loopback
from airflow_provider_oauth.exceptions import ConfigurationError, ConsentDenied, ConsentRequired, OAuthError
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from airflow_provider_oauth.runtime import token_sources
from airflow_provider_oauth.tokens.host_lock import HostLock
from sandbox.user_agent import UserAgent

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from sandbox.server import Sandbox
    from tests.fake_clock import FakeClock


SECRET = "fake-secret+/%="
BACK = "https://airflow.example.com/oauth/callback"


@pytest.fixture
def connect(
    define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sandbox: Sandbox
) -> Callable[..., OAuthConfig]:
    """Define the connection ``api`` at one of the sandbox's servers."""
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds: None)

    def define(server: str, **extra: Any) -> OAuthConfig:
        scopes = ["openid"] if server == "justlogin" else ["read"]
        sandbox.state.add_client(server, "app", SECRET, scopes=scopes)
        fields = {"conn_type": server, "login": "app", "password": SECRET, "grant_type": "authorization_code"}
        if server == "jsonbody":
            url = f"{sandbox.url}/jsonbody"
            fields |= {"conn_type": "oauth", "host": f"{url}/api"}
            fields |= {"grant_url": f"{url}/token", "authorize_url": f"{url}/authorize"}
            fields |= {"body_format": "json", "client_auth": "client_secret_post"}
        else:
            fields["environment"] = f"{sandbox.url}/{server}"
        define_connection("api", **(fields | extra))
        return OAuthHook("api").config

    return define


def consent_to(url: str, allow: bool = True) -> str:
    """Log in and consent as a user does in a browser; return the callback."""
    return UserAgent().consent(url, allow=allow)


def begin(config: OAuthConfig) -> tuple[AuthorizationRequest, str]:
    consent = AuthorizationRequest(conn_id="api", redirect_uri=BACK)
    return consent, grants.begin_authorization(config, consent)


ENDPOINT = {"jsonbody": "items", "justlogin": "membership/v3/users", "justimmo": "oauth/user/current"}


@pytest.mark.parametrize("server", ENDPOINT)
def test_a_consent_lets_tasks_call_the_api(connect: Callable[..., OAuthConfig], server: str) -> None:
    config = connect(server)
    with pytest.raises(ConsentRequired):
        OAuthHook("api").get_token()
    assert grants.status(config).needs_consent
    consent, url = begin(config)
    grants.finish_authorization(config, consent, consent_to(url))
    assert OAuthHook("api").run(ENDPOINT[server]).ok
    status = grants.status(config)
    assert status.usable
    assert not status.needs_consent


def test_refresh_tokens_rotate_after_a_consent(connect: Callable[..., OAuthConfig], sandbox: Sandbox) -> None:
    config = connect("jsonbody")
    consent, url = begin(config)
    grants.finish_authorization(config, consent, consent_to(url))
    for _ in range(3):
        before = grants.status(config).token
        assert grants.renew(config).access_token != before.access_token
    counts = sandbox.state.counts()["app"]
    assert counts["token_requests_by_grant"] == {"authorization_code": 1, "refresh_token": 3}
    assert counts["refresh_reused"] == 0


def test_a_second_consent_replaces_the_first_grant(connect: Callable[..., OAuthConfig], sandbox: Sandbox) -> None:
    config = connect("jsonbody")
    for _ in range(2):
        consent, url = begin(config)
        first = grants.finish_authorization(config, consent, consent_to(url))
    assert grants.status(config).token.access_token == first.access_token
    assert OAuthHook("api").run("items").ok


def test_a_consent_replaces_the_record_of_another_secret(connect: Callable[..., OAuthConfig], sandbox: Sandbox) -> None:
    config = connect("jsonbody")
    consent, url = begin(config)
    grants.finish_authorization(config, consent, consent_to(url))
    sandbox.state.add_client("jsonbody", "app", "another-fake-secret", scopes=["read"])
    changed = replace(config, client_secret="another-fake-secret")
    assert grants.status(changed).changed
    assert grants.status(changed).needs_consent
    consent, url = begin(changed)
    grants.finish_authorization(changed, consent, consent_to(url))
    assert grants.status(changed).usable


def test_a_declined_consent_is_reported_and_nothing_is_stored(
    connect: Callable[..., OAuthConfig], variables: dict[str, str]
) -> None:
    config = connect("justimmo")
    consent, url = begin(config)
    with pytest.raises(ConsentDenied, match="The user denied the request"):
        grants.finish_authorization(config, consent, consent_to(url, allow=False))
    assert not any(name.startswith("oauth_token") for name in variables)


def test_a_code_is_valid_only_for_its_authorization_request(
    connect: Callable[..., OAuthConfig], sandbox: Sandbox
) -> None:
    config = connect("jsonbody")
    consent, url = begin(config)
    stolen = consent_to(url)
    mine, _ = begin(config)
    with pytest.raises(ConsentDenied, match="state"):
        grants.finish_authorization(config, mine, stolen)
    # Even with the right state, the code verifier does not match.
    forged = stolen.replace(consent.state, mine.state)
    with pytest.raises(Exception, match="code_verifier"):
        grants.finish_authorization(config, mine, forged)


def test_a_callback_is_valid_once(connect: Callable[..., OAuthConfig]) -> None:
    config = connect("jsonbody")
    consent, url = begin(config)
    callback = consent_to(url)
    grants.finish_authorization(config, consent, callback)
    with pytest.raises(Exception, match="invalid_grant|used"):
        grants.finish_authorization(config, consent, callback)


def test_an_expired_code_is_reported(connect: Callable[..., OAuthConfig], sandbox_clock: FakeClock) -> None:
    config = connect("justimmo")
    consent, url = begin(config)
    callback = consent_to(url)
    sandbox_clock.advance(61)  # a code of Justimmo is valid for a minute
    with pytest.raises(Exception, match="(?i)authorization code has expired"):
        grants.finish_authorization(config, consent, callback)


def test_a_consent_without_a_refresh_token_does_not_replace_one(
    connect: Callable[..., OAuthConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = connect("jsonbody")
    consent, url = begin(config)
    first = grants.finish_authorization(config, consent, consent_to(url))
    exchange_code = TokenEndpoint.exchange_code
    monkeypatch.setattr(
        TokenEndpoint, "exchange_code", lambda self, *args: replace(exchange_code(self, *args), refresh_token=None)
    )
    consent, url = begin(config)
    with pytest.raises(ConsentDenied, match=r"no refresh token.*\(authorize_params\)"):
        grants.finish_authorization(config, consent, consent_to(url))
    assert grants.status(config).token.access_token == first.access_token
    assert not grants.status(config).needs_consent


def test_a_first_consent_without_a_refresh_token_is_stored_until_it_expires(
    connect: Callable[..., OAuthConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = connect("jsonbody")
    exchange_code = TokenEndpoint.exchange_code
    monkeypatch.setattr(
        TokenEndpoint, "exchange_code", lambda self, *args: replace(exchange_code(self, *args), refresh_token=None)
    )
    consent, url = begin(config)
    grants.finish_authorization(config, consent, consent_to(url))
    status = grants.status(config)
    assert (status.usable, status.needs_consent) == (True, True)


def test_a_token_that_never_expires_is_used_until_the_api_refuses_it(
    connect: Callable[..., OAuthConfig], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = connect("jsonbody")
    exchange_code = TokenEndpoint.exchange_code
    without = {"refresh_token": None, "expires_at": None}
    monkeypatch.setattr(
        TokenEndpoint, "exchange_code", lambda self, *args: replace(exchange_code(self, *args), **without)
    )
    consent, url = begin(config)
    grants.finish_authorization(config, consent, consent_to(url))
    status = grants.status(config)
    assert (status.usable, status.needs_consent, status.token.expires_at) == (True, False, None)
    assert OAuthHook("api").run("items").ok

    sandbox.state.revoke("jsonbody", "app")
    with pytest.raises(ConsentRequired):
        OAuthHook("api").run("items")


def test_a_token_that_never_expires_is_replaced_by_another_consent(
    connect: Callable[..., OAuthConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = connect("jsonbody")
    exchange_code = TokenEndpoint.exchange_code
    without = {"refresh_token": None, "expires_at": None}
    monkeypatch.setattr(
        TokenEndpoint, "exchange_code", lambda self, *args: replace(exchange_code(self, *args), **without)
    )
    tokens = []
    for _ in range(2):
        consent, url = begin(config)
        tokens.append(grants.finish_authorization(config, consent, consent_to(url)).access_token)
    assert tokens[0] != tokens[1] == grants.status(config).token.access_token


def test_a_refused_refresh_token_requires_consent(connect: Callable[..., OAuthConfig], sandbox: Sandbox) -> None:
    config = connect("jsonbody")
    consent, url = begin(config)
    grants.finish_authorization(config, consent, consent_to(url))
    sandbox.state.revoke("jsonbody", "app")
    with pytest.raises(ConsentRequired):
        grants.renew(config)
    status = grants.status(config)
    assert status.needs_consent
    assert "refresh token" in status.error
    consent, url = begin(config)
    grants.finish_authorization(config, consent, consent_to(url))
    assert (grants.status(config).needs_consent, grants.status(config).error) == (False, "")


def test_a_consent_is_valid_only_for_its_connection(connect: Callable[..., OAuthConfig]) -> None:
    config = connect("jsonbody")
    consent, url = begin(config)
    with pytest.raises(ConsentDenied, match="was started for connection 'another'"):
        grants.finish_authorization(config, replace(consent, conn_id="another"), consent_to(url))


def test_no_authorization_is_started_if_the_grant_could_not_be_stored(
    connect: Callable[..., OAuthConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = connect("jsonbody")
    monkeypatch.setattr(HostLock, "_make_folder", raiser(PermissionError(13, "not allowed")))
    token_sources._sources.clear()
    with pytest.raises(OAuthError, match="lock file"):
        begin(config)


def raiser(error: Exception) -> Callable[..., NoReturn]:
    def fail(*args: Any) -> NoReturn:
        raise error

    return fail


# --- the loopback server


def test_the_loopback_server_accepts_only_the_callback(capsys: pytest.CaptureFixture[str]) -> None:
    with Loopback(None) as loopback:
        port = urlsplit(loopback.redirect_uri).port
        callbacks = []
        waiting = threading.Thread(target=lambda: callbacks.append(loopback.wait_for_callback("fake-state")))
        waiting.start()
        statuses = [
            requests.get(loopback.redirect_uri + path, timeout=30).status_code
            for path in ("favicon.ico", "", "?code=evil&state=another", "?error=access_denied")
        ]
        with socket.create_connection(("127.0.0.1", port)):
            pass  # a browser that sends no request
        page = requests.get(loopback.redirect_uri + "?code=fake-code&state=fake-state", timeout=30)
        waiting.join(30)
    assert statuses == [404] * 4
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
    assert callbacks == ["/?code=fake-code&state=fake-state"]
    assert "fake-code" not in page.text + "".join(capsys.readouterr())


def test_a_silent_connection_does_not_block_the_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback_module._Handler, "timeout", 0.1)
    with Loopback(None) as loopback, socket.create_connection(("127.0.0.1", urlsplit(loopback.redirect_uri).port)):
        callbacks = []
        waiting = threading.Thread(target=lambda: callbacks.append(loopback.wait_for_callback("s")))
        waiting.start()
        assert requests.get(loopback.redirect_uri + "?state=s&code=c", timeout=30).status_code == 200
        waiting.join(30)
    assert callbacks == ["/?state=s&code=c"]


@pytest.mark.parametrize(
    "uri",
    [
        "https://127.0.0.1:1/", "http://airflow.example.com:80/", "http://0.0.0.0:1/", "http://127.0.0.1/",
        "http://127.0.0.1:99999/", "http://[", "http://127.0.0.1:x/",
    ],
)  # fmt: skip
def test_the_loopback_server_requires_a_redirect_uri_of_this_machine(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="this machine"):
        Loopback(uri)


def test_a_port_in_use_is_an_error() -> None:
    with Loopback(None) as first, pytest.raises(ConfigurationError, match="Cannot listen on"):
        Loopback(first.redirect_uri)


def test_the_loopback_server_has_a_timeout() -> None:
    with (
        Loopback(None) as loopback,
        pytest.raises(ConsentDenied, match=r"No browser was redirected to http://127\.0\.0\.1"),
    ):
        loopback.wait_for_callback("state", timeout=0.05)


def test_other_requests_do_not_extend_the_timeout_of_the_loopback_server() -> None:
    with Loopback(None) as loopback, ThreadPoolExecutor() as threads:
        waiting = threads.submit(loopback.wait_for_callback, "state", 0.5)
        while not waiting.done():
            with suppress(requests.RequestException):
                requests.get(f"{loopback.redirect_uri}?state=other", timeout=0.1)
        assert isinstance(waiting.exception(), ConsentDenied)
