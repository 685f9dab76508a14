"""Sealing what is stored, so that only who can read the connection can use it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

#: scrypt's cost (RFC 7914): 16 MiB and some 40 ms, once a process.
SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
NONCE_BYTES = 12


class RecordEncryption:
    """AES-GCM under a key that scrypt makes of the connection's secrets.

    The secrets are the client secret, the user's password, and what ``secret_grant_params``, ``secret_headers`` and
    ``secret_params`` hold. A connection with no secret at all, a public client, has no key: its records are not sealed.

    :param config: the connection
    """

    def __init__(self, config: OAuthConfig) -> None:
        own = config.refresh_token if config.requires_refresh_token else None
        secrets = [config.client_secret, config.user_password, dict(config.secret_grant_params)]
        api_secrets = [dict(config.secret_headers), dict(config.secret_params)]
        if any(api_secrets):  # left out if there are none, so that the key of earlier records stays valid
            secrets += api_secrets
        # A confidential client's key does not depend on its refresh token, which may be taken out once it is spent.
        material = secrets if any(secrets) else [own] if own else None
        self._material = json.dumps(material, sort_keys=True).encode() if material else None
        self._identity = json.dumps(config.identity, sort_keys=True)
        self._bound_to = f"{config.conn_id}\n{config.server}".encode()
        self._keys: dict[bytes, bytes] = {}

    @property
    def has_key(self) -> bool:
        """Whether there is a secret to seal with."""
        return self._material is not None

    def key_id(self, salt: bytes) -> str:
        """Return what tells whether a record is for this client, these secrets, user, URL and scope."""
        return self.fingerprint(self._identity, salt)

    def fingerprint(self, text: str, salt: bytes) -> str:
        """Return what tells ``text`` from another, and lets nobody guess it who does not know the key."""
        return hmac.new(self._key(salt), text.encode(), hashlib.sha256).hexdigest()[:16]

    def encrypt(self, content: dict[str, Any], salt: bytes) -> str:
        """Return ``content`` sealed, in base64."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self._key(salt)).encrypt(nonce, json.dumps(content).encode(), self._bound_to)
        return base64.b64encode(nonce + sealed).decode()

    def decrypt(self, sealed: str, salt: bytes) -> dict[str, Any]:
        """Return the content of what ``close`` returned.

        :raises ValueError: if it was changed, or sealed for another connection or server
        """
        data = base64.b64decode(sealed, validate=True)
        try:
            content = AESGCM(self._key(salt)).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], self._bound_to)
        except InvalidTag:
            raise ValueError("the ciphertext is not valid") from None
        return dict(json.loads(content))

    def _key(self, salt: bytes) -> bytes:
        if self._material is None:
            return salt
        if salt not in self._keys:
            self._keys[salt] = hashlib.scrypt(self._material, salt=salt, **SCRYPT)
        return self._keys[salt]
