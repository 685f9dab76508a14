"""Refresh tokens that were obtained elsewhere, at both servers."""

from __future__ import annotations

import pytest

from airflow_provider_oauth.exceptions import ConsentRequired, InvalidScope
from airflow_provider_oauth.management import grants
from tests.servers.steps import call, post, tokens_of


@pytest.fixture
def pasted(connect, server):
    """Define the connection with a refresh token of a consent that was given without the package."""

    def define(**extra):
        tokens = tokens_of(server)
        server.forget()
        return connect(server, "app", grant_type="refresh_token", refresh_token=tokens["refresh_token"], **extra)

    return define


def test_the_refresh_token_of_the_connection_is_sent_once(pasted, server):
    config = pasted()
    for _ in range(3):
        assert call().json()["user"] == "ada"
    assert server.refusals() == [None]
    for _ in range(2):
        grants.renew(config)
        assert call().json()["user"] == "ada"
    assert server.refusals() == [None] * 3


def test_a_used_refresh_token_is_sent_once_and_needs_consent(pasted, server, variables):
    config = pasted()
    refresh_token = config.refresh_token
    spent = post(server, "grant_url", grant_type="refresh_token", refresh_token=refresh_token)
    assert spent.status_code == 200
    server.forget()
    for _ in range(3):
        with pytest.raises(ConsentRequired):
            call()
    assert server.refusals() == ["invalid_grant"]
    assert grants.status(config).needs_consent
    assert refresh_token not in str(variables)


def test_a_scope_that_was_not_granted_is_refused(pasted, server):
    pasted(scope="read write")
    with pytest.raises(InvalidScope):
        call()
    assert server.refusals() == ["invalid_scope"]
