"""Revocation at both servers, by Airflow and by others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import ConsentRequired
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from tests.servers.steps import api_status, authorize, call, post, stored_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from tests.servers.servers import AuthorizationServer, OidcProvider


#: The API's statuses for an invalid token: 401 as in RFC 6750, or 403.
INVALID = (401, 403)


def refresh(server: AuthorizationServer, refresh_token: str) -> requests.Response:
    return post(server, "grant_url", grant_type="refresh_token", refresh_token=refresh_token)


def test_revoke_ends_the_grant_at_the_server(connect: Callable[..., OAuthConfig], server: AuthorizationServer) -> None:
    config = connect(server, "app")
    authorize(config)
    access_token, refresh_token = stored_tokens(config)
    assert api_status(server, access_token) == 200
    grants.revoke(config)
    assert api_status(server, access_token) in INVALID
    assert refresh(server, refresh_token).json()["error"] == "invalid_grant"
    server.discard_events()
    with pytest.raises(ConsentRequired):
        call()
    assert (server.events("token"), server.events("api")) == ([], [])


def test_revoke_ends_only_the_current_grant(connect: Callable[..., OAuthConfig], oidc: OidcProvider) -> None:
    config = connect(oidc, "app")
    authorize(config)
    first = stored_tokens(config)
    grants.forget(config)
    authorize(config)
    grants.revoke(config)
    assert len(oidc.events("grant revoked")) == 1
    assert api_status(oidc, first[0]) == 200


def test_after_forget_the_tokens_are_still_valid_at_the_server(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    config = connect(server, "app")
    authorize(config)
    access_token, refresh_token = stored_tokens(config)
    grants.forget(config)
    with pytest.raises(ConsentRequired):
        call()
    assert api_status(server, access_token) == 200
    assert "access_token" in refresh(server, refresh_token).json()


def test_after_revoke_with_client_credentials_the_next_task_gets_a_new_token(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    config = connect(server)
    revoked = OAuthHook("api").get_token().access_token
    grants.revoke(config)
    assert api_status(server, revoked) in INVALID
    assert call().status_code == 200
    assert server.token_errors() == [None, None]


def test_a_grant_that_was_revoked_elsewhere_requires_a_new_authorization(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    config = connect(server, "app")
    authorize(config)
    post(server, "revoke_url", token=stored_tokens(config)[1], token_type_hint="refresh_token")
    for _ in range(3):
        with pytest.raises(ConsentRequired):
            grants.renew(config)
    assert grants.status(config).needs_consent
    assert server.token_errors() == [None, "invalid_grant"]
    authorize(config)
    assert call().json()["user"] == "ada"


def test_a_401_after_a_revocation_elsewhere_fails_the_task_with_consent_required(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    config = connect(oidc, "app")
    authorize(config)
    post(oidc, "revoke_url", token=stored_tokens(config)[1], token_type_hint="refresh_token")
    for _ in range(3):
        with pytest.raises(ConsentRequired):
            call()
    assert oidc.token_errors() == [None, "invalid_grant"]
