"""What the classes of this package need for the tokens of one connection: its settings, endpoint, store and lock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.metrics import no_report
from airflow_provider_oauth.tokens.grant_state import GrantState

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.metrics import Report
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.record import Record, TokenStore

#: How long a single-use token stays masked: longer than the request that uses it.
SINGLE_USE_MASKED = timedelta(hours=1)


class Endpoint(Protocol):
    """The token endpoint and the revocation endpoint, as ``TokenEndpoint`` implements them."""

    def grant(self, scope: str | None = None, *, retry: bool = True) -> Token:
        """Request a token with the client credentials or password grant."""

    def refresh(self, refresh_token: str, access_token: str | None = None, *, retry: bool = True) -> Token:
        """Request a token with a refresh token. Some servers also need the previous access token."""

    def revoke(self, token: str, hint: str) -> bool:
        """Revoke a token; return False if the server cannot revoke tokens of this type."""


class Lock(Protocol):
    """Allows only one process of a host at a time to renew, as ``HostLock`` implements it."""

    def acquire(self) -> bool:
        """Take the lock without waiting; return whether this process has it."""

    def release(self) -> None:
        """Release the lock if this process has it."""


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """The settings of one connection, and the objects that are needed to renew its tokens.

    :param config: the connection
    :param endpoint: issues and revokes tokens
    :param store: stores the record and the lease
    :param host_lock: allows only one process of this host at a time to renew
    :param clock: the clocks
    :param mask: called with each secret before it can be logged, and with the time until which it must be masked; None
        for the lifetime of the process
    :param report: reports metrics of the connection
    :param page: URL of the page on which a user authorizes the connection; "" if it is unknown
    """

    config: OAuthConfig
    endpoint: Endpoint
    store: TokenStore
    host_lock: Lock
    clock: Clock = field(default_factory=Clock)
    mask: Callable[[str, datetime | None], None] = lambda secret, until: None
    report: Report = no_report
    page: str = ""

    def grant_state(self, record: Record | None) -> GrantState:
        """Return the state of the connection's grant according to ``record``."""
        return GrantState(self.config, record, self.store.name, self.page)

    def mask_issued(self, token: Token, used_refresh_token: str | None = None) -> None:
        """Mask the secrets of a token that was just issued.

        :param token: the token, with its refresh token if there is one
        :param used_refresh_token: the refresh token that was used to get ``token``. If the server has replaced this
            refresh token, it need not be masked much longer.
        """
        now = self.clock.now()
        self.mask(token.access_token, now + SINGLE_USE_MASKED if token.is_single_use else token.expires_at)
        if token.refresh_token:
            self.mask(token.refresh_token, None)
            if used_refresh_token and used_refresh_token != token.refresh_token:
                self.mask(used_refresh_token, now)
