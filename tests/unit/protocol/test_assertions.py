"""Header, claims and signature of each assertion, verified with PyJWT."""

from __future__ import annotations

import base64
import hmac
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.assertions import MAX_MASKED, masked_until
from airflow_provider_oauth.protocol.credentials import Credentials, load_credentials
from airflow_provider_oauth.protocol.signing_keys import SigningKey
from airflow_provider_oauth.protocol.token_requests import (
    TokenRequest,
    code_request,
    grant_request,
    refresh_request,
    revocation_request,
)
from tests.connections import TOKEN_URL, oauth_config
from tests.fake_clock import START
from tests.keys import certificate_pem, ec_key, ed25519_key, pem, rsa_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.config import OAuthConfig

ISSUER = "https://login.example.com"
SECRET = "fake-secret-" + "x" * 60
NOW = int(START.timestamp())
CLIENT_CLAIMS = {"iss": "app", "sub": "app", "aud": TOKEN_URL, "jti": "id-1", "iat": NOW - 30, "nbf": NOW - 30}
CLIENT_CLAIMS["exp"] = NOW + 240
GRANT_CLAIMS = {"iss": "app", "aud": TOKEN_URL, "jti": "id-1", "iat": NOW - 5, "exp": NOW + 45}
KEYS: dict[str, Any] = {
    **dict.fromkeys(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], rsa_key()),
    **{name: ec_key(name) for name in ("ES256", "ES384", "ES512")},
    "EdDSA": ed25519_key(),
}


def config(key: Any = None, **changes: Any) -> OAuthConfig:
    """Return a connection that signs with a private key."""
    values: dict[str, Any] = {"client_auth": "private_key_jwt", "client_secret": None}
    return oauth_config(**{**values, "private_key": pem(key or ec_key()), **changes})


def jwt_bearer(**changes: Any) -> OAuthConfig:
    """Return a connection with the JWT bearer grant and no client authentication."""
    return config(**{"grant_type": "jwt_bearer", "client_auth": "none", **changes})


def credentials(settings: OAuthConfig) -> Credentials:
    return Credentials(signing_key=load_credentials(settings).signing_key, new_jwt_id=lambda: "id-1")


def grant(settings: OAuthConfig, scope: str | None = None) -> TokenRequest:
    return grant_request(settings, scope, now=START, credentials=credentials(settings))


def fields_of(request: TokenRequest) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))


def assertion_of(request: TokenRequest, name: str = "client_assertion") -> str:
    return fields_of(request)[name]


def claims_of(request: TokenRequest, name: str = "client_assertion") -> dict[str, Any]:
    return jwt.decode(assertion_of(request, name), options={"verify_signature": False})


def verified(assertion: str, key: Any, algorithm: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a JWT, after verifying its signature."""
    options: Any = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
    found = jwt.decode_complete(assertion, key, algorithms=[algorithm], options=options)
    return found["header"], found["payload"]


# --- client assertions


@pytest.mark.parametrize("algorithm", KEYS)
def test_private_key_jwt_signs_these_claims_with_every_algorithm(algorithm: str) -> None:
    key = KEYS[algorithm]
    request = grant(config(key, signing_algorithm=algorithm))

    header, claims = verified(assertion_of(request), key.public_key(), algorithm)

    assert header == {"typ": "JWT", "alg": algorithm}
    assert claims == CLIENT_CLAIMS


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(rsa_key(), "RS256"), (ec_key("ES256"), "ES256"), (ec_key("ES512"), "ES512"), (ed25519_key(), "EdDSA")],
)
def test_without_a_signing_algorithm_the_usual_one_of_the_key_is_used(key: Any, algorithm: str) -> None:
    header, _ = verified(assertion_of(grant(config(key))), key.public_key(), algorithm)

    assert header["alg"] == algorithm


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_client_secret_jwt_signs_these_claims_with_the_secret_which_is_not_sent(algorithm: str) -> None:
    settings = oauth_config(client_auth="client_secret_jwt", client_secret=SECRET, signing_algorithm=algorithm)
    request = grant(settings)

    header, claims = verified(assertion_of(request), SECRET, algorithm)

    assert header == {"typ": "JWT", "alg": algorithm}
    assert claims == CLIENT_CLAIMS
    assert "client_secret" not in fields_of(request)
    assert "Authorization" not in request.headers


def test_client_secret_jwt_uses_hs256_if_no_algorithm_is_set() -> None:
    request = grant(oauth_config(client_auth="client_secret_jwt", client_secret=SECRET))

    assert verified(assertion_of(request), SECRET, "HS256")[0]["alg"] == "HS256"


PAYLOAD = (
    b'{"iss":"app","sub":"app","aud":"https://login.example.com/token","jti":"id-1",'
    b'"iat":1767225570,"nbf":1767225570,"exp":1767225840}'
)


def exact_body(header: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the body of a token request, without the code under test and PyJWT. The signature is deterministic."""
    encoded = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, PAYLOAD)]
    signature = base64.urlsafe_b64encode(sign(b".".join(encoded))).rstrip(b"=")
    return (
        b"grant_type=client_credentials&scope=read&client_id=app"
        b"&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        b"&client_assertion=" + b".".join([*encoded, signature])
    )


def test_client_secret_jwt_sends_exactly_this_body() -> None:
    request = grant(oauth_config(client_auth="client_secret_jwt", client_secret=SECRET, scope="read"))

    assert request.body == exact_body(
        b'{"alg":"HS256","typ":"JWT"}', lambda text: hmac.digest(SECRET.encode(), text, "sha256")
    )


def test_private_key_jwt_sends_exactly_this_body() -> None:
    request = grant(config(rsa_key(), key_id="key-1", scope="read"))

    assert request.body == exact_body(
        b'{"alg":"RS256","kid":"key-1","typ":"JWT"}',
        lambda text: rsa_key().sign(text, padding.PKCS1v15(), hashes.SHA256()),
    )


def test_key_id_and_certificate_identify_the_key_in_the_header() -> None:
    settings = config(rsa_key(), key_id="key-1", certificate=certificate_pem(rsa_key()))

    header, _ = verified(assertion_of(grant(settings)), rsa_key().public_key(), "RS256")

    assert set(header) == {"typ", "alg", "kid", "x5t", "x5t#S256"}
    assert header["kid"] == "key-1"


@pytest.mark.parametrize(
    ("changes", "audience"),
    [
        ({}, TOKEN_URL),
        ({"issuer": ISSUER}, ISSUER),
        ({"issuer": ISSUER, "assertion_audience": "https://aud.example.com"}, "https://aud.example.com"),
        ({"assertion_claims": {"aud": [ISSUER, TOKEN_URL]}}, [ISSUER, TOKEN_URL]),
    ],
)
def test_every_request_has_the_same_audience(changes: dict[str, Any], audience: Any) -> None:
    settings = config(refresh_url=f"{ISSUER}/refresh", revoke_url=f"{ISSUER}/revoke", **changes)
    known = credentials(settings)
    requests = [
        grant_request(settings, now=START, credentials=known),
        refresh_request(settings, "fake-refresh", now=START, credentials=known),
        code_request(settings, "fake-code", f"{ISSUER}/back", "fake-verifier", now=START, credentials=known),
        revocation_request(settings, "fake-refresh", "refresh_token", now=START, credentials=known),
    ]

    assert [claims_of(each)["aud"] for each in requests] == [audience] * 4
    assert [fields_of(each)["client_id"] for each in requests] == ["app"] * 4


def test_assertion_claims_are_added() -> None:
    request = grant(config(assertion_claims={"scope": ["rest_webservices"], "n": 1}))

    assert claims_of(request) == {**CLIENT_CLAIMS, "scope": ["rest_webservices"], "n": 1}


@pytest.mark.parametrize("skew", [-25, 0, 25, 200])
def test_a_server_whose_clock_differs_accepts_a_client_assertion(skew: int) -> None:
    """``skew`` is how far the server's clock is ahead, in seconds."""
    claims = claims_of(grant(config()))

    assert claims["iat"] <= NOW + skew < claims["exp"]
    assert claims["nbf"] <= NOW + skew
    assert claims["exp"] - claims["iat"] <= 300


@pytest.mark.parametrize("skew", [-5, 0, 44])
def test_a_server_whose_clock_differs_accepts_the_assertion_of_a_grant(skew: int) -> None:
    claims = claims_of(grant(jwt_bearer()), "assertion")

    assert claims["iat"] <= NOW + skew < claims["exp"]
    assert claims["exp"] - claims["iat"] < 60  # the maximum of Box
    assert NOW - claims["iat"] < 10  # the maximum of Maskinporten
    assert claims["exp"] < NOW + 60


# --- JWT bearer grant


@pytest.mark.parametrize("client_auth", ["private_key_jwt", "client_secret_jwt"])
def test_the_scope_of_a_call_replaces_the_scope_in_the_claims(client_auth: str) -> None:
    """NetSuite reads only the claim, so the token would be used for a scope that it does not have."""
    fields = {"client_auth": client_auth, "client_secret": SECRET, "assertion_claims": {"scope": "a", "n": 1}}
    request = grant(config(**fields), scope="b c")

    assert claims_of(request) == {**CLIENT_CLAIMS, "scope": "b c", "n": 1}
    assert "scope" not in fields_of(request)


def test_the_scope_of_a_call_is_a_parameter_if_the_assertion_is_from_a_file() -> None:
    settings = oauth_config(
        client_auth="private_key_jwt", client_secret=None, assertion_file="/files/a", assertion_claims={"scope": "a"}
    )
    request = grant_request(settings, "b", now=START, credentials=Credentials(assertion="fake-assertion"))

    assert fields_of(request)["scope"] == "b"


def test_the_jwt_bearer_grant_sends_an_assertion_and_the_scope() -> None:
    request = grant(jwt_bearer(private_key=pem(rsa_key()), client_id=None, assertion_issuer="app", scope="a b"))
    header, claims = verified(assertion_of(request, "assertion"), rsa_key().public_key(), "RS256")

    assert header == {"typ": "JWT", "alg": "RS256"}
    assert claims == GRANT_CLAIMS
    assert list(fields_of(request)) == ["grant_type", "assertion", "scope"]
    assert fields_of(request)["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert fields_of(request)["scope"] == "a b"
    assert request.grant_type == "jwt_bearer"


@pytest.mark.parametrize(
    ("changes", "claims"),
    [
        ({"assertion_issuer": "service"}, {**GRANT_CLAIMS, "iss": "service"}),
        ({"assertion_subject": "user"}, {**GRANT_CLAIMS, "sub": "user"}),
        ({"assertion_audience": "account.example.com"}, {**GRANT_CLAIMS, "aud": "account.example.com"}),
        ({"issuer": ISSUER}, GRANT_CLAIMS),
        ({"assertion_claims": {"box_sub_type": "enterprise"}}, {**GRANT_CLAIMS, "box_sub_type": "enterprise"}),
        (
            {"assertion_claims": {"scope": "signature impersonation"}},
            {**GRANT_CLAIMS, "scope": "signature impersonation"},
        ),
    ],
)
def test_the_fields_of_the_connection_determine_the_claims(changes: dict[str, Any], claims: dict[str, Any]) -> None:
    assert claims_of(grant(jwt_bearer(**changes)), "assertion") == claims


def test_the_assertion_of_a_google_service_account_has_its_address_and_the_scope() -> None:
    settings = jwt_bearer(client_id=None, assertion_subject="user@example.com")
    key = SigningKey(algorithm="RS256", key=rsa_key(), key_id="g-1", issuer="a@project.example.com")
    known = Credentials(signing_key=key, new_jwt_id=lambda: "id-1")

    request = grant_request(settings, "read write", now=START, credentials=known)

    header, claims = verified(assertion_of(request, "assertion"), rsa_key().public_key(), "RS256")
    assert header == {"typ": "JWT", "alg": "RS256", "kid": "g-1"}
    assert claims == {
        **GRANT_CLAIMS,
        "iss": "a@project.example.com",
        "sub": "user@example.com",
        "scope": "read write",
    }
    assert list(fields_of(request)) == ["grant_type", "assertion"]


@pytest.mark.parametrize(("scope", "claim"), [(None, "signature impersonation"), ("read  write", "read write")])
def test_the_scope_of_a_call_replaces_the_scope_in_the_assertion_claims(scope: str | None, claim: str) -> None:
    request = grant(jwt_bearer(assertion_claims={"scope": "signature impersonation"}), scope)

    assert claims_of(request, "assertion") == {**GRANT_CLAIMS, "scope": claim}
    assert "scope" not in fields_of(request)


def test_the_jwt_bearer_grant_requires_an_issuer() -> None:
    with pytest.raises(ConfigurationError, match=r"'shop': Assertion issuer \(assertion_issuer\) is missing, but the "):
        grant(jwt_bearer(client_id=None))


def test_the_jwt_bearer_grant_and_private_key_jwt_each_send_an_assertion() -> None:
    request = grant(jwt_bearer(client_auth="private_key_jwt"))

    assert claims_of(request, "assertion") == GRANT_CLAIMS
    assert claims_of(request) == CLIENT_CLAIMS


def test_the_jwt_bearer_grant_signs_with_the_private_key_and_client_secret_jwt_with_the_secret() -> None:
    settings = jwt_bearer(client_auth="client_secret_jwt", client_secret=SECRET, signing_algorithm="ES256")
    request = grant(settings)

    verified(assertion_of(request, "assertion"), ec_key().public_key(), "ES256")
    verified(assertion_of(request), SECRET, "HS256")


def test_a_refresh_of_a_jwt_bearer_connection_sends_no_assertion() -> None:
    settings = jwt_bearer(use_refresh=True)

    request = refresh_request(settings, "fake-refresh", now=START, credentials=credentials(settings))

    assert request.body == b"grant_type=refresh_token&refresh_token=fake-refresh&client_id=app"


# --- token exchange, tokens from files


def test_the_token_exchange_sends_the_subject_token() -> None:
    settings = oauth_config(
        grant_type="token_exchange",
        subject_token_file="/tokens/a",
        client_auth="none",
        scope="read",
        audience="aud",
        resource="urn:res",
        grant_params={"requested_token_type": "urn:ietf:params:oauth:token-type:access_token"},
    )

    request = grant_request(settings, now=START, credentials=Credentials(subject_token="fake.subject.token"))

    assert request.body == (
        b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=fake.subject.token"
        b"&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&scope=read&audience=aud"
        b"&resource=urn%3Ares&client_id=app"
        b"&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
    )
    assert request.grant_type == "token_exchange"
    assert request.assertions == ("fake.subject.token",)


def test_private_key_jwt_sends_the_assertion_of_a_file_unchanged() -> None:
    settings = oauth_config(client_auth="private_key_jwt", client_secret=None, assertion_file="/tokens/a")

    request = grant_request(settings, now=START, credentials=Credentials(assertion="fake.client.assertion"))

    assert request.body == (
        b"grant_type=client_credentials&client_id=app"
        b"&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        b"&client_assertion=fake.client.assertion"
    )


def test_the_jwt_bearer_grant_sends_the_assertion_of_a_file_unchanged() -> None:
    settings = oauth_config(grant_type="jwt_bearer", assertion_file="/tokens/a", scope="read")

    request = grant_request(settings, now=START, credentials=Credentials(assertion="fake.grant.assertion"))

    assert request.body == (
        b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=fake.grant.assertion&scope=read"
    )
    assert request.headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    "settings",
    [
        {"client_auth": "private_key_jwt"},
        {"grant_type": "jwt_bearer", "client_auth": "none"},
        {"grant_type": "token_exchange", "subject_token_file": "/tokens/a", "client_auth": "none"},
    ],
)
def test_a_request_is_not_sent_without_the_credentials_that_it_needs(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="^$"):
        grant_request(oauth_config(private_key=pem(ec_key()), **settings), now=START)


# --- secrets


@pytest.mark.parametrize("name", ["client_assertion", "assertion"])
def test_an_assertion_and_its_parts_are_secrets_of_the_request(name: str) -> None:
    request = grant(jwt_bearer(client_auth="private_key_jwt"))
    assertion = assertion_of(request, name)

    assert assertion in request.assertions
    assert {assertion, *assertion.split(".")} <= set(request.secrets)
    assert assertion.split(".")[1] not in repr(request)


def test_a_short_part_of_a_token_is_not_a_secret_because_errors_would_become_unreadable() -> None:
    settings = oauth_config(grant_type="token_exchange", subject_token_file="/tokens/a", client_auth="none")

    request = grant_request(settings, now=START, credentials=Credentials(subject_token="v1.fake-opaque-token-value"))

    assert "v1" not in request.secrets
    assert "fake-opaque-token-value" in request.secrets


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"exp": NOW + 240}, START + timedelta(seconds=240)),
        ({"exp": NOW - 10}, START - timedelta(seconds=10)),
        ({"exp": NOW + 10**7}, START + MAX_MASKED),
        ({"exp": 10**20}, START + MAX_MASKED),
        ({"exp": "soon"}, START + MAX_MASKED),
        ({"exp": None}, START + MAX_MASKED),
        ({}, START + MAX_MASKED),
    ],
)
def test_a_token_is_masked_until_it_expires_but_not_longer_than_a_day(claims: dict[str, Any], expected: Any) -> None:
    assert masked_until(jwt.encode(claims, SECRET, "HS256"), START) == expected


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "", "a.b", "é"])
def test_a_token_that_is_not_a_jwt_is_masked_for_a_day(token: str) -> None:
    assert masked_until(token, START) == START + MAX_MASKED
