"""The random key that encrypts a record, and its encryption with the private keys in the connection's files.

If a connection has no secret but a private key in a file, its record is encrypted with a random *data key*. The record
contains the data key, encrypted ("wrapped") with each private key that may be in the file of a process. So the file can
be replaced while some processes still have its earlier version.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.encryption_keys import has_key_file, read_file_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.encryption_keys import FileKeys

KEY_BYTES = 32
NONCE_BYTES = 12
SALT_BYTES = 16
#: How long the data key stays encrypted with a private key after this key was in a file for the last time.
MAX_AGE = timedelta(days=30)
#: How many private keys a data key stays encrypted with. Some systems replace certificates every few minutes.
MAX_WRAPPED = 100

#: The private keys that this process has read, by connection, each with the time when it was in the file last.
_used: dict[str, dict[bytes, datetime]] = {}


@dataclass(frozen=True)
class DataKey:
    """The key of one record.

    :param key: the key
    :param salt: the salt of the record
    :param wrapped: the key, encrypted with each of several private keys, as it is stored
    """

    key: bytes = field(repr=False)
    salt: bytes
    wrapped: Mapping[str, Any]

    @classmethod
    def new(cls) -> DataKey:
        """Return a random key."""
        return cls(os.urandom(KEY_BYTES), os.urandom(SALT_BYTES), {})

    @classmethod
    def unwrap(cls, wrapped: Any, salt: bytes, private_keys: Iterable[bytes]) -> DataKey | None:
        """Return the key of a record; None if it is encrypted with none of the private keys.

        :param wrapped: the stored value of ``wrapped_keys``
        :param salt: the salt of the record
        :param private_keys: the private keys that this process has
        """
        if not isinstance(wrapped, dict):
            return None
        for private_key in private_keys:
            wrapping = WrappingKey(private_key, salt)
            key = wrapping.unwrap(wrapped.get(wrapping.id))
            if key is not None:
                return cls(key, salt, wrapped)
        return None

    def wrap(self, private_keys: Mapping[bytes, datetime], now: datetime) -> DataKey:
        """Return the same key, encrypted with all ``private_keys`` and with the keys of other processes' files.

        A private key that was in no file for MAX_AGE is left out. So are all but the MAX_WRAPPED most recent ones.

        :param private_keys: the private keys that this process has, with the time when each was in the file last
        :param now: the current time, with a time zone
        """
        wrapped: dict[str, Any] = {}
        for private_key, seen in private_keys.items():
            wrapping = WrappingKey(private_key, self.salt)
            earlier = _time(self.wrapped.get(wrapping.id))
            at = min(max(seen, earlier) if earlier else seen, now)
            if now - at <= MAX_AGE:
                wrapped[wrapping.id] = {"key": wrapping.wrap(self.key), "at": at.isoformat()}
        others = {key_id: each for key_id, each in self.wrapped.items() if key_id not in wrapped}
        wrapped |= {key_id: each for key_id, each in others.items() if _is_recent(each, now)}
        # A host whose clock is ahead must not push out the keys of this process, which come first if times are equal.
        recent = sorted(wrapped.items(), key=lambda item: min(_time(item[1]) or now, now), reverse=True)
        return DataKey(self.key, self.salt, dict(recent[:MAX_WRAPPED]))

    def is_wrapped_with(self, private_key: bytes) -> bool:
        """Return whether a process that has only ``private_key`` can decrypt the record."""
        return WrappingKey(private_key, self.salt).id in self.wrapped


class WrappingKey:
    """A key that is derived from a private key (HKDF, RFC 5869), and that encrypts the keys of records.

    :param private_key: the private key
    :param salt: the salt of the record
    """

    def __init__(self, private_key: bytes, salt: bytes) -> None:
        info = b"airflow-provider-oauth: key of the stored tokens"
        self._key = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(private_key)
        #: An ID from which nothing about the private key can be learned.
        self.id = self.fingerprint("id")

    def fingerprint(self, text: str) -> str:
        """Return a fingerprint of ``text``. Without the private key, ``text`` cannot be guessed from it."""
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:16]

    def wrap(self, key: bytes) -> str:
        """Return the key of a record, encrypted and in base64."""
        nonce = os.urandom(NONCE_BYTES)
        return base64.b64encode(nonce + AESGCM(self._key).encrypt(nonce, key, None)).decode()

    def unwrap(self, wrapped: Any) -> bytes | None:
        """Return the key that ``wrap`` encrypted; None if ``wrapped`` is not such a key."""
        try:
            data = base64.b64decode(wrapped["key"], validate=True)
            key = AESGCM(self._key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], None)
        except (InvalidTag, TypeError, KeyError, ValueError):
            return None
        return key if len(key) == KEY_BYTES else None


class PrivateKeys:
    """The private keys of one connection: those in its files now, and those that this process has read before.

    :param config: the settings of the connection
    :param clock: the clocks
    :param used: the keys that this process has read before; None for those of the real process
    """

    def __init__(
        self, config: OAuthConfig, clock: Clock | None = None, used: dict[bytes, datetime] | None = None
    ) -> None:
        self._config = config
        self._clock = clock or Clock()
        self._used = _used.setdefault(config.conn_id, {}) if used is None else used

    @property
    def are_used(self) -> bool:
        """Whether the connection has a file with a private key. This reads no file."""
        return has_key_file(self._config)

    def read(self) -> FileKeys:
        """Return the keys in the files, and remember them.

        :raises ConfigurationError: if a file or a key in it cannot be read
        """
        files = read_file_keys(self._config)
        self._used.update(dict.fromkeys(files.keys, self.now()))
        return files

    def now(self) -> datetime:
        """Return the current time, with a time zone."""
        return self._clock.now()

    def known(self) -> dict[bytes, datetime]:
        """Return the keys that this process has read so far, those it has read last first, with the time of each."""
        return dict(sorted(self._used.items(), key=lambda item: item[1], reverse=True))


def _time(wrapped: Any) -> datetime | None:
    """Return when the key of a stored value was in the file of a process last; None if the value is invalid."""
    try:
        return datetime.fromisoformat(wrapped["at"]).astimezone(UTC)
    except (TypeError, KeyError, ValueError, OverflowError):
        return None


def _is_recent(wrapped: Any, now: datetime) -> bool:
    at = _time(wrapped)
    return at is not None and now - at <= MAX_AGE
