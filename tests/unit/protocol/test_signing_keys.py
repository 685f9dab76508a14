from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.signing_keys import key_materials, secret_key, signing_key
from tests.connections import oauth_config
from tests.keys import (
    certificate,
    certificate_pem,
    ec_key,
    ed448_key,
    ed25519_key,
    jwk,
    material,
    pem,
    rsa_key,
)

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {
    "RS256": rsa_key,
    "ES256": lambda: ec_key("ES256"),
    "ES384": lambda: ec_key("ES384"),
    "ES512": lambda: ec_key("ES512"),
    "EdDSA": ed25519_key,
}
EACH_KEY = pytest.mark.parametrize("algorithm", KEYS)


def error(**fields: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        signing_key(oauth_config(**fields))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


def verified_algorithm(**fields: Any) -> str:
    """Sign a JWT with the key of a connection, and return its algorithm after the signature was verified."""
    key = signing_key(oauth_config(**fields))
    token = jwt.encode({"iss": "app"}, key.key, key.algorithm, headers=key.headers)
    assert jwt.decode(token, key.key.public_key(), [key.algorithm]) == {"iss": "app"}
    return str(jwt.get_unverified_header(token)["alg"])


@EACH_KEY
def test_a_key_in_pem_signs_with_the_usual_algorithm(algorithm: str) -> None:
    assert verified_algorithm(private_key=pem(KEYS[algorithm]())) == algorithm


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384", "ES512"])
def test_a_key_in_pkcs1_or_sec1_signs(algorithm: str) -> None:
    assert verified_algorithm(private_key=pem(KEYS[algorithm](), legacy=True)) == algorithm


def test_an_ed448_key_signs() -> None:
    assert verified_algorithm(private_key=pem(ed448_key())) == "EdDSA"


@EACH_KEY
def test_a_jwk_signs(algorithm: str) -> None:
    assert verified_algorithm(private_key=json.dumps(jwk(KEYS[algorithm]()))) == algorithm


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "PS384", "PS512"])
def test_the_signing_algorithm_can_be_chosen(algorithm: str) -> None:
    assert verified_algorithm(private_key=pem(rsa_key()), signing_algorithm=algorithm) == algorithm
    assert verified_algorithm(private_key=json.dumps(jwk(rsa_key(), alg=algorithm))) == algorithm


def test_the_field_takes_precedence_over_the_algorithm_and_the_id_of_a_jwk() -> None:
    text = json.dumps(jwk(rsa_key(), alg="PS256", kid="own"))
    key = signing_key(oauth_config(private_key=text, signing_algorithm="RS512", key_id="mine"))
    assert (key.algorithm, key.headers) == ("RS512", {"kid": "mine"})
    key = signing_key(oauth_config(private_key=text))
    assert (key.algorithm, key.headers) == ("PS256", {"kid": "own"})


def test_without_an_id_there_is_no_kid() -> None:
    assert signing_key(oauth_config(private_key=pem(rsa_key()))).headers == {}


def test_a_certificate_adds_its_thumbprints() -> None:
    key = signing_key(oauth_config(private_key=pem(rsa_key()), certificate=certificate_pem(rsa_key()), key_id="1"))
    der = certificate(rsa_key()).public_bytes(Encoding.DER)
    expected = {
        "kid": "1",
        "x5t": base64.urlsafe_b64encode(hashlib.sha1(der, usedforsecurity=False).digest()).rstrip(b"=").decode(),
        "x5t#S256": base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode(),
    }
    assert key.headers == expected


def test_a_certificate_of_another_key_is_an_error() -> None:
    assert error(private_key=pem(rsa_key()), certificate=certificate_pem(ec_key())) == (
        "Connection 'shop': Certificate (certificate) is not the certificate of the key in Private key (private_key). "
        "Use the certificate with its public key."
    )


def test_the_key_in_a_file_signs(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(pem(ec_key()) + pem(rsa_key()))
    config = oauth_config(private_key_file=str(path), file_folder=str(tmp_path))
    assert signing_key(config).algorithm == "ES256"
    assert key_materials(config) == [material(ec_key()), material(rsa_key())]
    path.write_text(pem(rsa_key()))
    assert signing_key(config).algorithm == "RS256"
    assert key_materials(config) == [material(rsa_key())]


def test_a_connection_without_a_key_is_an_error() -> None:
    assert error() == (
        "Connection 'shop': Private key (private_key) is missing. Enter the private key, or set Private key file "
        "(private_key_file)."
    )


@pytest.mark.parametrize(("algorithm", "length"), [(None, 32), ("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_client_secret_signs_if_it_is_long_enough(algorithm: str | None, length: int) -> None:
    config = oauth_config(client_secret="é" * (length // 2), signing_algorithm=algorithm)
    assert secret_key(config).algorithm == (algorithm or "HS256")
    assert secret_key(config).key == config.client_secret.encode()  # type: ignore[union-attr]
    with pytest.raises(ConfigurationError) as caught:
        secret_key(oauth_config(client_secret="a" * (length - 1), signing_algorithm=algorithm))
    assert str(caught.value) == (
        f"Connection 'shop': Client secret (password) has fewer than {length} bytes, which is too short to sign with "
        f"{algorithm or 'HS256'}. Use a longer secret, or another Client authentication (client_auth)."
    )
