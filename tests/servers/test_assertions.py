"""Clients of oidc-provider that authenticate with a JWT: signed with a private key, or with the client secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests

from airflow_provider_oauth.exceptions import InvalidClient
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from tests.servers.key_clients import ALGORITHMS, JWT_CLIENTS, pem
from tests.servers.losing_proxy import losing_proxy
from tests.servers.steps import api_status, authorize, call, stored_tokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from tests.servers.losing_proxy import Fault
    from tests.servers.servers import OidcProvider

MACHINE: dict[str, Any] = {"grant_type": "client_credentials", "scope": "read", "authorize_params": None}
EACH_CLIENT = pytest.mark.parametrize("client", JWT_CLIENTS)


@EACH_CLIENT
def test_tasks_get_a_token(connect: Callable[..., OAuthConfig], oidc: OidcProvider, client: str) -> None:
    connect(oidc, client, **oidc.credentials(client), **MACHINE)
    assert [call().json()["client"] for _ in range(2)] == [client, client]
    assert oidc.token_errors() == [None]


@EACH_CLIENT
def test_the_grant_of_a_user_is_renewed_and_revoked(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, client: str
) -> None:
    config = connect(oidc, client, **oidc.credentials(client))
    authorize(config)
    for _ in range(2):
        grants.renew(config)
    assert call().json()["user"] == "ada"
    access_token, _ = stored_tokens(config)
    grants.revoke(config)
    assert api_status(oidc, access_token) == 401
    assert [event["client"] for event in oidc.events("grant revoked")] == [client]
    assert oidc.token_errors() == [None] * 3
    assert oidc.events("revocation") == []


@EACH_CLIENT
def test_the_test_button_reports_success(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, client: str, variables: dict[str, str]
) -> None:
    connect(oidc, client, **oidc.credentials(client), **MACHINE)
    works, text = OAuthHook("api").test_connection()
    assert works, text
    assert variables == {}


@EACH_CLIENT
@pytest.mark.parametrize("audience", ["", "/token"])
def test_the_server_accepts_its_issuer_and_its_token_url_as_audience(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, client: str, audience: str
) -> None:
    fields = {"assertion_audience": f"{oidc.url}{audience}", **oidc.credentials(client), **MACHINE}
    connect(oidc, client, **fields)
    assert call().status_code == 200


@EACH_CLIENT
def test_another_audience_is_refused_once(connect: Callable[..., OAuthConfig], oidc: OidcProvider, client: str) -> None:
    connect(oidc, client, assertion_audience="https://other.example.com", **oidc.credentials(client), **MACHINE)
    for _ in range(2):
        with pytest.raises(InvalidClient):
            call()
    assert oidc.token_errors() == ["invalid_client"]


def test_a_key_from_a_file_is_read_again_after_it_was_replaced(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH__FILE_FOLDER", str(tmp_path))
    (tmp_path / "client.pem").write_text(pem("es256"))
    fields = {**oidc.credentials("es256"), "private_key": None, "private_key_file": str(tmp_path / "client.pem")}
    config = connect(oidc, "es256", **fields, **MACHINE)
    assert call().status_code == 200
    (tmp_path / "client.pem").write_text(pem("rs256"))
    with pytest.raises(InvalidClient):
        grants.renew(config)
    assert [event.get("detail") for event in oidc.events("token")] == [None, "alg mismatch"]


def test_a_key_that_the_server_does_not_know_is_refused_with_advice(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    connect(oidc, "es256", **{**oidc.credentials("es256"), "private_key": pem("eddsa")}, **MACHINE)
    with pytest.raises(InvalidClient, match="rivate key") as refused:
        call()
    assert "-----" not in str(refused.value)
    assert oidc.token_errors() == ["invalid_client"]


def test_a_secret_that_the_server_does_not_know_is_refused(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    secret = "fake-and-wrong-with-more-than-32-characters"
    connect(oidc, "hs256", **{**oidc.credentials("hs256"), "password": secret}, **MACHINE)
    with pytest.raises(InvalidClient, match="Client secret") as refused:
        call()
    assert secret not in str(refused.value)


# --- each assertion is used once


def ids(bodies: list[dict[str, str]]) -> list[str]:
    """Return the ``jti`` of each assertion."""
    return [jwt.decode(each["client_assertion"], options={"verify_signature": False})["jti"] for each in bodies]


@EACH_CLIENT
@pytest.mark.parametrize("fault", ["lost response", "busy"])
def test_a_retry_sends_a_new_assertion(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, client: str, fault: Fault
) -> None:
    with losing_proxy(f"{oidc.url}/token", fault, fault) as proxy:
        connect(oidc, client, grant_url=proxy.url, **oidc.credentials(client), **MACHINE)
        assert call().status_code == 200
    assert len(set(ids(proxy.bodies))) == 3
    assert oidc.token_errors() == [None] * (3 if fault == "lost response" else 1)


@pytest.mark.parametrize("client", ALGORITHMS)
def test_a_refresh_that_is_retried_sends_a_new_assertion(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, client: str
) -> None:
    config = connect(oidc, client, **oidc.credentials(client))
    authorize(config)
    with losing_proxy(f"{oidc.url}/token", "busy", "busy") as proxy:
        config = connect(oidc, client, refresh_url=proxy.url, **oidc.credentials(client))
        grants.renew(config)
    assert [each["grant_type"] for each in proxy.bodies] == ["refresh_token"] * 3
    assert len({each["refresh_token"] for each in proxy.bodies}) == 1
    assert len(set(ids(proxy.bodies))) == 3
    assert oidc.token_errors() == [None, None]


def test_the_server_refuses_an_assertion_that_is_sent_again(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    with losing_proxy(f"{oidc.url}/token") as proxy:
        connect(oidc, "es256", grant_url=proxy.url, **oidc.credentials("es256"), **MACHINE)
        call()
    again = requests.post(f"{oidc.url}/token", data=proxy.bodies[0], timeout=10)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    assert oidc.events("token")[-1]["detail"] == "client assertion tokens must only be used once"
