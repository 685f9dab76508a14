"""The sandbox accepts a client's signed JWT (RFC 7523) once, and refuses any other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from sandbox.server import Sandbox

SECRET = "fake-secret-of-at-least-32-characters"
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form).decode()


@pytest.fixture(autouse=True)
def _clients(sandbox: Sandbox) -> None:
    sandbox.state.add_client("standard", "signer", None, public_key=public_pem(KEY))
    sandbox.state.add_client("standard", "sharer", SECRET)


def signed(sandbox: Sandbox, client_id: str = "signer", key: Any = KEY, alg: str = "ES256", **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": f"{sandbox.url}/standard/token", "jti": "1", "iat": now}
    claims = {**claims, "exp": now + 240, **changes}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, alg)


def request_token(sandbox: Sandbox, assertion: str, **more: Any) -> requests.Response:
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    parameters = {"grant_type": "client_credentials", "client_assertion_type": kind, "client_assertion": assertion}
    return requests.post(f"{sandbox.url}/standard/token", data=parameters | more, timeout=10)


def assert_refused(response: requests.Response, text: str, status: int = 401, error: str = "invalid_client") -> None:
    assert (response.status_code, response.json()["error"]) == (status, error), response.text
    assert text in response.json()["error_description"]


def test_a_jwt_that_is_signed_with_the_private_key_is_accepted_once(sandbox: Sandbox) -> None:
    assertion = signed(sandbox)
    assert request_token(sandbox, assertion).json()["token_type"] == "Bearer"
    assert_refused(request_token(sandbox, assertion), "was used before")
    assert request_token(sandbox, signed(sandbox, jti="2"), client_id="signer").status_code == 200


def test_a_jwt_that_is_signed_with_the_client_secret_is_accepted(sandbox: Sandbox) -> None:
    assert request_token(sandbox, signed(sandbox, "sharer", SECRET, "HS256")).status_code == 200
    assert_refused(request_token(sandbox, signed(sandbox, "sharer", SECRET[::-1], "HS256", jti="2")), "not valid")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"key": OTHER_KEY}, "InvalidSignatureError"),
        ({"aud": "https://other.example.com"}, "InvalidAudienceError"),
        ({"iss": "somebody"}, "InvalidIssuerError"),
        ({"jti": None}, "MissingRequiredClaimError"),
        ({"iat": 1, "exp": 2}, "ExpiredSignatureError"),
        ({"exp": int(time.time()) + 3600}, "more than 300 s"),
        ({"client_id": "nobody"}, "Unknown client"),
        ({"client_id": "sharer"}, "not registered for private_key_jwt"),
    ],
)
def test_another_jwt_is_refused(sandbox: Sandbox, changes: dict[str, Any], text: str) -> None:
    assert_refused(request_token(sandbox, signed(sandbox, **changes)), text)


def test_a_jwt_of_another_client_than_client_id_is_refused(sandbox: Sandbox) -> None:
    response = request_token(sandbox, signed(sandbox), client_id="sharer")
    assert_refused(response, "not the client of the client_assertion", 400, "invalid_request")


def test_a_text_that_is_not_a_jwt_is_refused(sandbox: Sandbox) -> None:
    assert_refused(request_token(sandbox, "no-jwt"), "not a JWT")
