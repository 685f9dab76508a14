"""Private keys for tests. They are created once for each test process."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PASSPHRASE = "fake-passphrase"
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(algorithm: str = "ES256") -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(CURVES[algorithm])


@cache
def ed25519_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


@cache
def ed448_key() -> ed448.Ed448PrivateKey:
    return ed448.Ed448PrivateKey.generate()


def pem(key: Any, passphrase: str | None = None, *, legacy: bool = False) -> str:
    """Return a private key in PEM.

    :param passphrase: encrypts the key
    :param legacy: whether to write PKCS #1 or SEC 1 instead of PKCS #8
    """
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    kind = serialization.PrivateFormat.TraditionalOpenSSL if legacy else serialization.PrivateFormat.PKCS8
    found: bytes = key.private_bytes(serialization.Encoding.PEM, kind, encryption)
    return found.decode()


def public_pem(key: Any) -> str:
    found: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return found.decode()


def material(key: Any) -> bytes:
    """Return a private key in PKCS #8 (DER), not encrypted."""
    found: bytes = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return found


def jwk(key: Any, **members: Any) -> dict[str, Any]:
    """Return a private key as a JWK.

    :param members: members to add, for example ``kid``
    """
    kinds = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    kind: Any = next((kind for of, kind in kinds.items() if isinstance(key, of)), OKPAlgorithm)
    found: dict[str, Any] = kind.to_jwk(key, as_dict=True)
    found.pop("key_ops", None)
    return found | members


def service_account(**members: Any) -> dict[str, Any]:
    """Return the key file of a Google service account; ``members`` replace or add members."""
    return {
        "type": "service_account",
        "project_id": "fake",
        "private_key_id": "fake-key-id",
        "private_key": pem(rsa_key()),
        "client_email": "reports@fake.iam.gserviceaccount.com",
        "client_id": "100000000000000000001",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
    } | members


def certificate(key: Any) -> x509.Certificate:
    """Return a certificate that ``key`` signed for itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake client")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .sign(key, None if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else hashes.SHA256())
    )


def certificate_pem(key: Any) -> str:
    return certificate(key).public_bytes(serialization.Encoding.PEM).decode()


def armored(label: str, data: bytes) -> str:
    """Return data in DER as PEM without line breaks."""
    return f"-----BEGIN {label}-----{base64.b64encode(data).decode()}-----END {label}-----"


def element(tag: int, content: bytes) -> bytes:
    """Return an element in DER."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(size)]) + size + content


def sequence(*elements: bytes) -> bytes:
    return element(0x30, b"".join(elements))


def integer(value: int) -> bytes:
    return element(0x02, value.to_bytes(value.bit_length() // 8 + 1, signed=True))
