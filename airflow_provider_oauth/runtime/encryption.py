"""Encrypts stored tokens, so that users who can read Variables but not the connection cannot use them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from airflow_provider_oauth.protocol.encryption_keys import has_key_file

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

#: Cost of scrypt (RFC 7914): 16 MiB and about 40 ms, once per process.
SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
NONCE_BYTES = 12


def uses_data_key(config: OAuthConfig) -> bool:
    """Return whether records of the connection are encrypted with a random key. This reads no file."""
    return has_key_file(config) and not _secrets(config)


def is_encrypted(config: OAuthConfig) -> bool:
    """Return whether records of the connection are encrypted. This reads no file."""
    return uses_data_key(config) or RecordEncryption(config).has_key


class RecordEncryption:
    """Encrypts records with AES-GCM. The key is derived from the connection's secrets with scrypt.

    The secrets are the client secret, the user's password, the private key that is entered in the connection, and the
    values of ``secret_grant_params``, ``secret_headers`` and ``secret_params``. If the connection has none of them, the
    refresh token that is entered in it is the secret. A connection without any secret has no key, so its records are
    not encrypted. If a connection has no secret but a private key in a file, the record is encrypted with a random key
    instead, see ``data_key.py``.

    :param config: the settings of the connection
    :param data_key: the key of the record, if it is a random one
    """

    def __init__(self, config: OAuthConfig, data_key: bytes | None = None) -> None:
        secrets = _secrets(config)
        # The key of a confidential client does not depend on its refresh token, which users may remove after its use.
        own = config.own_refresh_token
        material = secrets or ([own] if own else None)
        self._material = json.dumps(material, sort_keys=True).encode() if material else None
        self._data_key = data_key
        self._identity = json.dumps(config.identity, sort_keys=True)
        self._associated_data = f"{config.conn_id}\n{config.server}".encode()
        self._keys: dict[bytes, bytes] = {}

    @property
    def has_key(self) -> bool:
        """Whether there is a key to encrypt records with."""
        return self._data_key is not None or self._material is not None

    def key_id(self, salt: bytes) -> str:
        """Return an ID of the key that changes with the client, secrets, user, URL and scope."""
        return self.fingerprint(self._identity, salt)

    def fingerprint(self, text: str, salt: bytes) -> str:
        """Return a fingerprint of ``text``. Without the key, ``text`` cannot be guessed from it."""
        return hmac.new(self._key(salt), text.encode(), hashlib.sha256).hexdigest()[:16]

    def encrypt(self, content: dict[str, Any], salt: bytes) -> str:
        """Return ``content``, encrypted and in base64."""
        nonce = os.urandom(NONCE_BYTES)
        ciphertext = AESGCM(self._key(salt)).encrypt(nonce, json.dumps(content).encode(), self._associated_data)
        return base64.b64encode(nonce + ciphertext).decode()

    def decrypt(self, encrypted: str, salt: bytes) -> dict[str, Any]:
        """Return the content that ``encrypt`` encrypted.

        :raises ValueError: if it was changed, or encrypted for another connection or server
        """
        data = base64.b64decode(encrypted, validate=True)
        try:
            content = AESGCM(self._key(salt)).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], self._associated_data)
        except InvalidTag:
            raise ValueError("the ciphertext is not valid") from None
        return dict(json.loads(content))

    def _key(self, salt: bytes) -> bytes:
        if self._data_key is not None:  # it is random, and there is one per salt
            return self._data_key
        if self._material is None:  # without a secret, the key ID depends only on the salt and the identity
            return salt
        if salt not in self._keys:
            self._keys[salt] = hashlib.scrypt(self._material, salt=salt, **SCRYPT)
        return self._keys[salt]


def _secrets(config: OAuthConfig) -> list[Any]:
    """Return the connection's secrets that do not change unless a user edits the connection; [] if it has none."""
    secrets: list[Any] = [config.client_secret, config.user_password, dict(config.secret_grant_params)]
    # Values of later releases are left out if they are empty, so that records of earlier ones can be decrypted.
    api_secrets = [dict(config.secret_headers), dict(config.secret_params)]
    if any(api_secrets):
        secrets += api_secrets
    # The line breaks of a key depend on the form in which it was entered.
    if private_key := "".join((config.private_key or "").split()):
        secrets.append({"private_key": private_key})
    return secrets if any(secrets) else []
