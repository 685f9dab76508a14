"""Parses private keys and certificates in PEM (RFC 7468), also if the text lost its line breaks."""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from airflow_provider_oauth.protocol.key_encryption import iterations
from airflow_provider_oauth.protocol.pasted_key import BLANK
from airflow_provider_oauth.protocol.private_keys import (
    MAX_RSA_BITS,
    MIN_RSA_BITS,
    InvalidKey,
    Key,
    PrivateKey,
    accepted,
    checked,
    damaged,
)

#: PKCS #8, encrypted PKCS #8, PKCS #1 and SEC 1.
PRIVATE_KEYS = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")
#: The name of RSASSA-PSS at the beginning of a key in PKCS #8.
RSASSA_PSS = bytes.fromhex("06092a864886f70d01010a")
#: Maximum number of iterations with which the passphrase is hashed, for all keys of a text together. They take up to
#: 3 s, in which no other thread of the process runs.
MAX_ITERATIONS = 1_500_000

#: Maximum size of one private key in bytes. An encrypted RSA key of 8192 bits has 4.8 kB. A longer key of a type that
#: is refused afterwards, such as DSA, could take hours to load.
MAX_KEY_SIZE = 6000

_BEGIN = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")
#: The header of a key that was encrypted by OpenSSL's traditional format, without blanks. The length of the
#: initialization vector separates it from the key.
_LEGACY = re.compile(
    r"Proc-Type:4,ENCRYPTEDDEK-Info:(AES-[0-9]{3}-[A-Z]+,[0-9A-Fa-f]{32}|DES-[A-Z0-9-]+,[0-9A-Fa-f]{16})"
)


class _Block(NamedTuple):
    """A part of a PEM text.

    :param label: the words after BEGIN
    :param text: the part with correct line breaks
    :param data: the content in DER, possibly encrypted
    :param is_legacy: whether it is encrypted in OpenSSL's traditional format
    """

    label: str
    text: bytes
    data: bytes
    is_legacy: bool

    @property
    def is_encrypted(self) -> bool:
        return self.is_legacy or self.label == "ENCRYPTED PRIVATE KEY"

    @property
    def algorithm(self) -> str | None:
        """PS256 for an RSASSA-PSS key (RFC 8017 appendix A.2.3), which must not sign in another way, otherwise None."""
        return "PS256" if self.label == "PRIVATE KEY" and RSASSA_PSS in self.data[:40] else None


def pem_keys(text: str, passphrase: str | None) -> list[PrivateKey]:
    """Return the private keys in a PEM text, in their order.

    :param text: PEM; certificates and public keys in it are skipped
    :param passphrase: the passphrase of encrypted keys; None if there is none
    :return: at least one key
    :raises InvalidKey: if there is no private key, or one of them cannot be used
    """
    blocks = _blocks(text)
    keys = [block for block in blocks if block.label.endswith("PRIVATE KEY")]
    if not keys:
        raise InvalidKey(
            "contains no private key, but for example a public key or a certificate. Use the private key"
            if blocks
            else "contains no private key. Use PEM (-----BEGIN PRIVATE KEY-----), a JWK, a JWK set or a Google service "
            "account in JSON"
        )
    _check_iterations(keys)
    return [PrivateKey(key=_key(block, passphrase), algorithm=block.algorithm) for block in keys]


def pem_certificates(text: str) -> list[x509.Certificate]:
    """Return the certificates in a PEM text, in their order.

    :raises InvalidKey: if there is no certificate, or one of them is not valid
    """
    blocks = [block for block in _blocks(text) if block.label == "CERTIFICATE"]
    if not blocks:
        raise InvalidKey("contains no certificate in PEM. It begins with -----BEGIN CERTIFICATE-----")
    try:
        return [x509.load_pem_x509_certificate(block.text) for block in blocks]
    except Exception:
        raise InvalidKey("has a certificate that is damaged or incomplete. Copy the whole certificate again") from None


def _blocks(text: str) -> list[_Block]:
    _, *parts = _BEGIN.split(text)
    return [_block(label, rest) for label, rest in zip(parts[::2], parts[1::2], strict=True)]


def _block(label: str, rest: str) -> _Block:
    body, end, _ = rest.partition(f"-----END {label}-----")
    if not end:
        raise InvalidKey("has a line -----BEGIN … without the line -----END … that belongs to it. Copy the whole text")
    data = BLANK.sub("", body)  # password inputs of browsers remove line breaks
    header = ""
    if found := _LEGACY.match(data):
        header = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: {found[1]}\n\n"
        data = data[found.end() :]
    try:
        decoded = base64.b64decode(data, validate=True)
    except ValueError:
        raise InvalidKey(
            "has characters between BEGIN and END that are not base64. Copy the whole text again"
        ) from None
    lines = "\n".join(data[start : start + 64] for start in range(0, len(data), 64))
    pem = f"-----BEGIN {label}-----\n{header}{lines}\n-----END {label}-----\n"
    return _Block(label, pem.encode(), decoded, bool(header))


def _key(block: _Block, passphrase: str | None) -> Key:
    if block.label == "OPENSSH PRIVATE KEY":
        raise InvalidKey(
            "has a private key in OpenSSH's format, which is not supported. Convert a copy of it to PEM with "
            "ssh-keygen -p -m PKCS8 -f COPY"
        )
    if block.label not in PRIVATE_KEYS:
        raise InvalidKey(
            "has a private key in a format that is not supported. Convert it to PKCS #8 with openssl pkcs8 -topk8"
        )
    if len(block.data) > MAX_KEY_SIZE:
        raise InvalidKey(
            f"has a private key of more than {MAX_KEY_SIZE // 1000} kB. Use an RSA key of {MIN_RSA_BITS} to "
            f"{MAX_RSA_BITS} bits, or an EC or Ed25519 key"
        )
    if block.is_encrypted:
        return _decrypted(block, passphrase)
    try:
        key = load_pem_private_key(block.text, None, unsafe_skip_rsa_key_validation=True)
    except Exception:
        raise damaged() from None
    return checked(accepted(key))


def _check_iterations(blocks: list[_Block]) -> None:
    """Check how often the passphrase would be hashed to decrypt all keys. OpenSSL's traditional format hashes once."""
    counts = [iterations(block.data) or 0 for block in blocks if block.label == "ENCRYPTED PRIVATE KEY"]
    if counts and (min(counts) <= 0 or sum(counts) > MAX_ITERATIONS):
        raise InvalidKey(
            f"is encrypted with more than {MAX_ITERATIONS} iterations, or in a format that is not supported. Encrypt "
            "the key again with openssl pkcs8 -topk8"
        )


def _decrypted(block: _Block, passphrase: str | None) -> Key:
    if not passphrase:
        raise InvalidKey(
            "is missing, but the private key is encrypted. Enter the passphrase, or use a key that is not encrypted",
            "private_key_passphrase",
        )
    try:
        key = load_pem_private_key(block.text, passphrase.encode(), unsafe_skip_rsa_key_validation=True)
    except Exception:
        raise InvalidKey(
            "does not decrypt the private key. Check the passphrase, and that the key is complete",
            "private_key_passphrase",
        ) from None
    return checked(accepted(key))
