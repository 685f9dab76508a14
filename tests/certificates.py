"""Creates a certificate authority for tests, and the certificates and keys that it issues."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.certificates import certificate

if TYPE_CHECKING:
    from pathlib import Path


NAMES = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


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
    ca = certificate("fake CA", key, "fake CA", key, NAMES, is_ca=True)
    plain = serialization.NoEncryption()
    paths = {"ca": _file(folder / "ca.pem", ca)}
    for name in ("server", "other", "client"):
        own = ec.generate_private_key(ec.SECP256R1())
        issued = certificate(f"fake {name}", own, "fake CA", key, NAMES)
        paths[name] = _file(folder / f"{name}.pem", issued, own, plain)
    encrypted = serialization.BestAvailableEncryption(Certificates.passphrase.encode())
    paths["encrypted"] = _file(folder / "encrypted.pem", issued, own, encrypted)
    own = ec.generate_private_key(ec.SECP256R1())
    self_signed = certificate("fake self-signed", own, "fake self-signed", own, NAMES)
    paths["self_signed"] = _file(folder / "self_signed.pem", self_signed, own, plain)
    return Certificates(**paths)


def _file(
    path: Path,
    issued: x509.Certificate,
    key: ec.EllipticCurvePrivateKey | None = None,
    encryption: serialization.KeySerializationEncryption | None = None,
) -> str:
    content = issued.public_bytes(serialization.Encoding.PEM)
    if key and encryption:
        content += key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    path.write_bytes(content)
    return str(path)
