"""Authorization by a user at both servers, with the functions that the page and the command line use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import ApiError, ConsentDenied, ConsentRequired, InvalidClient, InvalidGrant
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from tests.servers.servers import REDIRECT_URI
from tests.servers.steps import authorize, call
from tests.servers.user import User

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from tests.servers.servers import AuthorizationServer, OidcProvider


def test_after_a_users_authorization_tasks_call_the_api_and_renew_the_token(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    config = connect(server, "app")
    with pytest.raises(ConsentRequired):
        call()
    authorize(config)
    assert call().json()["user"] == "ada"
    grants.renew(config)
    assert call().json()["user"] == "ada"
    assert [event["grant_type"] for event in server.events("token")] == ["authorization_code", "refresh_token"]
    assert server.token_errors() == [None, None]
    status = grants.status(config)
    assert (status.needs_consent, status.missing_scopes) == (False, ())


def test_the_token_has_the_connections_resource_after_authorization_and_after_each_renewal(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    config = connect(oidc, "app")
    authorize(config)
    assert call().json()["audience"] == oidc.resource
    for _ in range(2):
        grants.renew(config)
        assert call().json()["audience"] == oidc.resource
    assert {event["resource"] for event in oidc.events("token")} == {oidc.resource}


def test_the_api_refuses_a_token_for_another_resource(connect: Callable[..., OAuthConfig], oidc: OidcProvider) -> None:
    config = connect(oidc, "app", resource=f"{oidc.url}/other")
    authorize(config)
    with pytest.raises(ApiError) as refused:
        call()
    assert refused.value.status_code == 401
    assert OAuthHook("api").run(f"{oidc.url}/other/me").json()["audience"] == f"{oidc.url}/other"


def test_the_user_sees_that_the_resource_is_unknown(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    config = connect(server, "app", resource=server.wrong_resource)
    with pytest.raises(ConsentDenied) as denied:
        authorize(config)
    assert denied.value.error == "invalid_target"
    assert server.events("token") == []


def test_both_servers_require_pkce(connect: Callable[..., OAuthConfig], server: AuthorizationServer) -> None:
    config = connect(server, "app", skip_pkce=True)
    with pytest.raises(ConsentDenied) as denied:
        authorize(config)
    assert denied.value.error == "invalid_request"


def test_a_user_can_deny_access(connect: Callable[..., OAuthConfig], server: AuthorizationServer) -> None:
    config = connect(server, "app")
    with pytest.raises(ConsentDenied) as denied:
        authorize(config, allow=False)
    assert denied.value.error == "access_denied"
    assert server.events("token") == []


def test_the_user_sees_that_the_client_may_not_request_the_scope(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    with pytest.raises(ConsentDenied, match="Check Scope") as denied:
        authorize(connect(server, "app", scope=server.wrong_scope))
    assert denied.value.error == "invalid_scope"


def test_a_wrong_secret_stores_nothing(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer, variables: dict[str, str]
) -> None:
    config = connect(server, "app", secret="fake-and-wrong")
    with pytest.raises(InvalidClient):
        authorize(config)
    assert server.token_errors() == ["invalid_client"]
    assert not any(name.startswith("oauth_token__") for name in variables)


def test_a_code_is_used_only_once(connect: Callable[..., OAuthConfig], server: AuthorizationServer) -> None:
    config = connect(server, "app")
    request = AuthorizationRequest(conn_id="api", redirect_uri=REDIRECT_URI)
    callback = User().consent(grants.begin_authorization(config, request), REDIRECT_URI)
    grants.finish_authorization(config, request, callback)
    with pytest.raises(InvalidGrant):
        grants.finish_authorization(config, request, callback)
    assert server.token_errors() == [None, "invalid_grant"]


def test_the_code_in_a_response_of_another_issuer_is_not_sent(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    endpoints = {name: f"{server.url}/{path}" for name, path in server.endpoints.items()}
    config = connect(server, "app", **{**endpoints, "issuer": "https://another.example.com"})
    with pytest.raises(ConsentDenied, match="another"):
        authorize(config)
    assert server.events("token") == []


def test_a_second_authorization_replaces_the_first(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    config = connect(server, "app")
    first = authorize(config)
    second = authorize(config)
    assert first.access_token != second.access_token
    grants.renew(config)
    assert call().json()["user"] == "ada"
    assert server.token_errors() == [None] * 3


def test_another_account_is_refused_and_its_grant_revoked_unless_the_first_grant_was_forgotten(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    config = connect(oidc, "app")
    authorize(config, User("ada"))
    with pytest.raises(ConsentDenied, match="as a different user than before"):
        authorize(config, User("grace"))
    assert len(oidc.events("grant revoked")) == 1
    assert call().json()["user"] == "ada"
    grants.renew(config)
    grants.forget(config)
    authorize(config, User("grace"))
    assert call().json()["user"] == "grace"


def test_without_prompt_consent_there_is_no_refresh_token(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    config = connect(oidc, "app", authorize_params={})
    authorize(config)
    assert call().json()["user"] == "ada"  # until the access token expires
    assert grants.status(config).needs_consent
    with pytest.raises(ConsentRequired):
        grants.renew(config)
    assert oidc.token_errors() == [None]


def test_a_public_client_needs_no_secret(connect: Callable[..., OAuthConfig], server: AuthorizationServer) -> None:
    config = connect(server, "public", secret="", client_auth="none")
    authorize(config)
    for _ in range(2):
        grants.renew(config)
        assert call().json()["user"] == "ada"
    assert server.token_errors() == [None] * 3


def test_the_test_button_uses_no_refresh_token(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    config = connect(server, "app")
    authorize(config)
    works, message = OAuthHook("api").test_connection()
    assert works, message
    assert server.token_errors() == [None, "invalid_grant"]
    grants.renew(config)
    assert call().json()["user"] == "ada"


def test_the_test_button_reports_a_wrong_secret_before_any_authorization(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    connect(server, "app", secret="fake-and-wrong")
    works, message = OAuthHook("api").test_connection()
    assert not works
    assert "Client secret" in message
