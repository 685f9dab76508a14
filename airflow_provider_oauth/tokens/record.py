"""Defines the record that is stored for a connection, and the interface of a token store."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_oauth.exceptions import OAuthError, RecordLocked
    from airflow_provider_oauth.protocol.token import Token


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The server's refusal of the credentials or the refresh token. Sending them again may lock the account.

    :param error: the error that tasks raise
    :param until: when the credentials may be sent again
    :param unrecognized_since: when the server first refused with an error that this package does not recognize; None if
        the error is a recognized one
    """

    error: OAuthError
    until: datetime
    unrecognized_since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is stored for one connection.

    :param generation: increases by one with every renewal
    :param nonce: the nonce of the claim under which the record was written, see ``lease.py``
    :param used_refresh_tokens: fingerprints of the refresh tokens that were entered in the connection and used, the
        latest last
    :param readable: whether its tokens could be read; False if they were stored for other settings of the connection,
        or are corrupt
    :param locked: the error to raise if the tokens cannot be decrypted because this process does not have the private
        key for it; None if they can, or if the record is not ``readable`` for another reason
    :param lacks_key: whether a private key in the connection's file cannot decrypt the record, so that it has to be
        stored again, for all keys
    :param corrupt: whether it is not a record at all, for example ``***`` from an imported export
    :param tokens: the access tokens, by their requested scope ("" for the scope of the connection)
    :param refresh_token: the refresh token that the next renewal uses
    :param refresh_expires_at: when the refresh token expires if it is not used; None if not known
    :param subject: the server's ID of the user who has authorized the connection, if known
    :param callback: the values that are kept with the grant, as in ``Token``
    :param refused: the server's refusal, if the server refused the last token request and the connection has not been
        changed since
    :param raw: the content of a record that is not readable; it is written back unchanged
    """

    generation: int = 0
    nonce: str = ""
    used_refresh_tokens: tuple[str, ...] = ()
    readable: bool = True
    locked: RecordLocked | None = None
    lacks_key: bool = False
    corrupt: bool = False
    tokens: Mapping[str, Token] = field(default_factory=dict)
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_at: datetime | None = None
    subject: str | None = field(default=None, repr=False)
    callback: Mapping[str, str] = field(default_factory=dict)
    refused: Refusal | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


class TokenStore(Protocol):
    """Stores the record and the lease of one connection for all processes on all hosts.

    Both can be read and written. There is no compare-and-set.
    """

    #: ID of the connection, for error messages.
    conn_id: str
    #: Where a user finds the record, for error messages.
    name: str

    def read(self) -> Record | None:
        """Return the record; None if there is none, or if Airflow hid that the read failed.

        :raises TokenStoreError: if the read failed with an error
        """

    def write(self, record: Record) -> None:
        """Replace the record.

        :raises TokenStoreError: if it could not be written or cannot be read back. It may have been written.
        """

    def is_listed(self) -> bool | None:
        """Return whether there is a record; None if this process has no way to find out.

        Unlike ``read``, this never reports a failed read as a missing record.

        :raises TokenStoreError: if the read failed
        """

    def read_lease(self) -> str | None:
        """Return the nonce in the lease; None if there is no lease, or if Airflow hid that the read failed.

        :raises TokenStoreError: if the read failed with an error
        """

    def lease_is_listed(self) -> bool | None:
        """Return whether there is a lease; None if this process cannot determine it. See ``is_listed``."""

    def write_lease(self, nonce: str) -> None:
        """Write ``nonce`` to the lease, whatever it contains.

        :raises TokenStoreError: if the write failed. The nonce may have been written.
        """


def fingerprint(conn_id: str, refresh_token: str) -> str:
    """Return a hash that identifies a refresh token without revealing it."""
    return hashlib.sha256(f"{conn_id}\0{refresh_token}".encode()).hexdigest()[:32]
