from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers
from cryptography.hazmat.primitives.serialization import Encoding

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.signing_keys import key_materials, secret_key, signing_key
from tests.connections import oauth_config
from tests.keys import (
    PASSPHRASE,
    armored,
    certificate,
    certificate_pem,
    ec_key,
    ed448_key,
    ed25519_key,
    element,
    integer,
    jwk,
    material,
    pem,
    public_pem,
    rsa_key,
    sequence,
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


@pytest.mark.parametrize(
    ("algorithm", "signing_algorithm", "usable"),
    [
        ("RS256", "ES256", "RS256, RS384, RS512, PS256, PS384, PS512"),
        ("RS256", "EdDSA", "RS256, RS384, RS512, PS256, PS384, PS512"),
        ("RS256", "HS256", "RS256, RS384, RS512, PS256, PS384, PS512"),
        ("ES256", "ES384", "ES256"),
        ("ES384", "ES256", "ES384"),
        ("ES512", "RS512", "ES512"),
        ("EdDSA", "ES256", "EdDSA"),
    ],
)
def test_an_algorithm_that_does_not_fit_the_key_is_an_error(
    algorithm: str, signing_algorithm: str, usable: str
) -> None:
    assert error(private_key=pem(KEYS[algorithm]()), signing_algorithm=signing_algorithm) == (
        f"Connection 'shop': Signing algorithm (signing_algorithm) is {signing_algorithm}, which does not fit the key "
        f"in Private key (private_key). Use {usable}, or another key."
    )


def test_the_algorithm_of_a_jwk_must_fit_its_key() -> None:
    text = json.dumps(jwk(ec_key(), alg="ES384"))
    assert error(private_key=text) == (
        "Connection 'shop': Private key (private_key) has a JWK whose member alg does not fit the key. Use ES256, or "
        "remove alg."
    )
    assert signing_key(oauth_config(private_key=text, signing_algorithm="ES256")).algorithm == "ES256"


def test_the_key_id_chooses_a_key_of_a_jwk_set(tmp_path: Path) -> None:
    keys = [jwk(rsa_key(), kid="1"), jwk(ec_key(), kid="2"), jwk(ed25519_key())]
    text = json.dumps({"keys": keys})
    assert signing_key(oauth_config(private_key=text)).algorithm == "RS256"
    assert signing_key(oauth_config(private_key=text, key_id="2")).algorithm == "ES256"
    assert error(private_key=text, key_id="3") == (
        "Connection 'shop': Key ID (key_id) is not the kid of a private key in the JWK set. Correct it, or remove it."
    )
    (tmp_path / "keys.json").write_text(text)
    config = oauth_config(private_key_file=str(tmp_path / "keys.json"), file_folder=str(tmp_path), key_id="2")
    assert key_materials(config) == [material(ec_key()), material(rsa_key()), material(ed25519_key())]


def test_the_key_id_is_sent_if_the_keys_have_none() -> None:
    """PEM has no IDs, so the first key signs."""
    for text in (
        pem(ec_key()) + pem(rsa_key()),
        json.dumps({"keys": [jwk(ec_key()), jwk(rsa_key())]}),
        json.dumps(jwk(ec_key(), kid="own")),
    ):
        key = signing_key(oauth_config(private_key=text, key_id="mine"))
        assert (key.algorithm, key.headers) == ("ES256", {"kid": "mine"})


def test_the_thumbprint_is_that_of_the_keys_certificate_in_a_chain() -> None:
    own, other = certificate_pem(rsa_key()), certificate_pem(ec_key())
    expected = signing_key(oauth_config(private_key=pem(rsa_key()), certificate=own)).headers
    assert len(expected) == 2
    for chain in (own + other, other + own, own.replace("\n", " "), own.replace("\n", "\\n"), pem(ec_key()) + own):
        assert signing_key(oauth_config(private_key=pem(rsa_key()), certificate=chain)).headers == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("abc", "contains no certificate in PEM. It begins with -----BEGIN CERTIFICATE-----"),
        (pem(rsa_key()), "contains no certificate in PEM. It begins with -----BEGIN CERTIFICATE-----"),
        (
            "-----BEGIN CERTIFICATE-----AAAA-----END CERTIFICATE-----",
            "has a certificate that is damaged or incomplete. Copy the whole certificate again",
        ),
    ],
)
def test_an_invalid_certificate_is_an_error(text: str, problem: str) -> None:
    assert error(private_key=pem(rsa_key()), certificate=text) == (
        f"Connection 'shop': Certificate (certificate) {problem}."
    )


def test_a_wrong_passphrase_is_an_error_about_its_field() -> None:
    assert error(private_key=pem(rsa_key(), PASSPHRASE), private_key_passphrase="wrong") == (
        "Connection 'shop': Private key passphrase (private_key_passphrase) does not decrypt the private key. Check "
        "the passphrase, and that the key is complete."
    )


def test_an_error_names_the_field_with_the_key(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(public_pem(rsa_key()))
    assert error(private_key_file=str(path), file_folder=str(tmp_path)).startswith(
        "Connection 'shop': Private key file (private_key_file) contains no private key, but for example a public key"
    )
    assert error(private_key="a" * 70_000) == (
        "Connection 'shop': Private key (private_key) is longer than 64 kB. Enter only the private key."
    )


@pytest.mark.parametrize("secret", [public_pem(rsa_key()), pem(ec_key()), "ssh-rsa " + "A" * 60])
def test_a_key_is_no_client_secret(secret: str) -> None:
    """With a public key as the secret, everyone could sign for the client."""
    with pytest.raises(ConfigurationError) as caught:
        secret_key(oauth_config(client_secret=secret))
    assert str(caught.value) == (
        "Connection 'shop': Client secret (password) is a key or a certificate, not a client secret. Enter the secret "
        "that the vendor issued, or enter a private key in Private key and set Client authentication (client_auth) to "
        "private_key_jwt."
    )


def test_client_secret_jwt_needs_an_algorithm_for_secrets() -> None:
    with pytest.raises(ConfigurationError) as caught:
        secret_key(oauth_config(client_secret="a" * 64, signing_algorithm="RS256"))
    assert str(caught.value) == (
        "Connection 'shop': Signing algorithm (signing_algorithm) is RS256, which needs a private key, but "
        "client_secret_jwt signs with the client secret. Use HS256, HS384, HS512, or set Client authentication "
        "(client_auth) to private_key_jwt."
    )


def test_the_signing_algorithm_is_for_the_key_that_it_fits() -> None:
    """With client_secret_jwt and the JWT bearer grant, the secret and the private key both sign."""
    fields: dict[str, Any] = {
        "client_auth": "client_secret_jwt",
        "client_secret": "a" * 64,
        "grant_type": "jwt_bearer",
        "private_key": pem(rsa_key()),
    }
    for algorithm, expected in (
        ("HS512", ("HS512", "RS256")),
        ("PS256", ("HS256", "PS256")),
        (None, ("HS256", "RS256")),
    ):
        config = oauth_config(**fields, signing_algorithm=algorithm)
        assert (secret_key(config).algorithm, signing_key(config).algorithm) == expected


def test_a_key_is_not_in_its_repr() -> None:
    for key in (
        signing_key(oauth_config(private_key=json.dumps(jwk(ec_key())))),
        secret_key(oauth_config(client_secret="fake-secret" * 6)),
    ):
        assert "key=" not in repr(key)
        assert "fake-secret" not in repr(key)


def test_an_rsa_key_whose_numbers_do_not_fit_together_signs_nothing() -> None:
    numbers = rsa_key().private_numbers()
    wrong = RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d + 2, numbers.dmp1, numbers.dmq1, numbers.iqmp, numbers.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)

    with pytest.raises(ConfigurationError, match="has a private key that is damaged or incomplete"):
        signing_key(oauth_config(private_key=pem(wrong)))


def test_an_rsassa_pss_key_signs_with_ps256() -> None:
    # PKCS #8 with another name of the algorithm; its parameters, which are NULL, are left out.
    pkcs1 = base64.b64decode("".join(pem(rsa_key(), legacy=True).splitlines()[1:-1]))
    name = sequence(element(6, bytes.fromhex("2a864886f70d01010a")))
    text = armored("PRIVATE KEY", sequence(integer(0), name, element(4, pkcs1)))
    assert verified_algorithm(private_key=text) == "PS256"
    assert verified_algorithm(private_key=text, signing_algorithm="PS512") == "PS512"
    assert verified_algorithm(private_key=text + pem(ec_key())) == "PS256"
    assert verified_algorithm(private_key=pem(ec_key()) + text) == "ES256"
