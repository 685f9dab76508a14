"""Which fields a client authentication method or a grant with an assertion needs, and which ones it ignores."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.protocol.client_check import RESERVED_CLAIMS
from airflow_provider_oauth.protocol.field_labels import field_name
from tests.connections import airflow_connection, oauth_config
from tests.unit.protocol.test_config import refusal

KEY: dict[str, Any] = {"private_key": "fake-key"}
PRIVATE_KEY_JWT: dict[str, Any] = {"client_auth": "private_key_jwt", "client_secret": None}
JWT_BEARER: dict[str, Any] = {"grant_type": "jwt_bearer", "client_auth": "none", "client_secret": None}
TOKEN_EXCHANGE: dict[str, Any] = {"grant_type": "token_exchange", "subject_token_file": "/tokens/a"}


@pytest.mark.parametrize("key", [{"private_key": "fake-key"}, {"private_key_file": "/k"}, {"assertion_file": "/a"}])
@pytest.mark.parametrize("method", [PRIVATE_KEY_JWT, JWT_BEARER])
def test_a_signed_jwt_needs_a_key_or_an_assertion_file(method: dict[str, Any], key: dict[str, Any]) -> None:
    assert oauth_config(**method, **key)


@pytest.mark.parametrize(
    ("method", "name"), [(PRIVATE_KEY_JWT, "private_key_jwt"), (JWT_BEARER, "the jwt_bearer grant")]
)
def test_a_missing_key_is_an_error_that_names_the_three_fields(method: dict[str, Any], name: str) -> None:
    assert refusal(**method) == (
        f"Private key (private_key) is missing, but {name} requires it. Enter Private key, Private key file or "
        "Assertion file."
    )


def test_private_key_jwt_needs_a_client_id_and_no_secret() -> None:
    assert oauth_config(**PRIVATE_KEY_JWT, **KEY).client_secret is None
    assert refusal(**PRIVATE_KEY_JWT, **KEY, client_id=None) == (
        "Client ID (login) is missing. Enter the client ID that the vendor issued."
    )


def test_client_secret_jwt_needs_a_client_id_and_a_secret() -> None:
    assert oauth_config(client_auth="client_secret_jwt")
    assert refusal(client_auth="client_secret_jwt", client_secret=None).startswith(
        "Client secret (password) is missing"
    )
    assert refusal(client_auth="client_secret_jwt", client_id=None).startswith("Client ID (login) is missing")


def test_the_jwt_bearer_grant_needs_neither_client_id_nor_secret_without_client_authentication() -> None:
    assert oauth_config(**JWT_BEARER, **KEY, client_id=None).client_id is None


@pytest.mark.parametrize("grant", [{"grant_type": "jwt_bearer", **KEY}, TOKEN_EXCHANGE])
def test_a_missing_client_id_is_an_error_that_explains_how_to_do_without(grant: dict[str, Any]) -> None:
    assert refusal(**grant, client_id=None) == (
        "Client ID (login) is missing. Enter the client ID that the vendor issued, or set Client authentication "
        "(client_auth) to None (none)."
    )


def test_the_token_exchange_needs_a_subject_token_file() -> None:
    assert oauth_config(**TOKEN_EXCHANGE).subject_token_type == "urn:ietf:params:oauth:token-type:jwt"
    assert refusal(grant_type="token_exchange") == (
        "Subject token file (subject_token_file) is missing, but the token_exchange grant requires it. Enter the path "
        "of the file with the token."
    )


def test_the_scope_of_a_jwt_bearer_grant_is_sent_in_one_place() -> None:
    claims = {"assertion_claims": {"scope": "a"}}

    assert oauth_config(**JWT_BEARER, **KEY, **claims)
    assert oauth_config(**PRIVATE_KEY_JWT, **KEY, **claims, scope="a")  # NetSuite requires it in the client assertion
    assert refusal(**JWT_BEARER, **KEY, **claims, scope="a") == (
        "Assertion claims (assertion_claims) must not contain 'scope', because Scope is set. Remove one of them."
    )


def test_an_assertion_file_for_both_assertions_is_ambiguous() -> None:
    assert refusal(**(JWT_BEARER | PRIVATE_KEY_JWT), assertion_file="/a") == (
        "Assertion file (assertion_file) is ambiguous, because the jwt_bearer grant and private_key_jwt each send a "
        "JWT. Choose another Client authentication, or enter a private key instead of Assertion file."
    )


@pytest.mark.parametrize("name", RESERVED_CLAIMS)
@pytest.mark.parametrize("value", ["x", None, 0])
def test_assertion_claims_must_not_replace_what_identifies_an_assertion(name: str, value: Any) -> None:
    advice = {"iss": "Use Assertion issuer", "sub": "Use Assertion subject"}.get(name, "Remove it")

    assert refusal(**JWT_BEARER, **KEY, assertion_claims={"scope": "a", name: value}) == (
        f"Assertion claims (assertion_claims) must not contain {name!r}, because this package sets it. {advice}."
    )


def test_assertion_claims_may_replace_the_audience() -> None:
    assert oauth_config(**PRIVATE_KEY_JWT, **KEY, assertion_claims={"aud": ["a", "b"]})


@pytest.mark.parametrize("algorithm", ["RS255", "none", "rs256"])
def test_an_unknown_signing_algorithm_is_refused(algorithm: str) -> None:
    assert refusal(**PRIVATE_KEY_JWT, **KEY, signing_algorithm=algorithm).startswith(
        f"Signing algorithm (signing_algorithm) is {algorithm!r}, which is not supported. Use RS256, "
    )


# --- fields that are not used


def unused(**fields: Any) -> list[str]:
    """Return the names of the fields that a warning of the connection is about."""
    warnings = read_connection(airflow_connection(**fields)).warnings
    names = {field_name(name): name for name in FIELDS}
    return [names[each.partition(" was ignored")[0]] for each in warnings]


FIELDS: dict[str, Any] = {
    "private_key": "fake-key",
    "private_key_passphrase": "fake-passphrase",
    "key_id": "1",
    "certificate": "fake-certificate",
    "signing_algorithm": "RS256",
    "assertion_issuer": "a",
    "assertion_subject": "a",
    "assertion_audience": "a",
    "assertion_claims": {"a": 1},
    "subject_token_file": "/tokens/a",
    "assertion_file": "/tokens/b",
    "private_key_file": "/keys/a",
}
SIGNING = {"key_id", "signing_algorithm", "assertion_audience", "assertion_claims"}
OF_KEY = {"private_key", "private_key_passphrase", "certificate", *SIGNING}


@pytest.mark.parametrize(
    ("method", "used"),
    [
        ({}, set()),
        ({"client_auth": "none"}, set()),
        ({"grant_type": "token_exchange"}, {"subject_token_file"}),
        ({"client_auth": "private_key_jwt"}, OF_KEY),
        ({"client_auth": "client_secret_jwt"}, SIGNING),
        ({"grant_type": "jwt_bearer"}, {*OF_KEY, "assertion_issuer", "assertion_subject"}),
        (
            {"grant_type": "token_exchange", "client_auth": "private_key_jwt"},
            {*OF_KEY, "subject_token_file"},
        ),
        ({"cert": "/cert.pem"}, {"private_key_passphrase"}),
    ],
)
def test_a_field_that_is_not_used_causes_a_warning(method: dict[str, Any], used: set[str]) -> None:
    fields = {name: value for name, value in FIELDS.items() if name not in ("assertion_file", "private_key_file")}
    fields["subject_token_file"] = "/tokens/a"

    assert set(unused(**method, **fields)) == set(fields) - used


@pytest.mark.parametrize("method", [{"client_auth": "private_key_jwt"}, {"grant_type": "jwt_bearer"}])
def test_with_an_assertion_file_all_fields_about_signing_cause_a_warning(method: dict[str, Any]) -> None:
    fields = {name: value for name, value in FIELDS.items() if name != "private_key_file"}

    assert set(unused(**method, **fields)) == set(fields) - {"assertion_file"}


def test_with_an_assertion_file_client_secret_jwt_still_signs() -> None:
    fields = {"key_id": "1", "assertion_file": "/a", "grant_type": "jwt_bearer", "client_auth": "client_secret_jwt"}

    assert unused(**fields, private_key="fake-key") == ["private_key"]


def test_a_warning_explains_why_the_field_is_not_used() -> None:
    connection = airflow_connection(key_id="1")

    assert read_connection(connection).warnings == (
        "Key ID (key_id) was ignored, because the connection's Client authentication and Grant type do not use it. "
        "Remove it.",
    )


def test_a_warning_names_the_assertion_file_if_that_is_the_reason() -> None:
    connection = airflow_connection(client_auth="private_key_jwt", private_key="fake-key", assertion_file="/a")

    assert read_connection(connection).warnings == (
        "Private key (private_key) was ignored, because Assertion file is set. Remove it.",
    )


def test_a_connection_without_such_fields_causes_no_warning() -> None:
    assert read_connection(airflow_connection()).warnings == ()
