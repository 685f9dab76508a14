"""A user's consent at both servers, through the functions that the page and the command line use."""

from __future__ import annotations

import pytest

from airflow_provider_oauth.exceptions import ApiError, ConsentDenied, ConsentRequired, InvalidClient, InvalidGrant
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from tests.servers.person import Person
from tests.servers.servers import REDIRECT_URI
from tests.servers.steps import authorize, call


def test_a_users_consent_lets_tasks_call_the_api_and_renew_the_token(connect, server):
    config = connect(server, "app")
    with pytest.raises(ConsentRequired):
        call()
    authorize(config)
    assert call().json()["user"] == "ada"
    grants.renew(config)
    assert call().json()["user"] == "ada"
    assert [event["grant_type"] for event in server.events("token")] == ["authorization_code", "refresh_token"]
    assert server.refusals() == [None, None]
    status = grants.status(config)
    assert (status.needs_consent, status.missing_scopes) == (False, ())


def test_the_token_is_for_the_connections_resource_after_consent_and_after_each_renewal(connect, oidc):
    config = connect(oidc, "app")
    authorize(config)
    assert call().json()["audience"] == oidc.resource
    for _ in range(2):
        grants.renew(config)
        assert call().json()["audience"] == oidc.resource
    assert {event["resource"] for event in oidc.events("token")} == {oidc.resource}


def test_a_token_for_another_resource_is_not_accepted_by_the_api(connect, oidc):
    config = connect(oidc, "app", resource=f"{oidc.url}/other")
    authorize(config)
    with pytest.raises(ApiError) as refused:
        call()
    assert refused.value.status_code == 401
    assert OAuthHook("api").run(f"{oidc.url}/other/me").json()["audience"] == f"{oidc.url}/other"


def test_a_resource_that_the_server_does_not_know_is_reported_to_the_user(connect, server):
    config = connect(server, "app", resource=server.wrong_resource)
    with pytest.raises(ConsentDenied) as denied:
        authorize(config)
    assert denied.value.error == "invalid_target"
    assert server.events("token") == []


def test_both_servers_require_pkce(connect, server):
    config = connect(server, "app", skip_pkce=True)
    with pytest.raises(ConsentDenied) as denied:
        authorize(config)
    assert denied.value.error == "invalid_request"


def test_a_user_can_decline(connect, server):
    config = connect(server, "app")
    with pytest.raises(ConsentDenied) as denied:
        authorize(config, allow=False)
    assert denied.value.error == "access_denied"
    assert server.events("token") == []


def test_a_scope_that_the_client_may_not_have_is_reported_to_the_user(connect, server):
    with pytest.raises(ConsentDenied, match="Check Scope") as denied:
        authorize(connect(server, "app", scope=server.wrong_scope))
    assert denied.value.error == "invalid_scope"


def test_a_wrong_secret_stores_nothing(connect, server, variables):
    config = connect(server, "app", secret="fake-and-wrong")
    with pytest.raises(InvalidClient):
        authorize(config)
    assert server.refusals() == ["invalid_client"]
    assert not any(name.startswith("oauth_token__") for name in variables)


def test_a_code_is_used_only_once(connect, server):
    config = connect(server, "app")
    consent = AuthorizationRequest(conn_id="api", redirect_uri=REDIRECT_URI)
    answer = Person().consent(grants.begin_authorization(config, consent), REDIRECT_URI)
    grants.finish_authorization(config, consent, answer)
    with pytest.raises(InvalidGrant):
        grants.finish_authorization(config, consent, answer)
    assert server.refusals() == [None, "invalid_grant"]


def test_a_response_of_another_issuer_sends_no_code_anywhere(connect, server):
    endpoints = {name: f"{server.url}/{path}" for name, path in server.endpoints.items()}
    config = connect(server, "app", **{**endpoints, "issuer": "https://another.example.com"})
    with pytest.raises(ConsentDenied, match="another"):
        authorize(config)
    assert server.events("token") == []


def test_a_second_consent_replaces_the_first(connect, server):
    config = connect(server, "app")
    first = authorize(config)
    second = authorize(config)
    assert first.access_token != second.access_token
    grants.renew(config)
    assert call().json()["user"] == "ada"
    assert server.refusals() == [None] * 3


def test_another_account_is_refused_and_its_grant_revoked_until_the_first_is_forgotten(connect, oidc):
    config = connect(oidc, "app")
    authorize(config, Person("ada"))
    with pytest.raises(ConsentDenied, match="wrong account"):
        authorize(config, Person("grace"))
    assert len(oidc.events("grant revoked")) == 1
    assert call().json()["user"] == "ada"
    grants.renew(config)
    grants.forget(config)
    authorize(config, Person("grace"))
    assert call().json()["user"] == "grace"


def test_without_prompt_consent_there_is_no_refresh_token(connect, oidc):
    config = connect(oidc, "app", authorize_params={})
    authorize(config)
    assert call().json()["user"] == "ada"  # until the access token ends
    assert grants.status(config).needs_consent
    with pytest.raises(ConsentRequired):
        grants.renew(config)
    assert oidc.refusals() == [None]


def test_a_public_client_needs_no_secret(connect, server):
    config = connect(server, "public", secret="", client_auth="none")
    authorize(config)
    for _ in range(2):
        grants.renew(config)
        assert call().json()["user"] == "ada"
    assert server.refusals() == [None] * 3


def test_the_test_button_uses_no_refresh_token(connect, server):
    config = connect(server, "app")
    authorize(config)
    works, message = OAuthHook("api").test_connection()
    assert works, message
    assert server.refusals() == [None, "invalid_grant"]
    grants.renew(config)
    assert call().json()["user"] == "ada"


def test_the_test_button_reports_a_wrong_secret_of_a_client_that_needs_consent(connect, server):
    connect(server, "app", secret="fake-and-wrong")
    works, message = OAuthHook("api").test_connection()
    assert not works
    assert "Client secret" in message
