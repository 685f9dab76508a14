"""What a refusal of an assertion or a subject token means, and what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    TokenRequestError,
    UnauthorizedClient,
    UnrecognizedRefusal,
)
from airflow_provider_oauth.protocol.credentials import Credentials
from airflow_provider_oauth.protocol.signing_keys import SigningKey
from airflow_provider_oauth.protocol.token_requests import grant_request
from airflow_provider_oauth.protocol.token_responses import HttpResponse, parse_token_response
from tests.connections import oauth_config
from tests.fake_clock import START
from tests.keys import ec_key, pem

KEY = SigningKey(algorithm="ES256", key=ec_key())
CREDENTIALS = Credentials(signing_key=KEY, subject_token="fake-subject-token")
JWT_BEARER: dict[str, Any] = {"grant_type": "jwt_bearer", "client_auth": "none", "private_key": pem(ec_key())}
PRIVATE_KEY_JWT: dict[str, Any] = {"client_auth": "private_key_jwt", "private_key": pem(ec_key())}
TOKEN_EXCHANGE: dict[str, Any] = {"grant_type": "token_exchange", "subject_token_file": "/tokens/a"}


def refused(settings: dict[str, Any], status: int, content: Any) -> TokenRequestError:
    config = oauth_config(**settings)
    request = grant_request(config, now=START, credentials=CREDENTIALS)
    body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    response = HttpResponse(status_code=status, headers={}, body=body, sent_at=START)
    with pytest.raises(TokenRequestError) as raised:
        parse_token_response(config, request, response)
    return raised.value


def advice(error: TokenRequestError) -> str:
    """Return the advice in the text of an error."""
    text = str(error).partition(". ")[2]
    return text.partition(" The server's message: ")[0].partition(" (URL: ")[0]


def test_a_refused_assertion_is_not_a_wrong_password() -> None:
    error = refused(JWT_BEARER, 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})

    assert type(error) is InvalidGrant
    assert str(error) == (
        "Connection 'shop': the token endpoint refused the jwt_bearer grant with status 400 and error 'invalid_grant'. "
        "The server refused the assertion. Check Assertion issuer, Assertion subject, Private key, Key ID and "
        "Assertion audience. Also check that the clock of this host is right, and that the user or an administrator "
        "has allowed this client at the server. The server's message: 'Invalid JWT Signature.' "
        "(URL: https://login.example.com/token)"
    )


@pytest.mark.parametrize("code", ["consent_required", "interaction_required", "login_required"])
def test_a_missing_consent_is_an_invalid_grant_whose_advice_is_that_the_user_consents(code: str) -> None:
    error = refused(JWT_BEARER, 400, {"error": code})  # DocuSign sends the first one

    assert type(error) is InvalidGrant
    assert error.error == code
    assert advice(error) == (
        "The user in Assertion subject must allow this client once in a browser, or an administrator must allow it for "
        "all users: see the vendor's documentation on consent for JWT bearer."
    )


def test_with_an_assertion_file_the_advice_names_the_file() -> None:
    settings = {"grant_type": "jwt_bearer", "client_auth": "none", "assertion_file": "/a", "private_key": None}

    error = refused(settings, 400, {"error": "invalid_grant"})

    assert advice(error).startswith("The server refused the assertion. Check Assertion file. Also check")


def test_google_refuses_a_user_without_domain_wide_delegation() -> None:
    # developers.google.com/identity/protocols/oauth2/service-account, "JWT error codes"
    error = refused(JWT_BEARER, 401, {"error": "unauthorized_client"})

    assert type(error) is UnauthorizedClient
    assert advice(error) == (
        "The server does not allow this client to use the jwt_bearer grant for this user and scope. Ask its "
        "administrator to allow it (at Google: domain-wide delegation), and check Assertion subject and Scope."
    )


@pytest.mark.parametrize(
    ("status", "content", "code"), [(400, {"error": "invalid_client"}, True), (401, {}, False), (401, "", False)]
)
def test_a_refused_client_of_a_jwt_bearer_grant_is_identified_by_its_assertion(
    status: int, content: Any, code: bool
) -> None:
    error = refused(JWT_BEARER, status, content)

    assert type(error) is InvalidClient
    assert advice(error) == (
        "Check Assertion issuer, Assertion subject, Private key, Key ID and Assertion audience. If the server requires "
        "client authentication, set Client authentication."
        + ("" if code else " If they are correct, check Token URL, because the response has no OAuth error code.")
    )


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        (PRIVATE_KEY_JWT, "Client ID, Private key, Key ID, Assertion audience and Client authentication"),
        (
            PRIVATE_KEY_JWT | {"private_key": None, "private_key_file": "/k"},
            "Client ID, Private key file, Key ID, Assertion audience and Client authentication",
        ),
        (
            PRIVATE_KEY_JWT | {"private_key": None, "assertion_file": "/a"},
            "Client ID, Assertion file and Client authentication",
        ),
        (
            {"client_auth": "client_secret_jwt", "client_secret": "x" * 32},
            "Client ID, Client secret, Signing algorithm, Assertion audience and Client authentication",
        ),
        (TOKEN_EXCHANGE, "Client ID, Client secret and Client authentication"),
    ],
)
def test_the_advice_about_a_refused_client_names_the_fields_of_its_method(
    settings: dict[str, Any], fields: str
) -> None:
    method = settings.get("client_auth", "client_secret_basic")

    assert advice(refused(settings, 401, {"error": "invalid_client"})) == f"Check {fields} ({method})."


def test_a_refused_subject_token_may_be_an_invalid_grant() -> None:
    error = refused(TOKEN_EXCHANGE, 400, {"error": "invalid_grant"})

    assert type(error) is InvalidGrant
    assert advice(error) == (
        "The server refused the token in Subject token file: it may be expired, or issued for another audience. Check "
        "the file, Subject token type, Audience and Resource."
    )


def test_a_refused_subject_token_may_be_an_invalid_request() -> None:
    error = refused(TOKEN_EXCHANGE, 400, {"error": "invalid_request"})  # RFC 8693 section 2.2.2

    assert type(error) is InvalidRequest
    assert advice(error) == (
        "The server may have refused the token in Subject token file. Check the file, Subject token type, Audience, "
        "Resource and Token request parameters."
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            JWT_BEARER,
            "The response does not show whether the client or the assertion was rejected. Check Client ID and Client "
            "authentication. Also check Assertion issuer, Assertion subject, Private key, Key ID and Assertion "
            "audience.",
        ),
        (
            TOKEN_EXCHANGE,
            "The response does not show whether the client or the subject token was rejected. Check Client ID, Client "
            "secret and Client authentication. Also check Subject token file and Subject token type.",
        ),
    ],
)
def test_an_unrecognized_refusal_claims_only_what_is_known(settings: dict[str, Any], expected: str) -> None:
    error = refused(settings, 403, {})

    assert type(error) is UnrecognizedRefusal
    assert advice(error) == expected
