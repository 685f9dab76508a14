"""The notations of private keys, and keys that cannot be used."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import pkcs12
from jwt.algorithms import OKPAlgorithm

from airflow_provider_oauth.protocol.key_parser import parse_private_keys
from airflow_provider_oauth.protocol.private_keys import InvalidKey, PrivateKey
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
    service_account,
)

FORMATS = {
    "PKCS #8": pem(rsa_key()),
    "PKCS #1": pem(rsa_key(), legacy=True),
    "SEC 1": pem(ec_key(), legacy=True),
    "Ed25519": pem(ed25519_key()),
    "Ed448": pem(ed448_key()),
    "encrypted PKCS #8": pem(rsa_key(), PASSPHRASE),
    "encrypted PKCS #1": pem(rsa_key(), PASSPHRASE, legacy=True),
    "encrypted SEC 1": pem(ec_key(), PASSPHRASE, legacy=True),
}
LOST_LINE_BREAKS = {
    "nothing": "",
    "spaces": " ",
    "two spaces": "  ",
    "CR LF": "\r\n",
    "CR": "\r",
    "literal LF": "\\n",
    "literal CR LF": "\\r\\n",
    "tabs": "\t",
}
EC_KEYS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


def keys(text: str | bytes, passphrase: str | None = None) -> list[PrivateKey]:
    return parse_private_keys(text if isinstance(text, bytes) else text.encode(), passphrase)


def materials(text: str | bytes, passphrase: str | None = None) -> list[bytes]:
    return [key.material for key in keys(text, passphrase)]


def problem(text: str | bytes | dict[str, Any], passphrase: str | None = None) -> str:
    """Return what is wrong with a private key; the name of another field comes first."""
    with pytest.raises(InvalidKey) as caught:
        keys(json.dumps(text) if isinstance(text, dict) else text, passphrase)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return f"{caught.value.field} {caught.value.problem}" if caught.value.field else caught.value.problem


@pytest.mark.parametrize("line_break", LOST_LINE_BREAKS)
@pytest.mark.parametrize("kind", FORMATS)
def test_pem_is_read_without_its_line_breaks(kind: str, line_break: str) -> None:
    text = FORMATS[kind]
    expected = materials(text, PASSPHRASE)
    assert len(expected) == 1
    assert materials(text.replace("\n", LOST_LINE_BREAKS[line_break]), PASSPHRASE) == expected


def test_the_notation_does_not_change_the_material() -> None:
    expected = [material(rsa_key())]
    assert (
        materials(FORMATS["PKCS #8"])
        == materials(FORMATS["PKCS #1"])
        == materials(json.dumps(jwk(rsa_key())))
        == expected
    )
    assert materials(FORMATS["encrypted PKCS #8"], PASSPHRASE) == expected
    assert materials(FORMATS["encrypted PKCS #1"], PASSPHRASE) == expected


def test_text_around_the_key_and_a_byte_order_mark_are_skipped() -> None:
    text = f"Bag Attributes\n    localKeyID: 01\n{certificate_pem(rsa_key())}\n# key\n{pem(rsa_key())}\n# end\n"
    assert materials(text) == [material(rsa_key())]
    assert materials(b"\xef\xbb\xbf" + pem(rsa_key()).encode()) == [material(rsa_key())]
    assert materials(b"\xef\xbb\xbf" + json.dumps(jwk(rsa_key())).encode()) == [material(rsa_key())]
    assert materials('"' + pem(rsa_key()).replace("\n", "\\n") + '"') == [material(rsa_key())]


def test_the_parameters_of_a_curve_before_an_ec_key_are_skipped() -> None:
    parameters = (
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"  # openssl ecparam -genkey
    )
    assert materials(parameters + pem(ec_key(), legacy=True)) == [material(ec_key())]


def test_a_pem_text_can_have_several_keys() -> None:
    text = pem(ec_key()) + certificate_pem(ec_key()) + pem(rsa_key(), PASSPHRASE) + pem(ed25519_key())
    assert materials(text, PASSPHRASE) == [material(ec_key()), material(rsa_key()), material(ed25519_key())]


def test_a_passphrase_that_is_not_needed_is_ignored() -> None:
    """It may be the one of the key in cert, or of the previous key in the file."""
    assert materials(pem(rsa_key()), PASSPHRASE) == [material(rsa_key())]
    assert materials(json.dumps(jwk(rsa_key())), PASSPHRASE) == [material(rsa_key())]


@pytest.mark.parametrize("kind", ["encrypted PKCS #8", "encrypted PKCS #1", "encrypted SEC 1"])
def test_an_encrypted_key_needs_its_passphrase(kind: str) -> None:
    missing = (
        "private_key_passphrase is missing, but the private key is encrypted. Enter the passphrase, or use a key that "
        "is not encrypted"
    )
    assert problem(FORMATS[kind]) == problem(FORMATS[kind], "") == missing
    wrong = (
        "private_key_passphrase does not decrypt the private key. Check the passphrase, and that the key is complete"
    )
    for passphrase in ("wrong", PASSPHRASE + " ", "é", "a" * 5000):
        assert problem(FORMATS[kind], passphrase) == wrong


def test_a_passphrase_may_have_any_characters() -> None:
    for passphrase in ("é €", " ", "a\0b"):
        assert materials(pem(rsa_key(), passphrase), passphrase) == [material(rsa_key())]


def test_a_google_service_account_is_read() -> None:
    (key,) = keys(json.dumps(service_account()))
    assert key.material == material(rsa_key())
    assert (key.key_id, key.issuer, key.algorithm) == ("fake-key-id", "reports@fake.iam.gserviceaccount.com", None)


@pytest.mark.parametrize("name", ["private_key", "private_key_id", "client_email"])
@pytest.mark.parametrize("value", [None, 1, [], "\ud800"])
def test_a_service_account_without_a_member_is_an_error(name: str, value: Any) -> None:
    text = f"is a Google service account without {name}. Download a new key, and use the whole file"
    if not (name == "private_key" and value == "\ud800"):
        assert problem(service_account(**{name: value})) == text


def test_the_keys_of_a_jwk_set_are_read_and_others_are_skipped() -> None:
    text = {
        "keys": [
            jwk(ec_key(), use="enc"),
            jwk(ec_key(), key_ops=["deriveKey"]),
            jwk(rsa_key(), alg="RSA-OAEP-256"),
            {"kty": "oct", "k": "c2VjcmV0"},
            {"kty": "OKP", "crv": "X25519", "x": "AAAA", "d": "AAAA"},
            {"kty": ["RSA"], "d": "AAAA"},
            {name: value for name, value in jwk(ec_key()).items() if name != "d"},
            jwk(rsa_key(), use="sig", kid="1", alg="PS512", key_ops=["sign"]),
            jwk(ed25519_key(), kid="2", alg="Ed25519"),
            jwk(ed448_key(), kid="3", alg="EdDSA"),
        ]
    }
    found = keys(json.dumps(text))
    assert [(key.key_id, key.algorithm) for key in found] == [("1", "PS512"), ("2", "EdDSA"), ("3", "EdDSA")]
    assert [key.material for key in found] == [material(each) for each in (rsa_key(), ed25519_key(), ed448_key())]


@pytest.mark.parametrize("curve", EC_KEYS)
def test_a_jwk_of_each_curve_is_read(curve: str) -> None:
    own = jwk(ec_key(EC_KEYS[curve]))
    assert own["crv"] == curve
    assert materials(json.dumps(own)) == [material(ec_key(EC_KEYS[curve]))]


CANNOT_SIGN = (
    "contains no private JWK that can sign. Use an RSA key, an EC key on curve P-256, P-384 or P-521, or an Ed25519 "
    "key, with the member d. Its members use, key_ops and alg must allow signing"
)


@pytest.mark.parametrize(
    "members",
    [
        {"d": None, "use": "enc"},
        {"use": "enc"},
        {"use": ["sig"]},
        {"alg": "RSA-OAEP"},
        {"alg": "HS256"},
        {"alg": 5},
        {"alg": ["RS256"]},
        {"alg": {}},
        {"key_ops": ["decrypt"]},
        {"key_ops": "sign"},
        {"key_ops": 1},
        {"kty": "oct"},
        {"kty": {}},
        {"kty": None},
        {"kty": "EC", "crv": "secp256k1"},
        {"kty": "EC", "crv": ["P-256"]},
        {"kty": "OKP", "crv": "X25519"},
    ],
)
def test_a_jwk_that_cannot_sign_is_an_error(members: dict[str, Any]) -> None:
    assert problem(jwk(rsa_key()) | members) == CANNOT_SIGN


def test_a_public_jwk_is_an_error() -> None:
    public = {name: value for name, value in jwk(rsa_key()).items() if name in ("kty", "n", "e")}
    assert problem(public) == problem({"keys": [public]}) == problem({"keys": []}) == CANNOT_SIGN


@pytest.mark.parametrize("name", ["n", "e", "d", "p", "q", "dp", "dq", "qi"])
@pytest.mark.parametrize("value", [None, 5, "", "not base64!", "é", "\ud800", ["AQAB"], {}, "A" * 2000, True])
def test_a_jwk_with_an_invalid_number_is_an_error(name: str, value: Any) -> None:
    text = f"has a JWK whose member {name} is missing or is not a number in base64url. Copy it again"
    assert problem(jwk(rsa_key()) | {name: value}) == text


@pytest.mark.parametrize("value", [5, None, ["1"], "\ud800"])
def test_a_jwk_whose_id_is_not_a_string_is_an_error(value: Any) -> None:
    assert problem(jwk(rsa_key(), kid=value)) == "has a JWK whose member kid is not a string. Write it in quotes"


def test_a_jwk_with_the_numbers_of_several_keys_is_an_error() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    text = "has a JWK that is not a valid private key. Copy the whole JWK again"
    assert problem(jwk(ec_key()) | {"d": jwk(other)["d"]}) == text
    assert problem(jwk(ec_key()) | {"crv": "P-384"}) == text
    assert problem(jwk(ed25519_key()) | {"x": jwk(ed25519_key())["d"]}) == text
    assert problem(jwk(rsa_key()) | {"d": "AQAB"}) == text
    assert problem(jwk(rsa_key()) | {"qi": "AQAB"}) == text


def test_the_public_key_of_a_jwk_is_compared_with_any_version_of_pyjwt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OKPAlgorithm, "from_jwk", lambda own: ed25519_key())  # as PyJWT 2.11, which ignores x
    assert materials(json.dumps(jwk(ed25519_key()))) == [material(ed25519_key())]
    changed = jwk(ed25519_key()) | {"x": jwk(ed25519_key())["d"]}
    assert problem(changed) == "has a JWK that is not a valid private key. Copy the whole JWK again"


@pytest.mark.parametrize("keys_member", [None, 1, "a", {}, [1], [None], [jwk(rsa_key()), []]])
def test_a_jwk_set_that_is_not_one_is_an_error(keys_member: Any) -> None:
    text = "is a JWK set whose member keys is not an array of JWKs. Copy the whole JWK set again"
    assert problem({"keys": keys_member}) == text


@pytest.mark.parametrize("value", [{}, {"type": "authorized_user"}, {"type": ["service_account"]}, {"d": "a"}])
def test_other_json_is_an_error(value: dict[str, Any]) -> None:
    assert problem(value) == (
        "is JSON, but not a JWK, a JWK set or a Google service account (type service_account). Use one of these, or a "
        "private key in PEM"
    )


@pytest.mark.parametrize("text", ["{", '{"kty": "RSA"', '{"a":' * 5000, '{"a": ' + "9" * 5000 + "}", "{} {}"])
def test_broken_json_is_an_error(text: str) -> None:
    assert problem(text) == "begins like JSON, but is not valid JSON. Copy the whole text again"


@pytest.mark.parametrize(
    "text", ["", " ", "key", "MIIEvQIBADANBgkq", "[]", "ssh-rsa AAAA", "PuTTY-User-Key-File-3: rsa"]
)
def test_text_without_a_key_is_an_error(text: str) -> None:
    assert problem(text) == (
        "contains no private key. Use PEM (-----BEGIN PRIVATE KEY-----), a JWK, a JWK set or a Google service account "
        "in JSON"
    )


@pytest.mark.parametrize("text", [public_pem(rsa_key()), certificate_pem(rsa_key())])
def test_a_public_key_or_certificate_is_an_error(text: str) -> None:
    assert problem(text) == (
        "contains no private key, but for example a public key or a certificate. Use the private key"
    )


def test_a_binary_file_is_an_error() -> None:
    plain = serialization.NoEncryption()
    own = certificate(rsa_key())
    files = [
        pkcs12.serialize_key_and_certificates(b"fake", rsa_key(), own, None, plain),
        material(rsa_key()),
        pem(rsa_key()).encode("utf-16"),
        b"\xfe\xed\xfe\xed\0\0\0\2",
        pem(rsa_key()).encode() + b"\0",
    ]
    text = (
        "is in a binary format, for example PKCS #12 (.p12, .pfx) or DER. Convert it to PEM, for example with openssl "
        "pkcs12 -in FILE -nocerts -out KEY.pem"
    )
    assert {problem(file) for file in files} == {text}


def test_an_openssh_key_is_an_error() -> None:
    text = ed25519_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    assert problem(text) == (
        "has a private key in OpenSSH's format, which is not supported. Convert a copy of it to PEM with ssh-keygen -p "
        "-m PKCS8 -f COPY"
    )


UNSUPPORTED = (
    "has a key of a type or curve that is not supported. Use an RSA key, an EC key on curve P-256, P-384 or P-521, or "
    "an Ed25519 key"
)


def test_a_key_with_which_no_algorithm_signs_is_an_error() -> None:
    assert problem(pem(ec.generate_private_key(ec.SECP256K1()))) == UNSUPPORTED
    assert problem(pem(ec.generate_private_key(ec.BrainpoolP256R1()))) == UNSUPPORTED
    assert problem(pem(x25519.X25519PrivateKey.generate())) == UNSUPPORTED


def test_a_dsa_key_is_an_error() -> None:
    key = dsa.generate_private_key(2048)
    assert problem(pem(key)) == UNSUPPORTED
    assert problem(pem(key, legacy=True)) == (
        "has a private key in a format that is not supported. Convert it to PKCS #8 with openssl pkcs8 -topk8"
    )


TOO_LARGE = "has a private key of more than 6 kB. Use an RSA key of 2048 to 8192 bits, or an EC or Ed25519 key"


def test_short_and_very_long_rsa_keys_are_an_error() -> None:
    assert problem(pem(rsa_key(1024))) == "has an RSA key of 1024 bits. Use a key of 2048 to 8192 bits"
    assert problem(jwk(rsa_key(1024))) == "has an RSA key of 1024 bits. Use a key of 2048 to 8192 bits"
    assert problem(pem_of_rsa_numbers(8200)) == "has an RSA key of 8200 bits. Use a key of 2048 to 8192 bits"
    assert problem(pem_of_rsa_numbers(16384)) == TOO_LARGE
    assert problem(pem_of_rsa_numbers(100_000)) == TOO_LARGE


def pem_of_rsa_numbers(bits: int) -> str:
    """Return a PKCS #1 key whose modulus has ``bits`` bits; it need not be valid."""
    half = (1 << (bits // 2)) - 1
    numbers = (0, (1 << bits) - 1, 65537, half, half, half, half, half, half)
    return armored("RSA PRIVATE KEY", sequence(*map(integer, numbers)))


def test_a_key_with_a_wrong_number_is_an_error() -> None:
    numbers = rsa_key().private_numbers()
    text = pem(rsa_key(), legacy=True)
    der = base64.b64decode("".join(text.splitlines()[1:-1]))
    changed = der.replace(numbers.q.to_bytes(128), (numbers.q + 2).to_bytes(128))
    assert changed != der
    assert (
        problem(armored("RSA PRIVATE KEY", changed))
        == "has a private key that is damaged or incomplete. Copy the whole key again"
    )


@pytest.mark.parametrize("kind", ["PKCS #8", "PKCS #1", "SEC 1", "Ed25519"])
def test_a_truncated_key_is_an_error(kind: str) -> None:
    text = FORMATS[kind]
    no_end = "has a line -----BEGIN … without the line -----END … that belongs to it. Copy the whole text"
    assert problem(text[:-20]) == no_end
    lines = text.splitlines()
    damaged = "has a private key that is damaged or incomplete. Copy the whole key again"
    assert problem("\n".join([lines[0], lines[1][:40], lines[-1]])) == damaged
    assert problem("\n".join([lines[0], lines[-1]])) == damaged
    not_base64 = "has characters between BEGIN and END that are not base64. Copy the whole text again"
    for change in ("é", "!", "\ud7ff", "=", "-"):
        assert problem("\n".join([lines[0], lines[1][:8] + change + lines[1][9:], *lines[2:]])) == not_base64


@pytest.mark.parametrize("bits", [9689, 19_937, 86_243])
def test_an_rsa_key_with_a_very_long_prime_number_is_not_checked_for_hours(bits: int) -> None:
    own = rsa_key().private_numbers()
    p = 2**bits - 1  # a prime number; to test that would take a minute for the first one, and hours for the last one
    numbers = (0, own.public_numbers.n, 65537, own.d, p, own.q, own.dmp1, own.dmq1, own.iqmp)
    damaged = "has a private key that is damaged or incomplete. Copy the whole key again"
    expected = TOO_LARGE if bits > 40_000 else damaged
    assert problem(armored("RSA PRIVATE KEY", sequence(*map(integer, numbers)))) == expected
    encoded = base64.urlsafe_b64encode(integer(p)).rstrip(b"=").decode()
    text = "has a JWK whose member p is missing or is not a number in base64url. Copy it again"
    assert problem(jwk(rsa_key()) | {"p": encoded}) == text


@pytest.mark.parametrize("kind", ["PKCS #8", "PKCS #1", "JWK"])
def test_prime_numbers_are_not_tested(kind: str) -> None:
    """For a key of 8192 bits, the test would stop all threads of the process for several seconds."""
    e, p, q = 65537, 2**1024 - 1, rsa_key().private_numbers().q
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    text = json.dumps(jwk(key)) if kind == "JWK" else pem(key, legacy=kind == "PKCS #1")
    assert material(keys(text)[0].key) == material(key)


def test_a_dsa_key_with_very_long_numbers_is_not_loaded_for_hours() -> None:
    dsa_name = element(6, bytes.fromhex("2a8648ce380401"))
    number = integer(2**80_000 - 1)
    key = sequence(integer(0), sequence(dsa_name, sequence(number, number, integer(3))), element(4, number))
    assert problem(armored("PRIVATE KEY", key)) == TOO_LARGE
