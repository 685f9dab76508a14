"""The values that a vendor file gives to a connection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Connection

from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.presets import vendors
from airflow_provider_oauth.protocol.lookup import Lookup

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_oauth.protocol.config import OAuthConfig

SHOP = """
label = "Shop"
documentation = ["https://docs.example.com"]
endpoint_prefix = "v3/company/{company_id}"

[values.subdomain]
label = "Subdomain"
description = "The first part of the address of your account."
example = "acme"

[values.system]
label = "System"
description = "The system that issued the client."
choices = { production = "login", sandbox = "login-test" }
default = "production"

[values.tenant]
label = "Tenant"
description = "The ID of the tenant."
example = "t1"

[fields]
host = "https://{subdomain}.shop.example.com/api"
grant_url = "https://{system}.shop.example.com/{tenant}/token"
client_auth = "client_secret_post"
api_headers = { X-Version = "2", X-Tenant = "{tenant}" }
renew_on = "403"

[grants.authorization_code]
authorize_url = "https://{system}.shop.example.com/authorize"
authorize_params = { access_type = "offline" }
callback_map = "company_id=companyId"
scope = "read offline"
skip_pkce = true

[grants.client_credentials]
grant_name = "account_credentials"

[lookup]
endpoint = "sites"
values = { site_id = "id" }
"""
VALUES = {"subdomain": "acme", "tenant": "t 1"}


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop.toml").write_text(SHOP)
    monkeypatch.setenv("AIRFLOW__OAUTH__VENDOR_FOLDER", str(tmp_path))
    vendors.vendor.cache_clear()


def read(host: str | None = None, **extra: Any) -> OAuthConfig:
    values = {"vendor": "shop", "leeway": 60, "vendor_values": VALUES, **extra}
    connection = Connection(
        conn_id="shop", conn_type="oauth", host=host, login="app", password="fake-secret", extra=json.dumps(values)
    )
    return read_connection(connection)


def error_of(host: str | None = None, **extra: Any) -> str:
    with pytest.raises(ConfigurationError) as raised:
        read(host, **extra)
    return str(raised.value).removeprefix("Connection 'shop': ")


# --- where a value comes from


def test_the_vendor_file_sets_the_fields_that_the_connection_leaves_empty() -> None:
    config = read()

    assert config.vendor_label == "Shop"
    assert config.grant_type == "authorization_code"
    assert config.base_url == "https://acme.shop.example.com/api"
    assert config.token_url == "https://login.shop.example.com/t%201/token"
    assert config.authorize_url == "https://login.shop.example.com/authorize"
    assert config.client_auth == "client_secret_post"
    assert config.api_headers == {"X-Version": "2", "X-Tenant": "t 1"}
    assert config.renew_on == (403,)
    assert config.skip_pkce
    assert config.authorize_params == {"access_type": "offline"}
    assert config.callback_map == {"company_id": "companyId"}
    assert config.endpoint_prefix == "v3/company/{company_id}"
    assert config.lookup == Lookup(endpoint="sites", values={"site_id": "id"})
    assert config.warnings == ()


def test_the_connection_takes_precedence() -> None:
    config = read(client_auth="client_secret_basic", renew_on="400", scope="write", skip_pkce=False)

    assert config.client_auth == "client_secret_basic"
    assert config.renew_on == (400,)
    assert config.scope == "write"
    assert not config.skip_pkce
    assert config.warnings == ()


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_field_counts_as_not_set(empty: str | None) -> None:
    assert read(client_auth=empty, scope=empty).client_auth == "client_secret_post"


def test_objects_and_pairs_are_combined() -> None:
    config = read(
        api_headers={"X-Version": "3", "X-Mine": "1"},
        authorize_params={"prompt": "consent"},
        callback_map="code=auth_code",
    )
    assert config.api_headers == {"X-Version": "3", "X-Tenant": "t 1", "X-Mine": "1"}
    assert config.authorize_params == {"access_type": "offline", "prompt": "consent"}
    assert config.callback_map == {"company_id": "companyId", "code": "auth_code"}


def test_each_grant_type_has_its_own_fields() -> None:
    config = read(grant_type="client_credentials", vendor_values={**VALUES, "company_id": "1"})

    assert config.grant_name == "account_credentials"
    assert config.scope is None
    assert config.authorize_url is None
    assert config.warnings == ()


def test_the_grant_type_refresh_token_uses_the_fields_of_authorization_code() -> None:
    config = read(
        grant_type="refresh_token", refresh_token="fake-refresh", vendor_values={**VALUES, "company_id": "12"}
    )
    assert config.scope is None
    assert (config.authorize_url, config.callback_map, config.skip_pkce) == (None, {}, False)
    assert config.warnings == ()


@pytest.mark.parametrize("scope", [None, "tickets:read"])
def test_a_renewal_with_a_refresh_token_from_elsewhere_has_only_the_scope_of_the_connection(scope: str | None) -> None:
    values = {"subdomain": "acme"}
    config = read(vendor="zendesk", grant_type="refresh_token", refresh_token="r", scope=scope, vendor_values=values)
    assert (config.scope, config.grant_params) == (scope, {})


def test_a_grant_type_that_the_file_does_not_have_is_used_with_a_warning() -> None:
    config = read(
        grant_type="password", username="u", user_password="fake", vendor_values={**VALUES, "company_id": "1"}
    )
    assert config.warnings == (
        "The vendor file of Shop has no fields for the grant type password. Choose one of authorization_code, "
        "client_credentials, or set the fields that this grant type needs.",
    )


def test_a_url_of_the_connection_replaces_that_of_the_vendor_with_a_warning() -> None:
    config = read("https://mock.example.com", grant_url="https://mock.example.com/token")

    assert config.base_url == "https://mock.example.com"
    assert config.token_url == "https://mock.example.com/token"
    assert [warning.partition(" replaces ")[0] for warning in config.warnings] == [
        "API base URL (host)",
        "Token URL (grant_url)",
    ]
    assert all("the URL of Shop. Clear this field" in warning for warning in config.warnings)


def test_values_that_only_a_replaced_url_needs_can_be_missing() -> None:
    assert read("https://mock.example.com", vendor_values={"tenant": "t1"}).base_url == "https://mock.example.com"


@pytest.mark.parametrize("scope", [None, "write"])
def test_token_requests_can_have_the_scope_of_the_connection(tmp_path: Path, scope: str | None) -> None:
    (tmp_path / "shop.toml").write_text(SHOP.replace("skip_pkce", 'grant_params = { scope = "{scope}" }\nskip_pkce'))
    assert read(scope=scope).grant_params == {"scope": scope or "read offline"}


# --- vendor_values


def test_missing_values_are_named_with_their_descriptions() -> None:
    assert error_of(vendor_values={}) == (
        "Shop needs more values: subdomain (The first part of the address of your account); tenant (The ID of the "
        'tenant). Enter them in Vendor values (vendor_values), for example {"subdomain": "acme", "tenant": "t1"}.'
    )


def test_an_unknown_value_is_refused() -> None:
    assert error_of(vendor_values={**VALUES, "sub_domain": "x"}) == (
        "Vendor values (vendor_values) has 'sub_domain', which Shop does not use. It uses subdomain, system, tenant, "
        "company_id, site_id."
    )


def test_a_choice_is_inserted_by_its_name() -> None:
    config = read(vendor_values={**VALUES, "system": "sandbox"})
    assert config.token_url == "https://login-test.shop.example.com/t%201/token"
    assert error_of(vendor_values={**VALUES, "system": "login-test"}) == (
        "System (system) in Vendor values (vendor_values) is 'login-test', which is not a choice. Use one of "
        "production, sandbox."
    )


@pytest.mark.parametrize(
    "text",
    [
        "evil.com/", "evil.com#", "evil.com?", "evil.com\\", "a@evil.com", "evil.com", "-a", "a-", "a:80", "ä", "a b",
        "a%2e", "a" * 64, ".", "{tenant}",
    ],
)  # fmt: skip
def test_a_value_cannot_change_the_host(text: str) -> None:
    assert " in Vendor values (vendor_values) is " in error_of(vendor_values={**VALUES, "subdomain": text})


@pytest.mark.parametrize("text", ["..", "a\nb", "\x00", " ", "a" * 513])
def test_a_value_cannot_change_a_path(text: str) -> None:
    assert "Tenant (tenant) in Vendor values (vendor_values) is not valid" in error_of(
        vendor_values={**VALUES, "tenant": text}
    )


def test_a_value_in_a_path_is_encoded() -> None:
    config = read(vendor_values={**VALUES, "tenant": "a/../b?c#d"})
    assert config.token_url == "https://login.shop.example.com/a%2F..%2Fb%3Fc%23d/token"


def test_numbers_are_accepted_and_other_types_refused() -> None:
    assert read(vendor_values={**VALUES, "tenant": 12}).token_url == "https://login.shop.example.com/12/token"
    for value in (True, 1.5, ["x"], {"a": "b"}):
        assert "Tenant (tenant) in Vendor values (vendor_values) is not valid" in error_of(
            vendor_values={**VALUES, "tenant": value}
        )


def test_values_of_a_lookup_can_be_entered_instead() -> None:
    config = read(vendor_values={**VALUES, "site_id": "s1"})
    assert config.lookup is None
    assert config.vendor_values == {"site_id": "s1"}


def test_a_callback_value_cannot_be_entered_if_the_vendor_sends_it() -> None:
    assert error_of(vendor_values={**VALUES, "company_id": "1"}) == (
        "Vendor values (vendor_values) has company_id, but Shop sends this value after each consent. Remove it."
    )


def test_a_callback_value_can_be_entered_for_other_grant_types() -> None:
    config = read(
        grant_type="refresh_token", refresh_token="fake-refresh", vendor_values={**VALUES, "company_id": "1/2"}
    )
    assert config.vendor_values == {"company_id": "1/2"}
    assert config.endpoint_prefix == "v3/company/1%2F2"


def test_values_without_a_vendor_are_refused() -> None:
    assert error_of("https://api.example.com", vendor=None) == (
        "Vendor values (vendor_values) is set, but Vendor (vendor) is not. Choose the vendor."
    )


def test_the_values_in_the_urls_identify_the_account() -> None:
    assert read().account_values == {"subdomain": "acme", "system": "login", "tenant": "t 1"}
    assert read("https://mock.example.com", vendor_values={"tenant": "t1"}).account_values == {
        "system": "login", "tenant": "t1",
    }  # fmt: skip
