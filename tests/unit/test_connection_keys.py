"""Private keys in a connection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.signing_keys import signing_key
from tests.connections import TOKEN_URL, airflow_connection
from tests.keys import jwk, pem, rsa_key, service_account

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

GOOGLE = "https://oauth2.googleapis.com/token"


def read(**fields: Any) -> OAuthConfig:
    return read_connection(airflow_connection(**fields))


@pytest.mark.parametrize("notation", [json.dumps, lambda account: account], ids=["text", "object"])
def test_a_pasted_service_account_sets_the_token_url(notation: Any) -> None:
    config = read(private_key=notation(service_account()), grant_url=None)
    assert config.token_url == GOOGLE
    assert config.identity["token_url"] == GOOGLE
    key = signing_key(config)
    assert (key.algorithm, key.headers, key.issuer) == (
        "RS256",
        {"kid": "fake-key-id"},
        "reports@fake.iam.gserviceaccount.com",
    )


def test_the_token_url_and_the_issuer_of_the_connection_take_precedence() -> None:
    text = json.dumps(service_account())
    assert read(private_key=text).token_url == TOKEN_URL
    config = read(private_key=text, grant_url=None, issuer="https://login.example.com")
    assert (config.token_url, config.issuer) == (None, "https://login.example.com")


@pytest.mark.parametrize(
    "url",
    [None, 1, "", "/token", "token", "http://login.example.com/token", "https://u:p@login.example.com", "file:///x"],
)
def test_a_service_account_with_an_invalid_token_url_is_an_error(url: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(private_key=json.dumps(service_account(token_uri=url)), grant_url=None)
    assert str(caught.value) == (
        "Connection 'shop': Private key (private_key) is a Google service account whose token_uri is missing or is not "
        "an https URL. Download a new key and paste the whole file, or set Token URL (grant_url)."
    )


def test_plain_http_to_a_service_accounts_token_url_requires_allow_http() -> None:
    text = json.dumps(service_account(token_uri="http://login.example.com/token"))
    assert read(private_key=text, grant_url=None, allow_http=True).token_url == "http://login.example.com/token"


def test_a_key_without_token_url_does_not_set_it() -> None:
    for text in (pem(rsa_key()), json.dumps(jwk(rsa_key()))):
        with pytest.raises(ConfigurationError, match=r"Token URL \(grant_url\) is missing"):
            read(private_key=text, grant_url=None)


def test_a_jwk_can_be_an_object_in_extra() -> None:
    assert signing_key(read(private_key=jwk(rsa_key(), kid="1"))).headers == {"kid": "1"}


@pytest.mark.parametrize("value", [[1], 1.5])
def test_a_key_of_another_type_is_an_error(value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(private_key=value)
    assert str(caught.value) == (
        "Connection 'shop': Private key (private_key) is not a valid string. Write the value in quotes."
    )


def test_a_redacted_key_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="Enter the real value again"):
        read(private_key=service_account(private_key="***"), grant_url=None)


def test_reading_a_connection_does_not_read_the_file() -> None:
    assert read(private_key_file="/fake/absent.pem").private_key_file == "/fake/absent.pem"
