"""The secrets of a configuration are known, and never shown."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_oauth.protocol.config import TransportOptions
from tests.connections import oauth_config
from tests.unit.protocol.test_config import refusal

ALL_SECRETS: dict[str, Any] = {
    "client_secret": "fake-client",
    "user_password": "fake-user",
    "refresh_token": "fake-refresh",
    "secret_grant_params": {"a": "fake-param"},
    "secret_headers": {"X-Key": "fake-header"},
    "secret_params": {"key": "fake-query"},
}


def test_secrets_include_all_secret_fields() -> None:
    proxies = {"https": "http://user:fake-proxy@proxy.example.com:3128"}

    settings = oauth_config(**ALL_SECRETS, transport=TransportOptions(proxies=proxies))

    assert set(settings.secrets) == {
        "fake-client",
        "fake-user",
        "fake-refresh",
        "fake-param",
        "fake-header",
        "fake-query",
        "fake-proxy",
    }


def test_secrets_include_the_parts_around_callback_values() -> None:
    settings = oauth_config(
        grant_type="authorization_code",
        callback_map={"realm": "realmId"},
        client_secret="{realm}-fake-client",
        secret_params={"a": "fake-query-{realm}-fake-rest", "b": "short{realm}", "c": "{realm}", "d": "{x}-fake-other"},
    )

    assert set(settings.secrets) == {
        "{realm}-fake-client",
        "fake-query-{realm}-fake-rest",
        "fake-query-",
        "-fake-rest",
        "short{realm}",
        "{realm}",
        "{x}-fake-other",
    }


def test_secrets_of_a_public_client_are_empty() -> None:
    assert oauth_config(client_auth="none", client_secret=None).secrets == ()


def test_secrets_do_not_include_empty_values() -> None:
    assert "" not in oauth_config(client_secret="", secret_params={"a": ""}).secrets


@pytest.mark.parametrize("field", ["secret_grant_params", "secret_params"])
@pytest.mark.parametrize("value", [["fake-inner", "x-other"], {"a": {"b": ["fake-inner"]}}])
def test_secrets_include_each_value_in_lists_and_objects(field: str, value: Any) -> None:
    assert "fake-inner" in oauth_config(**{field: {"key": value}}).secrets


@pytest.mark.parametrize(
    "proxy", ["user:fake-proxy@proxy.example.com:3128", "http://user:fake-proxy@proxy.example.com"]
)
def test_secrets_include_the_password_of_a_proxy_url_with_or_without_scheme(proxy: str) -> None:
    assert "fake-proxy" in oauth_config(transport=TransportOptions(proxies={"https": proxy})).secrets


def test_secrets_include_the_whole_password_of_a_proxy_url() -> None:
    proxies = {"https": "http://user:fake@proxy:1@proxy.example.com:3128/a@b"}
    assert "fake@proxy:1" in oauth_config(transport=TransportOptions(proxies=proxies)).secrets


def test_secrets_do_not_include_a_password_of_a_malformed_proxy_url() -> None:
    assert oauth_config(transport=TransportOptions(proxies={"https": "http://[bad"})).secrets == ("fake-secret",)


def test_secrets_are_not_in_the_repr_of_the_configuration() -> None:
    settings = oauth_config(
        **ALL_SECRETS,
        grant_params={"password": "fake-open"},
        api_headers={"X-Token": "fake-open"},
        transport=TransportOptions(proxies={"https": "http://user:fake-proxy@proxy.example.com:3128"}),
    )

    assert "fake" not in repr(settings)
    assert "fake" not in str(settings)
    assert "fake" not in repr(settings.transport)


def test_secrets_in_the_query_of_the_token_url_are_not_in_the_repr() -> None:
    assert "fake" not in repr(oauth_config(token_url="https://login.example.com/token?key=fake-key"))


@pytest.mark.parametrize("field", ["grant_type", "client_auth", "body_format"])
def test_secrets_are_not_quoted_in_errors_about_other_fields(field: str) -> None:
    assert "fake" not in refusal(**ALL_SECRETS, **{field: "unknown"})
