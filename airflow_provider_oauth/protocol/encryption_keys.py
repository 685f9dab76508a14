"""Reads the private keys in a connection's files. The key of its stored tokens is encrypted with them."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from airflow_provider_oauth.protocol.client_files import MAX_FILE_SIZE

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True)
class FileKeys:
    """The private keys in the files of one connection.

    :param keys: the keys in PKCS #8 (DER), those that the connection uses first
    :param version: a hash that changes with the keys and with the certificate. It must not be stored
    """

    keys: tuple[bytes, ...] = field(repr=False)
    version: str = field(repr=False)


def has_key_file(config: OAuthConfig) -> bool:
    """Return whether the connection has a file with a private key. This reads no file."""
    return bool(config.private_key_file or config.transport.cert)


def read_file_keys(config: OAuthConfig) -> FileKeys:
    """Return the keys in ``private_key_file`` and in the files of ``cert``.

    It blocks, so it must not be called on an event loop.

    :param config: a connection that has at least one of these files
    :raises ConfigurationError: if a file or a key in it cannot be read
    """
    # Imported here, because it imports PyJWT, which most tasks do not need.
    from airflow_provider_oauth.protocol.signing_keys import key_materials

    keys = key_materials(config) if config.private_key_file else []
    version = hashlib.sha256(b"".join(hashlib.sha256(key).digest() for key in keys))
    if cert := config.transport.cert:
        try:
            contents = [_content(path) for path in ([cert] if isinstance(cert, str) else cert)]
            keys += _private_keys(contents[-1], config.private_key_passphrase)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
            raise config.error(
                "cert",
                "is not a client certificate whose private key this process can read. Check the path, and that Private "
                "key passphrase (private_key_passphrase) is set if the key is encrypted",
            ) from None
        for content in contents:
            version.update(hashlib.sha256(content).digest())
    return FileKeys(tuple(dict.fromkeys(keys)), version.hexdigest())


def _content(path: str) -> bytes:
    """Return the content of a regular file. Opening a pipe or a device would block.

    :raises OSError: if it cannot be read, or is too large
    """
    if not os.path.isfile(path) or os.path.getsize(path) > MAX_FILE_SIZE:
        raise OSError
    return Path(path).read_bytes()


@lru_cache(maxsize=16)
def _private_keys(content: bytes, passphrase: str | None) -> tuple[bytes, ...]:
    """Return all private keys in a PEM file of a client certificate; OpenSSL uses the first one.

    :raises ValueError: if there is none, or a passphrase is wrong
    :raises TypeError: if a passphrase is missing
    """
    blocks = [match.group() for match in _PRIVATE_KEY.finditer(content)]
    if not blocks:
        raise ValueError
    return tuple(_material(block, passphrase) for block in blocks)


def _material(block: bytes, passphrase: str | None) -> bytes:
    password = passphrase.encode() if passphrase and b"ENCRYPTED" in block else None
    # It signs nothing here, so its validation is left out, which takes up to 200 ms for an RSA key.
    key = load_pem_private_key(block, password, unsafe_skip_rsa_key_validation=True)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
