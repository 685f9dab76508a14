"""Names of grants that a connection can set, and the grants that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from tests.connections import oauth_config

PASSWORD = {"grant_type": "password", "username": "u", "user_password": "fake"}
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
SAML = "urn:ietf:params:oauth:grant-type:saml2-bearer"


def error_of(**fields: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        oauth_config(**fields)
    return str(caught.value)


@pytest.mark.parametrize("fields", [{}, PASSWORD])
@pytest.mark.parametrize(
    "name", ["account_credentials", "urn:ibm:params:oauth:grant-type:apikey", "https://a.example/g"]
)
def test_the_name_of_a_grant_without_a_code_can_be_replaced(fields: dict[str, Any], name: str) -> None:
    config = oauth_config(**fields, grant_name=name)

    assert config.wire_grant_type(config.grant_type) == name
    assert config.wire_grant_type("refresh_token") == "refresh_token"


@pytest.mark.parametrize(
    ("grant_type", "name"),
    [
        ("client_credentials", "client_credentials"),
        ("authorization_code", "authorization_code"),
        ("jwt_bearer", JWT_BEARER),
        ("token_exchange", TOKEN_EXCHANGE),
    ],
)
def test_grants_have_their_standard_names_on_the_wire(grant_type: str, name: str) -> None:
    assert oauth_config().wire_grant_type(grant_type) == name


@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token"])
def test_the_name_of_another_grant_cannot_be_replaced(grant_type: str) -> None:
    assert error_of(grant_type=grant_type, grant_name="custom") == (
        "Connection 'shop': Grant name (grant_name) can replace only client_credentials or password, but Grant type "
        f"(grant_type) is {grant_type}. Remove it, or choose another Grant type."
    )


@pytest.mark.parametrize(
    ("name", "grant_type"),
    [
        ("client_credentials", "client_credentials"),
        ("password", "password"),
        ("authorization_code", "authorization_code"),
        ("refresh_token", "refresh_token"),
        ("jwt_bearer", "jwt_bearer"),
        (JWT_BEARER, "jwt_bearer"),
        (TOKEN_EXCHANGE, "token_exchange"),
    ],
)
def test_the_name_of_a_standard_grant_is_refused_with_the_grant_type_to_choose(name: str, grant_type: str) -> None:
    assert error_of(grant_name=name) == (
        f"Connection 'shop': Grant name (grant_name) is {name!r}, which is a standard grant. Remove it, and set Grant "
        f"type to {grant_type}."
    )


@pytest.mark.parametrize("name", ["two words", " padded", "é", "a\nb"])
def test_a_name_with_other_characters_is_refused(name: str) -> None:
    assert "Grant name (grant_name) contains spaces or characters that are not allowed" in error_of(grant_name=name)


@pytest.mark.parametrize("field", ["grant_type", "grant_name"])
@pytest.mark.parametrize("name", ["saml2_bearer", "saml_bearer", "saml2-bearer", SAML])
def test_the_saml_bearer_grant_is_refused_by_name(field: str, name: str) -> None:
    label = {"grant_type": "Grant type", "grant_name": "Grant name"}[field]

    assert error_of(**{field: name}) == (
        f"Connection 'shop': {label} ({field}) is {name!r}, which is not supported: Airflow cannot create SAML "
        "assertions. Use jwt_bearer or client_credentials if the server supports one of them."
    )


@pytest.mark.parametrize("name", ["device_code", "urn:ietf:params:oauth:grant-type:device_code"])
def test_the_device_grant_is_refused_with_the_command_to_run(name: str) -> None:
    command = "Grant type to authorization_code, and run airflow oauth authorize CONN_ID --device."
    assert error_of(grant_name=name) == (
        f"Connection 'shop': Grant name (grant_name) is {name!r}, which needs a user. Remove it, set {command}"
    )
    assert error_of(grant_type=name) == (
        f"Connection 'shop': Grant type (grant_type) is {name!r}, which needs a user. Set {command}"
    )
