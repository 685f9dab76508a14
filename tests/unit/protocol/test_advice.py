"""Advice in errors of the authorization server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import ConsentDenied, TokenRequestError
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest, validate_callback
from airflow_provider_oauth.protocol.token_requests import revocation_request
from airflow_provider_oauth.protocol.token_responses import HttpResponse, parse_revocation_response
from tests.fake_clock import START
from tests.unit.protocol.test_refusals import GRANTS, config, refused

BACK = "https://airflow.example.com/oauth/callback"


def advice(grant: str, status: int, content: Any = None, **changes: Any) -> str:
    """Return the advice in the error for a refused token request."""
    return advice_in(str(refused(grant, status, content, **changes)))


def advice_in(text: str) -> str:
    """Return the part of an error text between its first sentence and the details."""
    return text.partition(". ")[2].partition(" (URL: ")[0].partition(" The server's message: ")[0]


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (
            "client_credentials",
            "Check Scope, Audience and Token request parameters, and ask the server's operator whether this client may "
            "use the client_credentials grant.",
        ),
        ("password", "Check User name and User password."),
        ("refresh_token", "The refresh token is invalid, expired, revoked or already used."),
        ("authorization_code", "The code is invalid, expired or already used. Authorize again."),
    ],
)
def test_advice_for_invalid_grant_depends_on_the_grant(grant: str, expected: str) -> None:
    assert advice(grant, 400, {"error": "invalid_grant"}) == expected


@pytest.mark.parametrize("grant", ["client_credentials", "password", "authorization_code"])
@pytest.mark.parametrize(
    ("status", "content"),
    [
        *[(400, {"error": code}) for code in ("invalid_grant", "invalid_request", "unauthorized_client", "odd")],
        *[(400, {"error": code}) for code in ("unsupported_grant_type", "invalid_client", "invalid_scope")],
        *[(status, {}) for status in (400, 401, 403, 404, 405, 415, 429, 500)],
    ],
)
def test_advice_mentions_no_refresh_token_if_none_was_sent(grant: str, status: int, content: dict[str, str]) -> None:
    assert "refresh" not in advice(grant, status, content)


@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize(
    "content",
    [
        {"error": "unauthorized_client"},
        # npm's oidc-provider, Auth0
        {"error": "invalid_request", "error_description": "requested grant type is not allowed for this client"},
        {"error": "odd", "error_description": "Grant type 'client_credentials' not allowed for the client."},
    ],
)
def test_advice_for_a_grant_that_is_not_allowed_names_the_grant(grant: str, content: dict[str, str]) -> None:
    text = advice(grant, 400, content)

    assert text.startswith(
        f"The server does not allow this client to use the {grant} grant. Ask its operator to allow it"
    )
    assert text.endswith(", or choose another Grant type." if grant != "refresh_token" else "allow it.")


@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("status", [200, 400])
def test_advice_for_invalid_target_names_resource_and_audience(grant: str, status: int) -> None:
    assert advice(grant, status, {"error": "invalid_target"}) == "Check Resource and Audience."


@pytest.mark.parametrize("code", ["use_dpop_nonce", "invalid_dpop_proof"])
def test_advice_for_required_dpop_names_the_unsupported_feature(code: str) -> None:
    assert advice("client_credentials", 400, {"error": code}).startswith("The server requires DPoP (RFC 9449), which")


@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("status", [404, 405])
def test_advice_for_a_url_without_endpoint_names_the_url_whatever_the_error_code(grant: str, status: int) -> None:
    content = {"error": "invalid_request", "error_description": "unrecognized route or not allowed method"}
    assert "Check Token URL." in advice(grant, status, content)


@pytest.mark.parametrize("code", ["invalid_grant", "invalid_request"])
@pytest.mark.parametrize(
    "words", ["PKCE is required", "Missing code verifier.", "code_verifier is missing", "PKCE verification failed"]
)
def test_advice_for_required_pkce_names_its_field(code: str, words: str) -> None:
    content = {"error": code, "error_description": words}

    assert advice("authorization_code", 400, content, skip_pkce=True) == (
        "The server requires PKCE. Turn off Skip PKCE (skip_pkce)."
    )


def test_advice_for_a_wrong_code_verifier_is_to_authorize_again() -> None:
    content = {"error": "invalid_grant", "error_description": "PKCE verification failed"}

    assert advice("authorization_code", 400, content) == (
        "The code is invalid, expired or already used. Authorize again."
    )


def test_advice_for_refused_pkce_names_its_field() -> None:
    content = {"error": "invalid_request", "error_description": "Unknown parameter code_verifier"}

    assert advice("authorization_code", 400, content) == (
        "If the server does not support PKCE, turn on Skip PKCE (skip_pkce)."
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, "Check Token URL."),
        (405, "This URL does not accept POST requests. Check Token URL."),
        (407, "A proxy requires authentication. Check proxies."),
        (415, "The server does not accept the format json. Choose another Token request body."),
        (429, "The server receives too many requests. Try again later."),
        (503, "The server is busy. Try again later."),
    ],
)
@pytest.mark.parametrize("grant", GRANTS)
def test_advice_for_a_status_names_the_field(grant: str, status: int, expected: str) -> None:
    assert advice(grant, status, {}, body_format="json") == expected


def test_advice_for_a_refused_refresh_names_refresh_url() -> None:
    assert "refused" in str(refused("refresh_token", 404, {}))
    text = advice("refresh_token", 405, {}, refresh_url="https://login.example.com/token")

    assert text == "This URL does not accept POST requests. Check Refresh URL."


def test_advice_for_a_public_client_does_not_mention_its_client_secret() -> None:
    public: dict[str, Any] = {"client_auth": "none", "client_secret": None}

    assert advice("password", 400, {"error": "invalid_client"}, **public) == (
        "Check Client ID. If the client has a secret, enter it and set Client authentication."
    )
    for grant in GRANTS:
        for status in (400, 401, 403):
            assert "Check Client ID, Client secret" not in advice(grant, status, {}, **public)
    assert "Check Client ID and Client authentication." in advice("refresh_token", 403, {}, **public)


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        ("client_credentials", "Check Client ID, Client secret and Client authentication. Also check Scope."),
        (
            "password",
            "The response does not show whether the client or the user was rejected. Check Client ID, Client secret "
            "and Client authentication. Also check User name and User password.",
        ),
        (
            "refresh_token",
            "The response does not show whether the client or the refresh token was rejected. Check Client ID, Client "
            "secret and Client authentication. If they are correct, the refresh token is probably invalid.",
        ),
        (
            "authorization_code",
            "The response does not show whether the client or the code was rejected. Check Client ID, Client secret "
            "and Client authentication, and authorize again.",
        ),
    ],
)
def test_advice_for_an_unrecognized_refusal_claims_only_what_is_known(grant: str, expected: str) -> None:
    assert advice(grant, 403, {}) == expected


def test_advice_for_a_401_in_the_password_grant_claims_only_what_is_known() -> None:
    assert advice("password", 401, {}) == (
        "The response does not show which credentials were rejected. Check User name and User password. Also check "
        "Client ID, Client secret and Client authentication. If they are correct, check Token URL, because the "
        "response has no OAuth error code."
    )
    assert advice("password", 401, {"error": "invalid_grant"}) == "Check User name and User password."
    # sent by league/oauth2-server
    content = {"error": "invalid_request", "message": "The password is wrong."}
    assert advice("password", 401, content) == "Check User name and User password."


@pytest.mark.parametrize("client_auth", ["client_secret_basic", "none"])
def test_advice_for_a_401_without_an_error_code_also_names_the_url(client_auth: str) -> None:
    public: dict[str, Any] = {"client_auth": "none", "client_secret": None} if client_auth == "none" else {}
    with_code = advice("client_credentials", 401, {"error": "invalid_client"}, **public)

    assert "Token URL" not in with_code
    assert advice("client_credentials", 401, {"message": "No token"}, **public) == (
        f"{with_code} If they are correct, check Token URL, because the response has no OAuth error code."
    )


# --- the authorization endpoint


def denied(error: str, words: str = "", **changes: Any) -> str:
    settings = config(grant_type="authorization_code", **changes)
    consent = AuthorizationRequest(conn_id="shop", redirect_uri=BACK, state="s", code_verifier="v")
    with pytest.raises(ConsentDenied) as raised:
        validate_callback(settings, consent, f"{BACK}?state=s&error={error}&error_description={words}")
    text = str(raised.value).partition("). ")[2]
    return text.partition(" The server's message: ")[0]


@pytest.mark.parametrize("words", ["Pushed Authorization Request must be used", "PAR is required for this client"])
def test_advice_for_required_par_names_its_field(words: str) -> None:
    assert denied("invalid_request", words) == (
        "The server requires pushed authorization requests (PAR, RFC 9126). Set Pushed authorization request URL "
        "(par_url)."
    )
    assert denied("invalid_request", words, par_url="https://auth.test/par") == (
        "Check Client ID, Scope and the redirect URI."
    )


@pytest.mark.parametrize(
    "words",
    [
        "Authorization Server policy requires PKCE to be used for this request",  # npm's oidc-provider
        "Missing parameter: code_challenge_method",  # Keycloak
        "Code challenge required.",  # django-oauth-toolkit
    ],
)
def test_advice_for_pkce_errors_of_the_authorization_endpoint_names_its_field(words: str) -> None:
    assert denied("invalid_request", words, skip_pkce=True) == (
        "The server requires PKCE. Turn off Skip PKCE (skip_pkce)."
    )
    assert denied("invalid_request", words) == "If the server does not support PKCE, turn on Skip PKCE (skip_pkce)."


@pytest.mark.parametrize("name", ["authorization_code", "requested response_type"])
def test_advice_for_a_client_without_the_authorization_code_grant_names_the_grant(name: str) -> None:
    assert denied("invalid_request", f"{name} is not allowed for this client") == (
        "Ask the server's operator to allow this client to use the authorization_code grant."
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("invalid_request", "Check Client ID, Scope and the redirect URI."),
        ("invalid_scope", "Check Scope."),
        ("invalid_target", "Check Resource and Audience."),
        ("odd", "Check Client ID, Scope and the redirect URI."),
    ],
)
def test_advice_for_errors_of_the_authorization_endpoint_depends_on_the_error_code(error: str, expected: str) -> None:
    assert denied(error) == expected


# --- the revocation endpoint


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (404, {}, "Check Revocation URL."),
        (405, {}, "This URL does not accept POST requests. Check Revocation URL."),
        (415, {}, "This URL does not accept form-encoded requests, which the RFCs require. Check Revocation URL."),
        (400, {"error": "invalid_request"}, "Check Revocation URL and Client authentication."),
        (400, {"error": "unauthorized_client"}, "Check Revocation URL and Client authentication."),
    ],
)
def test_advice_for_a_refused_revocation_names_its_field(status: int, content: dict[str, str], expected: str) -> None:
    settings = config(body_format="json")
    request = revocation_request(settings, "fake-refresh", "refresh_token", now=START)
    response = HttpResponse(status_code=status, headers={}, body=json.dumps(content).encode(), sent_at=START)

    with pytest.raises(TokenRequestError) as raised:
        parse_revocation_response(settings, request, response)

    assert advice_in(str(raised.value)) == expected
