"""Client credentials at both servers: tokens, and every refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_oauth.exceptions import InvalidClient, InvalidScope, TokenRequestError
from airflow_provider_oauth.hooks.oauth import OAuthHook
from tests.servers.steps import call

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from tests.servers.servers import AuthorizationServer


@pytest.mark.parametrize("client_auth", ["client_secret_basic", "client_secret_post"])
def test_all_calls_share_one_token(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer, client_auth: str
) -> None:
    config = connect(server, client_auth=client_auth)
    assert [call().status_code for _ in range(3)] == [200] * 3
    assert server.token_errors() == [None]
    assert config.token_url is None  # so the endpoint was discovered


def test_the_test_button_reports_success_and_stores_no_token(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer, variables: dict[str, str]
) -> None:
    connect(server)
    works, message = OAuthHook("api").test_connection()
    assert works, message
    assert (server.token_errors(), variables) == ([None], {})


def test_a_wrong_secret_is_sent_once_and_fails_the_task_without_retries(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    connect(server, secret="fake-and-wrong")
    for _ in range(3):
        with pytest.raises(InvalidClient) as refused:
            call()
        assert isinstance(refused.value, AirflowFailException)
        assert "fake-and-wrong" not in str(refused.value)
    assert server.token_errors() == ["invalid_client"]


def test_the_test_button_reports_a_wrong_secret(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    connect(server, secret="fake-and-wrong")
    works, message = OAuthHook("api").test_connection()
    assert not works
    assert "Client secret" in message


def test_a_corrected_secret_is_used_immediately(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    connect(server, secret="fake-and-wrong")
    with pytest.raises(InvalidClient):
        call()
    connect(server)
    assert call().status_code == 200
    assert server.token_errors() == ["invalid_client", None]


def test_a_wrong_scope_is_refused(connect: Callable[..., OAuthConfig], server: AuthorizationServer) -> None:
    connect(server, scope=f"read {server.wrong_scope}")
    with pytest.raises(InvalidScope, match="Check Scope"):
        call()
    assert server.token_errors() == ["invalid_scope"]


def test_a_wrong_resource_is_refused(connect: Callable[..., OAuthConfig], server: AuthorizationServer) -> None:
    connect(server, resource=server.wrong_resource)
    with pytest.raises(TokenRequestError) as refused:
        call()
    assert (refused.value.error, refused.value.status_code) == ("invalid_target", 400)
    assert server.token_errors() == ["invalid_target"]


def test_a_task_with_another_scope_gets_a_separate_token(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    connect(server)
    default = OAuthHook("api").get_token()
    other = OAuthHook("api", scope="read write").get_token()
    assert (default.scope, other.scope) == ("read", "read write")
    assert default.access_token != other.access_token
    assert OAuthHook("api", scope="write read").get_token() == other
    assert server.token_errors() == [None, None]
