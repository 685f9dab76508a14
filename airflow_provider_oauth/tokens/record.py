"""Where the token of a connection is kept: the record, and what a store of it has to do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_oauth.exceptions import OAuthError
    from airflow_provider_oauth.protocol.token import Token


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Credentials or a refresh token that the server refused; repeated requests with them may lock the account.

    :param error: the refusal
    :param until: when they may be sent again
    :param unrecognized_since: when the server first refused in words that this package does not recognize; None if it
        did so in words that it does
    """

    error: OAuthError
    until: datetime
    unrecognized_since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is stored of one connection.

    :param generation: goes up by one with every renewal
    :param nonce: of the claim under which it was written, see ``lease.py``
    :param used_refresh_tokens: fingerprints of the connection's own refresh tokens that were used, the latest last
    :param readable: whether it is ours to use; False if it was sealed for another secret, user, URL or scope
    :param corrupt: whether it is not a record at all, but say the ``***`` of an export that was imported again
    :param tokens: the access tokens, by the scope that they were asked for; "" is the connection's own
    :param refresh_token: the one that the next renewal uses
    :param refresh_expires_at: when that ends if nobody uses it; None: not known
    :param subject: which of the server's users has consented, if that is known
    :param refused: that the connection, as it is now, was refused last
    :param raw: all that stands in a record that is not readable: it is written back as it was
    """

    generation: int = 0
    nonce: str = ""
    used_refresh_tokens: tuple[str, ...] = ()
    readable: bool = True
    corrupt: bool = False
    tokens: Mapping[str, Token] = field(default_factory=dict)
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_at: datetime | None = None
    subject: str | None = field(default=None, repr=False)
    refused: Refusal | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


class TokenStore(Protocol):
    """Keeps the record and the lease of one connection, for all processes on all hosts: two plain registers."""

    #: Where a person finds it, for error messages.
    name: str

    def read(self) -> Record | None:
        """Return the record; None if there seems to be none (a failed read can look the same).

        :raises TokenStoreError: if the read failed and says so
        """

    def write(self, record: Record) -> None:
        """Replace the record.

        :raises TokenStoreError: if it could not be written, or cannot be read back
        """

    def is_listed(self) -> bool | None:
        """Tell whether there is a record, in a way that fails where ``read`` says None; None if there is no such way.

        :raises TokenStoreError: if that cannot be told now
        """

    def read_lease(self) -> str | None:
        """Return the nonce in the lease; None if there seems to be no lease (a failed read can look the same).

        :raises TokenStoreError: if the read failed and says so
        """

    def lease_is_listed(self) -> bool | None:
        """Tell whether there is a lease, as ``is_listed`` does for the record."""

    def write_lease(self, nonce: str) -> None:
        """Put ``nonce`` into the lease, whatever is there.

        :raises TokenStoreError: if that failed, or seems to have
        """


def fingerprint(conn_id: str, refresh_token: str) -> str:
    """Return what tells ``refresh_token`` from another, and no more than that."""
    return hashlib.sha256(f"{conn_id}\0{refresh_token}".encode()).hexdigest()[:32]
