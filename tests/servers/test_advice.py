"""The advice in errors fits the real errors of the servers: the field to change, or the unsupported feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import ConsentDenied, OAuthError
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from tests.servers.steps import authorize, call

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from tests.servers.servers import AuthorizationServer, OidcProvider


def advice(config: OAuthConfig | None = None) -> str:
    """Return the error text of a task, or of an authorization if there is a config."""
    with pytest.raises(ConsentDenied if config else OAuthError) as refused:
        authorize(config) if config else call()
    return str(refused.value)


def test_advice_for_a_server_that_requires_pkce_names_skip_pkce(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    assert "skip_pkce" in advice(connect(server, "app", skip_pkce=True))


def test_advice_for_a_client_that_must_use_pushed_authorization_requests_names_par(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    assert "par_url" in advice(connect(oidc, "pushed"))


@pytest.mark.parametrize("client", ["service", "app"])
def test_advice_for_an_unknown_resource_names_its_field(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer, client: str
) -> None:
    config = connect(server, client, resource=server.wrong_resource)
    assert "Resource" in advice(config if client == "app" else None)


def test_advice_for_an_api_that_refuses_a_token_for_another_resource_names_its_field(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    connect(oidc, resource=f"{oidc.url}/other")
    assert "Resource" in advice()


def test_advice_for_a_client_that_may_not_use_the_grant_type_names_its_field(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    connect(server, "app", grant_type="client_credentials", scope="read")
    message = advice()
    assert "Grant type" in message
    assert "refresh token" not in message


def test_advice_for_a_wrong_token_url_names_its_field(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    connect(server, grant_url=f"{server.url}/unknown")
    assert "Token URL" in advice()


def test_advice_for_a_token_url_that_is_a_web_page_names_its_field_and_quotes_no_html(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    connect(server, grant_url=f"{server.url}/{server.endpoints['authorize_url']}")
    message = advice()
    assert "Token URL" in message
    assert "<" not in message


def test_advice_for_a_wrong_revocation_url_names_its_field(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    config = connect(server, revoke_url=f"{server.url}/unknown")
    call()
    with pytest.raises(OAuthError, match="Revocation URL"):
        grants.revoke(config)


def test_a_second_authorization_without_a_refresh_token_keeps_the_first_grant(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    authorize(connect(oidc, "app"))
    assert "authorize_params" in advice(connect(oidc, "app", authorize_params={}))
    grants.renew(OAuthHook("api").config)
    assert call().json()["user"] == "ada"
