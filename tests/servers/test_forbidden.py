"""A 403 of the API can mean that another process has replaced the token, that it is invalid, or a missing scope."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import ApiError, ConsentRequired
from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook, OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.runtime import token_sources
from tests.servers.steps import authorize, call, post, stored_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from tests.servers.servers import AuthorizationServer, DjangoToolkit


def statuses(server: AuthorizationServer) -> list[int]:
    return [event["status"] for event in server.events("api")]


@pytest.fixture
def rotated(connect: Callable[..., OAuthConfig], django: DjangoToolkit) -> requests.Session:
    """A task's session with a token that the server revoked when another process renewed it."""
    config = connect(django, "app")
    authorize(config)
    hook = OAuthHook("api", method="GET")
    session = hook.get_conn()
    assert session.get(f"{django.resource}/me").status_code == 200
    token_sources._sources.clear()  # simulates another process
    grants.renew(config)
    django.discard_events()
    return session


def test_after_a_403_the_call_is_repeated_with_a_newer_stored_token(
    rotated: requests.Session, django: DjangoToolkit
) -> None:
    response = rotated.get(f"{django.resource}/me")
    assert (response.status_code, response.json()["user"]) == (200, "ada")
    assert rotated.get(f"{django.resource}/me").status_code == 200
    assert statuses(django) == [403, 200, 200]
    assert django.events("token") == []


def test_after_a_403_a_deferred_call_is_repeated_with_a_newer_stored_token(
    connect: Callable[..., OAuthConfig], django: DjangoToolkit
) -> None:
    config = connect(django, "app")
    authorize(config)
    hook = OAuthAsyncHook("api", method="GET")
    assert asyncio.run(hook.run(endpoint="me")).status == 200
    token_sources._sources.clear()  # simulates another process
    grants.renew(config)
    django.discard_events()
    assert asyncio.run(hook.run(endpoint="me")).status == 200
    assert (statuses(django), django.events("token")) == ([403, 200], [])


def test_a_403_that_means_an_invalid_token_renews_it(
    connect: Callable[..., OAuthConfig], django: DjangoToolkit
) -> None:
    config = connect(django, "app", renew_on="403")
    authorize(config)
    post(django, "revoke_url", token=stored_tokens(config)[0], token_type_hint="access_token")
    django.discard_events()
    with pytest.raises(ConsentRequired):  # because the server has revoked the refresh token, too
        call()
    assert (statuses(django), django.token_errors()) == ([403], ["invalid_grant"])


def test_a_missing_scope_sends_no_token_request(
    connect: Callable[..., OAuthConfig], server: AuthorizationServer
) -> None:
    authorize(connect(server, "app"))
    server.discard_events()
    with pytest.raises(ApiError) as refused:
        call("admin")
    assert refused.value.status_code == 403
    assert (statuses(server), server.events("token")) == ([403], [])
