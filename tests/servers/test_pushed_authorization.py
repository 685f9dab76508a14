"""Pushed authorization requests at oidc-provider (RFC 9126)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_oauth.exceptions import ConsentDenied, InvalidClient, OAuthError
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from tests.servers.key_clients import EACH_METHOD, TLS_CLIENTS
from tests.servers.servers import REDIRECT_URI
from tests.servers.steps import authorize, call
from tests.servers.user import User

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from tests.servers.servers import OidcProvider


def par_fields(oidc: OidcProvider, client: str) -> dict[str, Any]:
    """Return the connection fields with which a client pushes its requests."""
    fields = oidc.credentials(client) if client in EACH_METHOD else {}
    return {"par_url": f"{oidc.tls_url if client in TLS_CLIENTS else oidc.url}/request", **fields}


@pytest.mark.parametrize("client", ["pushed", "app", "public", *EACH_METHOD])
def test_the_browser_sees_only_the_client_id_and_the_request_uri(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, client: str
) -> None:
    fields = {"client_auth": "none", "password": None} if client == "public" else {}
    config = connect(oidc, client, **{**par_fields(oidc, client), **fields})
    request = AuthorizationRequest(conn_id="api", redirect_uri=REDIRECT_URI)
    url = grants.begin_authorization(config, request)
    query = parse_qs(urlsplit(url).query)
    assert query.keys() == {"client_id", "request_uri"}
    assert query["client_id"] == [client]
    grants.finish_authorization(config, request, User().consent(url, REDIRECT_URI))
    assert call().json()["user"] == "ada"
    grants.renew(config)
    assert oidc.token_errors() == [None, None]


def test_a_user_can_deny_access(connect: Callable[..., OAuthConfig], oidc: OidcProvider) -> None:
    config = connect(oidc, "pushed", **par_fields(oidc, "pushed"))
    with pytest.raises(ConsentDenied) as denied:
        authorize(config, allow=False)
    assert denied.value.error == "access_denied"


def test_a_wrong_secret_is_refused_before_the_user_is_asked(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider
) -> None:
    config = connect(oidc, "pushed", secret="fake-and-wrong", **par_fields(oidc, "pushed"))
    with pytest.raises(InvalidClient) as refused:
        authorize(config)
    assert "fake-and-wrong" not in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ({"resource": "https://unknown.example.com"}, "Resource"),
        ({"scope": "openid offline_access admin"}, "Scope"),
        ({"skip_pkce": True}, "skip_pkce"),
    ],
)
def test_refused_parameters_are_an_error_that_names_the_field(
    connect: Callable[..., OAuthConfig], oidc: OidcProvider, fields: dict[str, Any], advice: str
) -> None:
    config = connect(oidc, "pushed", **par_fields(oidc, "pushed"), **fields)
    with pytest.raises(OAuthError, match=advice) as refused:
        authorize(config)
    assert "pushed authorization request endpoint" in str(refused.value)
