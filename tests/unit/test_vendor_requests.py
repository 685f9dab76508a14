"""Token requests of grants that the examples in ``tests/vendors`` do not have, from connections with only a vendor.

What is expected was written down from the vendor's page, whose address is above each test.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Connection

from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.protocol.token_requests import grant_request
from tests.keys import pem, rsa_key, service_account
from tests.vendor_connections import sent

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
BASIC = "Basic Q0xJRU5UX0lEOkNMSUVOVF9TRUNSRVQ="


def connection(vendor: str, grant_type: str, login: str | None = "CLIENT_ID", **extra: Any) -> OAuthConfig:
    values = {"vendor": vendor, "grant_type": grant_type, "leeway": 60, **extra}
    password = "CLIENT_SECRET" if grant_type == "client_credentials" else None
    return read_connection(
        Connection(conn_id="vendor", conn_type="oauth", login=login, password=password, extra=json.dumps(values))
    )


# https://developers.zoom.us/docs/internal-apps/s2s-oauth/
def test_zoom_server_to_server() -> None:
    found = sent(connection("zoom", "client_credentials", vendor_values={"account_id": "ACCOUNT"}), NOW)

    assert (found.request.method, found.request.url) == ("POST", "https://zoom.us/oauth/token")
    assert found.request.headers["Authorization"] == BASIC
    assert found.params == {"grant_type": "account_credentials", "account_id": "ACCOUNT"}


# https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_client_credentials_flow.htm
def test_salesforce_client_credentials_at_my_domain() -> None:
    config = connection("salesforce", "client_credentials", vendor_values={"my_domain": "acme"})
    found = sent(config, NOW)

    assert found.request.url == "https://acme.my.salesforce.com/services/oauth2/token"
    assert found.params == {
        "grant_type": "client_credentials", "client_id": "CLIENT_ID", "client_secret": "CLIENT_SECRET",
    }  # fmt: skip
    assert config.response_map == {"base_url": "instance_url"}


# https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_jwt_flow.htm
@pytest.mark.parametrize(("environment", "host"), [("production", "login"), ("sandbox", "test")])
def test_salesforce_jwt_bearer(environment: str, host: str) -> None:
    key = rsa_key()
    values = {"vendor_values": {"environment": environment}, "private_key": pem(key)}
    config = connection("salesforce", "jwt_bearer", assertion_subject="user@example.com", **values)
    found = sent(config, NOW, key.public_key())

    assert found.request.url == f"https://{host}.salesforce.com/services/oauth2/token"
    assert "Authorization" not in found.request.headers
    # No client secret, and no scope: the scopes are those of the app. client_id is optional (RFC 7521 section 4.1).
    assert found.params == {"grant_type": JWT_BEARER, "assertion": "JWT", "client_id": "CLIENT_ID"}
    assert found.header["alg"] == "RS256"
    assert {name: found.claims[name] for name in ("iss", "sub", "aud")} == {
        "iss": "CLIENT_ID", "sub": "user@example.com", "aud": f"https://{host}.salesforce.com",
    }  # fmt: skip
    assert found.claims["exp"] - NOW.timestamp() <= 180


# https://developers.google.com/identity/protocols/oauth2/service-account
@pytest.mark.parametrize(
    ("vendor", "scope"),
    [("google_ads", "adwords"), ("google_analytics", "analytics.readonly"), ("google_sheets", "spreadsheets.readonly")],
)
def test_a_service_account_of_google(vendor: str, scope: str) -> None:
    key = rsa_key()
    account = service_account(private_key=pem(key))
    found = sent(connection(vendor, "jwt_bearer", login=None, private_key=json.dumps(account)), NOW, key.public_key())

    assert found.request.url == "https://oauth2.googleapis.com/token"
    assert found.params == {"grant_type": JWT_BEARER, "assertion": "JWT"}
    assert found.header["alg"] == "RS256"
    assert found.claims["scope"] == f"https://www.googleapis.com/auth/{scope}"
    assert found.claims["iss"] == account["client_email"]
    assert found.claims["aud"] == "https://oauth2.googleapis.com/token"


# https://developer.xero.com/documentation/guides/oauth2/custom-connections
def test_a_custom_connection_of_xero() -> None:
    found = sent(connection("xero", "client_credentials"), NOW)

    assert found.request.url == "https://identity.xero.com/connect/token"
    assert found.request.headers["Authorization"] == BASIC
    assert found.params.keys() == {"grant_type", "scope"}
    assert "offline_access" not in found.params["scope"]  # this grant has no refresh token


# https://developer.zendesk.com/api-reference/ticketing/oauth/grant_type_tokens/
def test_zendesk_client_credentials() -> None:
    request = grant_request(connection("zendesk", "client_credentials", vendor_values={"subdomain": "acme"}), now=NOW)

    assert request.url == "https://acme.zendesk.com/oauth/tokens"
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {
        "grant_type": "client_credentials", "client_id": "CLIENT_ID", "client_secret": "CLIENT_SECRET", "scope": "read",
    }  # fmt: skip
