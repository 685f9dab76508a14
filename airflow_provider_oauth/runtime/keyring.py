"""Finds the key of a connection's record, for reading and for writing it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_oauth.exceptions import ConfigurationError, RecordLocked
from airflow_provider_oauth.protocol.field_labels import field_name
from airflow_provider_oauth.runtime.data_key import SALT_BYTES, DataKey, WrappingKey
from airflow_provider_oauth.runtime.encryption import RecordEncryption, uses_data_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.encryption_keys import FileKeys
    from airflow_provider_oauth.runtime.data_key import PrivateKeys


class OpenedKey(NamedTuple):
    """The key of a stored record, as far as this process has it.

    :param encryption: the encryption with this key; None if the record was written for other settings, or is locked
    :param lacks_key: whether a private key in the files cannot decrypt the record
    :param locked: the error to raise if this process does not have the private key for it
    """

    encryption: RecordEncryption | None = None
    lacks_key: bool = False
    locked: RecordLocked | None = None


UNKNOWN_KEY = OpenedKey()


class WritingKey(NamedTuple):
    """The key of the next record.

    :param encryption: the encryption with this key
    :param salt: the salt
    :param wrapped: the key, encrypted with private keys; empty if the key is derived from the connection
    """

    encryption: RecordEncryption
    salt: bytes
    wrapped: Mapping[str, Any]


class Keyring:
    """The key of the record that was read last. The next record is written with the same key.

    :param config: the settings of the connection
    :param location: where a user finds the record, for error messages
    :param private_keys: the private keys in the connection's files
    """

    def __init__(self, config: OAuthConfig, location: str, private_keys: PrivateKeys) -> None:
        self._config = config
        self._location = location
        self._private_keys = private_keys
        self._encryption = RecordEncryption(config)
        #: The salt, if the key is derived from the connection.
        self._salt: bytes | None = None
        #: The record's own key; None if it has none, or is locked.
        self._data_key: DataKey | None = None

    def open(self, key_id: Any, salt: bytes, wrapped: Any) -> OpenedKey:
        """Return the key of a stored record.

        The private keys that this process has read earlier are tried as well.

        :param key_id: the stored ID of the key
        :param salt: the salt of the record
        :param wrapped: the stored value of ``wrapped_keys``; None if the key is derived from the connection
        """
        if wrapped is None or not self._private_keys.are_used:
            self._data_key = None
            return OpenedKey(self._derived(key_id, salt) if wrapped is None else None)
        current: tuple[bytes, ...] = ()
        unreadable = None
        try:
            current = self._read().keys
        except RecordLocked as error:
            unreadable = error
        self._data_key = key = DataKey.unwrap(wrapped, salt, [*current, *self._private_keys.known()])
        if key is None:
            return OpenedKey(locked=unreadable or self._other_key())
        encryption = RecordEncryption(self._config, key.key)
        return OpenedKey(
            encryption if key_id == encryption.key_id(salt) else None,
            lacks_key=not all(map(key.is_wrapped_with, current)),
        )

    def for_writing(self) -> WritingKey:
        """Return the key for the next record, encrypted with all private keys that this process knows.

        :raises RecordLocked: if this process has read no private key yet, and cannot read one now
        """
        if not uses_data_key(self._config):
            self._salt = self._salt or os.urandom(SALT_BYTES)
            return WritingKey(self._encryption, self._salt, {})
        try:
            self._read()
        except RecordLocked:
            if not self._private_keys.known():
                raise
        key = (self._data_key or DataKey.new()).wrap(self._private_keys.known(), self._private_keys.now())
        return WritingKey(RecordEncryption(self._config, key.key), key.salt, key.wrapped)

    def version(self, salt: bytes) -> str:
        """Return a fingerprint of everything that a token request depends on, to store with a refusal.

        :raises RecordLocked: if the record is encrypted with the private keys in files, and they cannot be read
        """
        version = self._config.version
        if uses_data_key(self._config):
            files = self._read()
            return WrappingKey(files.keys[0], salt).fingerprint(version + files.version)
        if self._private_keys.are_used:
            with suppress(RecordLocked):  # OpenSSL may be able to use the key nevertheless
                version += self._read().version
        return self._encryption.fingerprint(version, salt)

    def _derived(self, key_id: Any, salt: bytes) -> RecordEncryption | None:
        """Return the encryption of a record whose key is derived from the connection."""
        for encryption in self._encryptions:
            if key_id == encryption.key_id(salt):
                self._salt = salt
                return encryption
        return None

    @cached_property
    def _encryptions(self) -> list[RecordEncryption]:
        """The encryptions whose keys are derived from the connection."""
        # In the first release, the key did not depend on secret_headers and secret_params. If the connection has no
        # other secret, its records were not encrypted then. They are not accepted, because anyone can write such a
        # record.
        earlier = RecordEncryption(replace(self._config, secret_headers={}, secret_params={}))
        # The same applies to a connection with a private key. There is one exception: before private keys could be
        # used, the record of a public client was not encrypted either if it had a client certificate.
        is_accepted = not uses_data_key(self._config) or (
            self._config.client_auth == "none" and not self._config.private_key_file
        )
        return [
            *([self._encryption] if self._encryption.has_key or is_accepted else []),
            *([earlier] if earlier.has_key else []),
        ]

    def _read(self) -> FileKeys:
        """Return the private keys in the files.

        :raises RecordLocked: if a file cannot be read
        """
        try:
            return self._private_keys.read()
        except ConfigurationError as error:
            raise RecordLocked(f"{error} The stored tokens are encrypted with this key. They were kept.") from error

    def _other_key(self) -> RecordLocked:
        fields = {"private_key_file": self._config.private_key_file, "cert": self._config.transport.cert}
        names = " or ".join(field_name(name) for name, path in fields.items() if path)
        return RecordLocked(
            f"Connection {self._config.conn_id!r}: the tokens in {self._location} cannot be decrypted, because they "
            f"were encrypted with another private key than the file in {names} has now. They were kept. If the key "
            f"was replaced, add the previous key to the end of the file: the next task then encrypts the tokens with "
            f"both keys. If you do not have the previous key, authorize the connection again, or enter a new refresh "
            f"token."
        )
