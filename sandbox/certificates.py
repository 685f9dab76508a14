"""Issues TLS certificates of authorities that only tests trust."""

from __future__ import annotations

import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = "sandbox CA"


def certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    names: Sequence[x509.GeneralName] = (),
    *,
    is_ca: bool = False,
) -> x509.Certificate:
    """Return a certificate that is valid for a day.

    :param name: the name of its subject
    :param key: the key of its subject
    :param issuer: the name of its issuer
    :param issuer_key: the key of its issuer
    :param names: the hosts that it is for
    :param is_ca: whether it is the certificate of an authority
    """
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        # Python 3.13 verifies that certificates follow RFC 5280, which requires the following.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(_key_usage(is_ca=is_ca), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


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


class CertificateAuthority:
    """Issues a certificate for every requested host, all with the same key, as a context manager.

    :param folder: where its certificate is written, as ``ca.pem``
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._host_key = ec.generate_private_key(ec.SECP256R1())
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Write the certificate of the authority."""
        own = certificate(_NAME, self._key, _NAME, self._key, is_ca=True)
        self.path.write_bytes(own.public_bytes(serialization.Encoding.PEM))
        self._folder = tempfile.TemporaryDirectory()
        return self

    def __exit__(self, *exception: object) -> None:
        """Delete the key of the hosts."""
        self._folder.cleanup()

    def context(self, host: str) -> ssl.SSLContext:
        """Return the TLS settings of a server with a certificate for ``host``.

        :param host: the name of the host
        """
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._new_context(host)
            return self._contexts[host]

    def _new_context(self, host: str) -> ssl.SSLContext:
        issued = certificate("sandbox", self._host_key, _NAME, self._key, [x509.DNSName(host)])
        path = Path(self._folder.name, f"{len(self._contexts)}.pem")
        encoding, no_encryption = serialization.Encoding.PEM, serialization.NoEncryption()
        key = self._host_key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_encryption)
        path.write_bytes(issued.public_bytes(encoding) + key)  # ssl reads keys only from files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context
