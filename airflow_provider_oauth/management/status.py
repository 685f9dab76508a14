"""The status of a connection and its grant, as one value for the page and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from airflow_provider_oauth.tokens.grant_state import OTHER_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

TokenState = Literal["usable", "expired", "none", "changed", "unknown"]
ConsentState = Literal["needed", "given", ""]


@dataclass(frozen=True, kw_only=True)
class ConnectionStatus:
    """What is known about a connection and its grant.

    :param conn_id: ID of the connection
    :param conn_type: type of the connection; "" if unknown
    :param config: the settings of the connection; None if they are invalid
    :param error: why the connection or its record cannot be read, or the server's last refusal; "" if there is no error
    :param is_known: whether the stored record was read; if not, the fields below have no meaning
    :param token: the stored token; None if none is stored for the connection as it is configured now
    :param usable: whether the stored token can still be sent
    :param changed: whether the stored tokens cannot be used, because they are corrupt, or the connection was changed
    :param locked: whether this process cannot decrypt the stored tokens, because it does not have the private key
    :param needs_consent: whether a user must authorize, because the token cannot be renewed without a user
    :param consent_by: when the refresh token expires. A user must authorize after that time, unless the token was
        renewed before. None if the time is unknown, or the refresh token never expires
    :param has_refresh_token: whether the next renewal uses a refresh token
    :param missing_scopes: scopes that were requested and not granted to the stored token
    :param callback: the callback values and lookup values that are stored with the tokens, by their names
    """

    conn_id: str
    conn_type: str = ""
    config: OAuthConfig | None = None
    error: str = ""
    is_known: bool = True
    token: Token | None = None
    usable: bool = False
    changed: bool = False
    locked: bool = False
    needs_consent: bool = False
    consent_by: datetime | None = None
    has_refresh_token: bool = False
    missing_scopes: tuple[str, ...] = ()
    callback: Mapping[str, str] = field(default_factory=dict)

    @property
    def token_state(self) -> TokenState:
        """The state of the stored token."""
        if not self.is_known or self.locked:
            return "unknown"
        if self.token is None:
            return "changed" if self.changed else "none"
        return "usable" if self.usable else "expired"

    @property
    def consent_state(self) -> ConsentState:
        """``needed`` if a user must authorize the connection, otherwise ``given``.

        It is "" if this is unknown, or if the grant needs no user.
        """
        if self.config is None or not self.is_known or self.locked or not self.config.requires_refresh_token:
            return ""
        return "needed" if self.needs_consent else "given"

    def problem(self, now: datetime) -> str:
        """Return why the connection needs a user's attention, and what to do; "" if it needs none.

        :param now: the current time, with a time zone
        """
        if self.error:
            return self.error
        if self.config is None:
            return ""
        if self.consent_by and self.consent_by <= now:
            reason = f"the refresh token expired on {self.consent_by:%Y-%m-%d}"
        elif self.consent_state != "needed":
            return ""
        elif self.changed:
            reason = f"the tokens {OTHER_SETTINGS}"
        else:
            reason = "no refresh token is stored"
        if self.config.grant_type == "authorization_code":
            return f"A user must authorize the connection: {reason}."
        return (
            f"The connection needs a new refresh token: {reason}. Obtain one and enter it in the field Refresh token."
        )
