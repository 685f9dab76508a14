"""Device authorizations at oidc-provider (RFC 8628), with which a user authorizes a connection by a code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ConsentDenied, ConsentRequired, InvalidClient, OAuthError
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.protocol.clock import Clock
from tests.servers.key_clients import EACH_METHOD
from tests.servers.steps import call, stored_tokens
from tests.servers.user import User

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.device_authorization import DeviceAuthorization
    from tests.servers.servers import OidcProvider


class Waits:
    """The waits between the token requests. During the second one, the user acts.

    :param act: what the user does
    """

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self.seconds: list[float] = []

    def sleep(self, clock: Clock, seconds: float, stop: Any = None) -> None:
        """Return immediately instead of waiting."""
        self.seconds.append(seconds)
        if len(self.seconds) == 2:
            self._act()


@pytest.fixture
def authorize(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """Authorize a connection with a code, and return the waits until then."""

    def run(config: OAuthConfig, act: Callable[[DeviceAuthorization], None]) -> list[float]:
        device = grants.begin_device_authorization(config)
        waits = Waits(lambda: act(device))
        with monkeypatch.context() as patch:
            patch.setattr(Clock, "sleep", lambda clock, seconds, stop=None: waits.sleep(clock, seconds, stop))
            grants.finish_device_authorization(config, device)
        return waits.seconds

    return run


@pytest.fixture
def consent(oidc: OidcProvider) -> Callable[[DeviceAuthorization], None]:
    """Enter the code of an authorization, and consent."""
    return lambda device: User(ca=oidc.tls.ca).enter_code(device.verification_uri, device.user_code)


@pytest.mark.parametrize("client", ["device", *EACH_METHOD])
def test_after_the_user_entered_the_code_tasks_call_the_api_and_renew_the_token(
    connect: Callable[..., OAuthConfig],
    oidc: OidcProvider,
    authorize: Callable[..., list[float]],
    consent: Callable[[DeviceAuthorization], None],
    client: str,
) -> None:
    config = connect(oidc, client, **(oidc.credentials(client) if client in EACH_METHOD else {}))
    with pytest.raises(ConsentRequired):
        call()
    assert authorize(config, consent)[:2] == [5, 5]  # RFC 8628 section 3.2: the default if there is no interval
    assert call().json()["user"] == "ada"
    assert stored_tokens(config)
    grants.renew(config)
    assert call().json()["user"] == "ada"
    assert oidc.token_errors() == ["authorization_pending", None, None]


def test_the_url_with_the_code_needs_no_other_input(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, authorize: Callable[..., list[float]]
) -> None:
    def follow(device: DeviceAuthorization) -> None:
        assert device.verification_uri_complete is not None
        User().enter_code(device.verification_uri_complete, device.user_code)

    config = connect(oidc, "device")
    authorize(config, follow)
    assert call().json()["user"] == "ada"


def test_after_slow_down_the_interval_is_five_seconds_longer(
    connect: Callable[..., OAuthConfig],
    oidc: OidcProvider,
    authorize: Callable[..., list[float]],
    consent: Callable[[DeviceAuthorization], None],
) -> None:
    assert authorize(connect(oidc, "slow"), consent)[:2] == [5, 10]
    assert oidc.token_errors() == ["slow_down", None]
    assert call().json()["user"] == "ada"


def test_a_user_can_decline(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, authorize: Callable[..., list[float]]
) -> None:
    config = connect(oidc, "device")
    with pytest.raises(ConsentDenied, match="the user declined") as denied:
        authorize(config, lambda device: User().enter_code(device.verification_uri, device.user_code, allow=False))
    assert denied.value.error == "access_denied"
    assert oidc.token_errors() == ["authorization_pending", "access_denied"]
    with pytest.raises(ConsentRequired):
        call()


def test_an_expired_code_is_an_error(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, authorize: Callable[..., list[float]]
) -> None:
    config = connect(oidc, "short")  # its codes expire after the first request
    with pytest.raises(ConsentDenied, match="nobody entered the code and consented in time") as expired:
        authorize(config, lambda device: None)
    assert expired.value.error == "expired_token"
    assert oidc.token_errors() == ["authorization_pending", "expired_token"]


def test_a_wrong_secret_is_refused_before_a_code_is_shown(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    with pytest.raises(InvalidClient):
        grants.begin_device_authorization(connect(oidc, "device", secret="fake-and-wrong"))


def test_a_client_that_may_not_use_codes_is_an_error(connect: Callable[..., OAuthConfig], oidc: OidcProvider) -> None:
    with pytest.raises(OAuthError, match="does not support the device authorization grant"):
        grants.begin_device_authorization(connect(oidc, "app"))
