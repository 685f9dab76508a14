"""Refresh tokens that were obtained outside this package, at both servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ConsentRequired, InvalidScope
from airflow_provider_oauth.management import grants
from tests.servers.steps import call, post, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from tests.servers.servers import AuthorizationServer


@pytest.fixture
def pasted(connect: Callable[..., OAuthConfig], server: AuthorizationServer) -> Callable[..., OAuthConfig]:
    """Define the connection with a refresh token that was obtained without this package."""

    def define(**extra: Any) -> OAuthConfig:
        tokens = tokens_of(server)
        server.discard_events()
        return connect(server, "app", grant_type="refresh_token", refresh_token=tokens["refresh_token"], **extra)

    return define


def test_the_refresh_token_of_the_connection_is_sent_once(
    pasted: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    config = pasted()
    for _ in range(3):
        assert call().json()["user"] == "ada"
    assert server.token_errors() == [None]
    for _ in range(2):
        grants.renew(config)
        assert call().json()["user"] == "ada"
    assert server.token_errors() == [None] * 3


def test_a_used_refresh_token_is_sent_once_and_then_requires_authorization(
    pasted: Callable[..., OAuthConfig], server: AuthorizationServer, variables: dict[str, str]
) -> None:
    config = pasted()
    refresh_token = config.refresh_token
    used = post(server, "grant_url", grant_type="refresh_token", refresh_token=refresh_token)
    assert used.status_code == 200
    server.discard_events()
    for _ in range(3):
        with pytest.raises(ConsentRequired):
            call()
    assert server.token_errors() == ["invalid_grant"]
    assert grants.status(config).needs_consent
    assert refresh_token not in str(variables)


def test_a_scope_that_was_not_granted_is_refused(
    pasted: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    pasted(scope="read write")
    with pytest.raises(InvalidScope):
        call()
    assert server.token_errors() == ["invalid_scope"]
