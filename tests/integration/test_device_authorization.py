"""Authorization with a device code (RFC 8628) at the sandbox, with the functions that the command line uses."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError, ConsentDenied, InvalidClient
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from sandbox.user_agent import UserAgent
from tests.distributed.waiting import wait_until
from tests.keys import ec_key, pem, public_pem

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.device_authorization import DeviceAuthorization
    from sandbox.server import Sandbox
    from tests.fake_clock import FakeClock

SECRET = "fake-secret+/%="


@pytest.fixture
def connect(
    define_connection: Callable[..., None], variables: dict[str, str], sandbox: Sandbox
) -> Callable[..., OAuthConfig]:
    """Define the connection ``api`` at the standard server."""

    def define(**extra: Any) -> OAuthConfig:
        url = f"{sandbox.url}/standard"
        sandbox.state.add_client("standard", "app", SECRET, scopes=["read", "openid"])
        fields = {"host": f"{url}/api", "login": "app", "password": SECRET, "grant_type": "authorization_code"}
        fields |= {"grant_url": None, "issuer": url, "scope": "openid read"}
        define_connection("api", **(fields | extra))
        return OAuthHook("api").config

    return define


def consent(device: DeviceAuthorization, username: str = "ada", allow: bool = True) -> None:
    UserAgent().enter_code(device.verification_uri, device.user_code, username, allow)


def consenting_after_a_poll(device: DeviceAuthorization, sandbox: Sandbox) -> threading.Thread:
    """Start a thread that consents after the server has responded ``authorization_pending``."""

    def wait_and_consent() -> None:
        wait_until(lambda: sandbox.state.counts()["app"]["token_errors"], "no token was requested")
        consent(device)

    thread = threading.Thread(target=wait_and_consent)
    thread.start()
    return thread


def authorize(config: OAuthConfig, username: str = "ada") -> None:
    device = grants.begin_device_authorization(config)
    consent(device, username)
    grants.finish_device_authorization(config, device)


@pytest.mark.parametrize("client_auth", ["client_secret_basic", "client_secret_post"])
def test_after_a_users_authorization_tasks_call_the_api_and_renew_the_token(
    connect: Callable[..., OAuthConfig], sandbox: Sandbox, client_auth: str
) -> None:
    config = connect(client_auth=client_auth)
    device = grants.begin_device_authorization(config)
    user = consenting_after_a_poll(device, sandbox)
    grants.finish_device_authorization(config, device)
    user.join()
    assert OAuthHook("api").run("items").ok
    before = grants.status(config).token.access_token
    assert grants.renew(config).access_token != before
    errors = sandbox.state.counts()["app"]["token_errors"]
    assert errors.keys() == {"authorization_pending"}


def test_a_client_with_a_private_key_signs_an_assertion_for_each_request(
    connect: Callable[..., OAuthConfig], sandbox: Sandbox
) -> None:
    key = ec_key()
    config = connect(password="", client_auth="private_key_jwt", private_key=pem(key))
    sandbox.state.add_client("standard", "app", None, scopes=["read", "openid"], public_key=public_pem(key))
    device = grants.begin_device_authorization(config)
    user = consenting_after_a_poll(device, sandbox)
    grants.finish_device_authorization(config, device)  # the server refuses an assertion that it has seen
    user.join()
    assert OAuthHook("api").run("items").ok


def test_endpoints_in_the_connection_need_no_metadata(connect: Callable[..., OAuthConfig], sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/standard"
    config = connect(issuer=None, grant_url=f"{url}/token", device_url=f"{url}/device_authorization")
    authorize(config)
    assert OAuthHook("api").run("items").ok


def test_slow_down_and_lost_responses_do_not_end_the_wait(
    connect: Callable[..., OAuthConfig], sandbox: Sandbox
) -> None:
    config = connect()
    device = grants.begin_device_authorization(config)
    consent(device)
    body = '{"error": "slow_down"}'
    sandbox.state.inject_fault("standard", "token", status=400, body=body, content_type="application/json")
    sandbox.state.inject_fault("standard", "token", drop=True)
    grants.finish_device_authorization(config, device)
    assert OAuthHook("api").run("items").ok


def test_a_declined_consent_stores_nothing(connect: Callable[..., OAuthConfig], variables: dict[str, str]) -> None:
    config = connect()
    device = grants.begin_device_authorization(config)
    consent(device, allow=False)
    with pytest.raises(ConsentDenied, match="the user declined"):
        grants.finish_device_authorization(config, device)
    assert not any(name.startswith("oauth_token") for name in variables)


def test_expired_codes_store_nothing(
    connect: Callable[..., OAuthConfig], sandbox_clock: FakeClock, variables: dict[str, str]
) -> None:
    config = connect()
    device = grants.begin_device_authorization(config)
    sandbox_clock.advance(601)
    with pytest.raises(ConsentDenied, match="in time"):
        grants.finish_device_authorization(config, device)
    assert not any(name.startswith("oauth_token") for name in variables)


def test_a_code_is_valid_once(connect: Callable[..., OAuthConfig]) -> None:
    config = connect()
    device = grants.begin_device_authorization(config)
    consent(device)
    grants.finish_device_authorization(config, device)
    with pytest.raises(ConsentDenied):
        grants.finish_device_authorization(config, device)


def test_another_user_is_refused_until_the_first_grant_is_forgotten(connect: Callable[..., OAuthConfig]) -> None:
    config = connect()
    authorize(config, "ada")
    first = grants.status(config).token
    with pytest.raises(ConsentDenied, match="as a different user than before"):
        authorize(config, "grace")
    assert grants.status(config).token == first
    grants.forget(config)
    authorize(config, "grace")
    assert OAuthHook("api").run("items").ok


def test_of_two_simultaneous_authorizations_by_different_users_the_second_is_refused(
    connect: Callable[..., OAuthConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, check_user = connect(), grants._check_user
    stored: list[Any] = []

    def overtaken(*args: Any) -> None:
        check_user(*args)
        monkeypatch.setattr(grants, "_check_user", check_user)
        authorize(config, "grace")
        stored.append(grants.status(config).token)

    monkeypatch.setattr(grants, "_check_user", overtaken)
    with pytest.raises(ConsentDenied, match="as a different user than before"):
        authorize(config, "ada")
    assert [grants.status(config).token] == stored


def test_a_wrong_secret_is_reported_before_the_user_gets_a_code(connect: Callable[..., OAuthConfig]) -> None:
    with pytest.raises(InvalidClient):
        grants.begin_device_authorization(replace(connect(), client_secret="fake-wrong"))


def test_a_server_without_the_endpoint_is_reported(connect: Callable[..., OAuthConfig], sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/jsonbody"
    sandbox.state.add_client("jsonbody", "app", SECRET, scopes=["read"])
    with pytest.raises(ConfigurationError, match=r"Device authorization URL \(device_url\) is missing"):
        grants.begin_device_authorization(connect(issuer=url))
