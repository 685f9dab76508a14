"""Creates a certificate authority for tests, and the certificates and keys that it issues."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files.

    :param ca: the authority's certificate
    :param server: a certificate for 127.0.0.1 and localhost, with its key
    :param client: a client certificate, with its key
    :param encrypted: the client certificate, with an encrypted key
    :param other: another client certificate, with its key
    :param self_signed: a client certificate that no authority issued, with its key
    :param passphrase: the passphrase of ``encrypted``
    """

    ca: str
    server: str
    client: str
    encrypted: str
    other: str
    self_signed: str
    passphrase: str = "fake-passphrase"


def certificates(folder: Path) -> Certificates:
    """Create an authority and its certificates in ``folder``."""
    key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("fake CA", key, "fake CA", key, is_ca=True)
    plain = serialization.NoEncryption()
    paths = {"ca": _file(folder / "ca.pem", ca)}
    for name in ("server", "other", "client"):
        own = ec.generate_private_key(ec.SECP256R1())
        issued = _certificate(f"fake {name}", own, "fake CA", key, is_ca=False)
        paths[name] = _file(folder / f"{name}.pem", issued, own, plain)
    encrypted = serialization.BestAvailableEncryption(Certificates.passphrase.encode())
    paths["encrypted"] = _file(folder / "encrypted.pem", issued, own, encrypted)
    own = ec.generate_private_key(ec.SECP256R1())
    self_signed = _certificate("fake self-signed", own, "fake self-signed", own, is_ca=False)
    paths["self_signed"] = _file(folder / "self_signed.pem", self_signed, own, plain)
    return Certificates(**paths)


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey, *, is_ca: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        # Python 3.13 verifies that certificates follow RFC 5280, which requires the following.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(_key_usage(is_ca=is_ca), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _file(
    path: Path,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey | None = None,
    encryption: serialization.KeySerializationEncryption | None = None,
) -> str:
    content = certificate.public_bytes(serialization.Encoding.PEM)
    if key and encryption:
        content += key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    path.write_bytes(content)
    return str(path)
