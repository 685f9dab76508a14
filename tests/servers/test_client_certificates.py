"""Client certificates at oidc-provider: one of an authority, and a self-signed one (RFC 8705)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ApiError, InvalidClient
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.runtime import data_key, token_sources
from tests.integration.mtls_server import thumbprint_of
from tests.servers.key_clients import TLS_CLIENTS
from tests.servers.steps import api_status, authorize, call, stored_tokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from tests.servers.servers import OidcProvider

MACHINE: dict[str, Any] = {"grant_type": "client_credentials", "scope": "read", "authorize_params": None}
EACH_CLIENT = pytest.mark.parametrize("client", TLS_CLIENTS)


@EACH_CLIENT
def test_the_token_is_bound_to_the_certificate_of_the_connection(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, client: str
) -> None:
    fields = oidc.credentials(client)
    connect(oidc, client, **fields, **MACHINE)
    body = call().json()
    assert (body["client"], body["boundTo"]) == (client, thumbprint_of(fields["cert"]))
    assert api_status(oidc, OAuthHook("api").get_token().access_token) == 401  # without the certificate
    assert oidc.token_errors() == [None]


@EACH_CLIENT
def test_the_grant_of_a_user_is_renewed_and_revoked_with_the_certificate(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, client: str
) -> None:
    config = connect(oidc, client, **oidc.credentials(client))
    authorize(config)
    assert call().json()["user"] == "ada"
    grants.renew(config)
    assert call().json()["boundTo"] == thumbprint_of(config.transport.cert)
    assert stored_tokens(config)
    grants.revoke(config)
    assert [event["client"] for event in oidc.events("grant revoked")] == [client]
    assert [event["grant_type"] for event in oidc.events("token")] == ["authorization_code", "refresh_token"]
    assert oidc.token_errors() == [None, None]


@EACH_CLIENT
def test_another_certificate_is_refused(connect: Callable[..., OAuthConfig], oidc: OidcProvider, client: str) -> None:
    wrong = oidc.tls.other if client == "mtls" else oidc.tls.client
    connect(oidc, client, **{**oidc.credentials(client), "cert": wrong}, **MACHINE)
    with pytest.raises(InvalidClient, match="Check Client ID, cert .client certificate. and Client authentication"):
        call()
    assert oidc.token_errors() == ["invalid_client"]


def test_the_api_refuses_a_token_that_is_bound_to_another_certificate(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    connect(oidc, "mtls", **oidc.credentials("mtls"), **MACHINE)
    with pytest.raises(ApiError) as refused:
        OAuthHook("api").run("me", extra_options={"cert": oidc.tls.other})
    assert refused.value.status_code == 401


def test_after_the_certificate_was_replaced_tasks_keep_the_grant_of_the_user(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, tmp_path: Path
) -> None:
    file = tmp_path / "client.pem"
    shutil.copy(oidc.tls.self_signed, file)
    config = connect(oidc, "self-signed", **{**oidc.credentials("self-signed"), "cert": str(file)})
    authorize(config)
    assert call().json()["boundTo"] == thumbprint_of(oidc.tls.self_signed)
    shutil.copy(oidc.tls.other, file)  # the server knows this certificate, too
    oidc.discard_events()
    for _ in range(2):
        body = call().json()
        assert (body["user"], body["boundTo"]) == ("ada", thumbprint_of(oidc.tls.other))
        # The next call is made by another process, which has never read the old key.
        token_sources._sources.clear()
        data_key._used.clear()
    assert [event["status"] for event in oidc.events("api")] == [401, 200, 200]
    assert [event["grant_type"] for event in oidc.events("token")] == ["refresh_token"]


def test_a_client_that_signs_jwts_gets_tokens_that_are_bound_to_its_certificate(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    fields = oidc.credentials("es256") | {"cert": oidc.tls.client, "verify": oidc.tls.ca, "host": f"{oidc.tls_url}/api"}
    config = connect(oidc, "fapi", **fields, par_url=f"{oidc.tls_url}/request")
    authorize(config)
    grants.renew(config)
    body = call().json()
    assert (body["user"], body["boundTo"]) == ("ada", thumbprint_of(oidc.tls.client))
    grants.revoke(config)
    assert oidc.token_errors() == [None, None]
