"""Decrypts and encrypts the key of a connection's record, with the private keys that this process has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_oauth.exceptions import ConfigurationError, RecordLocked
from airflow_provider_oauth.protocol.field_labels import field_name
from airflow_provider_oauth.runtime.data_key import DataKey

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.encryption_keys import FileKeys
    from airflow_provider_oauth.runtime.data_key import PrivateKeys


class OpenedKey(NamedTuple):
    """The key of a record, as far as this process can decrypt it.

    :param data_key: the key; None if the record has no key of its own, or this process cannot decrypt it
    :param lacks_key: whether a private key in the files cannot decrypt the record
    :param locked: the error to raise if this process cannot decrypt the key
    """

    data_key: DataKey | None = None
    lacks_key: bool = False
    locked: RecordLocked | None = None


NO_KEY = OpenedKey()


class Keyring:
    """The key of the record that was read last.

    :param config: the settings of the connection
    :param location: where a user finds the record, for error messages
    :param private_keys: the private keys in the connection's files
    """

    def __init__(self, config: OAuthConfig, location: str, private_keys: PrivateKeys) -> None:
        self._config = config
        self._location = location
        self._private_keys = private_keys
        #: The key of the record that was read last; None if that record has none, or is locked.
        self._data_key: DataKey | None = None

    @property
    def is_used(self) -> bool:
        """Whether the connection has a file with a private key. This reads no file."""
        return self._private_keys.are_used

    def read(self) -> FileKeys:
        """Return the private keys in the files.

        :raises RecordLocked: if a file cannot be read
        """
        try:
            return self._private_keys.read()
        except ConfigurationError as error:
            raise RecordLocked(f"{error} The stored tokens are encrypted with this key. They were kept.") from error

    def open(self, wrapped: Any, salt: bytes) -> OpenedKey:
        """Decrypt the key of a record.

        The private keys that this process has read earlier are tried as well.

        :param wrapped: the stored value of ``wrapped_keys``; None if the record has no key of its own
        :param salt: the salt of the record
        """
        opened = NO_KEY if wrapped is None or not self.is_used else self._opened(wrapped, salt)
        self._data_key = opened.data_key
        return opened

    def _opened(self, wrapped: Any, salt: bytes) -> OpenedKey:
        current: tuple[bytes, ...] = ()
        locked = None
        try:
            current = self.read().keys
        except RecordLocked as error:
            locked = error
        key = DataKey.unwrap(wrapped, salt, [*current, *self._private_keys.known()])
        if key is None:
            return OpenedKey(locked=locked or self._other_key())
        return OpenedKey(data_key=key, lacks_key=not all(map(key.is_wrapped_with, current)))

    def for_writing(self) -> DataKey:
        """Return the key for the next record, encrypted with all private keys that this process knows.

        :raises RecordLocked: if this process has read no private key yet, and cannot read one now
        """
        try:
            self.read()
        except RecordLocked:
            if not self._private_keys.known():
                raise
        return (self._data_key or DataKey.new()).wrap(self._private_keys.known(), self._private_keys.now())

    def _other_key(self) -> RecordLocked:
        names = [name for name in ("private_key_file", "cert") if self._is_set(name)]
        fields = " or ".join(map(field_name, names))
        return RecordLocked(
            f"Connection {self._config.conn_id!r}: the tokens in {self._location} cannot be decrypted, because they "
            f"were encrypted with another private key than the file in {fields} has now. They were kept. If the key "
            f"was replaced, add the previous key to the end of the file: the next task then encrypts the tokens with "
            f"both keys. If you do not have the previous key, authorize the connection again, or enter a new refresh "
            f"token."
        )

    def _is_set(self, name: str) -> bool:
        return bool(self._config.transport.cert if name == "cert" else self._config.private_key_file)
