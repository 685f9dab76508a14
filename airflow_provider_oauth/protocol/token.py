"""A token, and the rules for when it is usable and when it is due for renewal."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Fraction of a token's lifetime after which the token is due for renewal. It stays usable until shortly before it
#: expires.
DUE = 0.75
#: Maximum leeway as a fraction of the token's lifetime, so that short-lived tokens can be used.
LEEWAY_SHARE = 0.1


def is_sendable(access_token: str) -> bool:
    """Return whether a token can be sent in a header: it has only visible ASCII characters (RFC 6750 section 2.1)."""
    return access_token != "" and all("\x21" <= char <= "\x7e" for char in access_token)


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token that the token endpoint issued (RFC 6749 section 5.1).

    :param access_token: the access token
    :param token_type: type as the server sent it
    :param issued_at: time when the token was requested, with a time zone; the token's lifetime starts then
    :param expires_at: time when the token expires, with a time zone; None if it never expires. A token that expires at
        ``issued_at`` is single-use
    :param refresh_token: the refresh token in the response, if there is one
    :param scope: granted scope, separated by spaces; None if it is the same as the requested scope (section 5.1)
    :param base_url: the API's base URL, if the response contains it (``response_map``)
    :param refresh_expires_at: time when the current refresh token expires if it is not used; None if not known
    :param subject: the user whom the token is for, if the response contains an ID token
    :param callback: the values that are kept with the grant: callback values (``callback_map``) by the callback's
        parameter, and lookup values by their names
    """

    access_token: str = field(repr=False)
    token_type: str = "Bearer"  # noqa: S105 - a type, not a token
    issued_at: datetime
    expires_at: datetime | None
    refresh_token: str | None = field(default=None, repr=False)
    scope: str | None = None
    base_url: str | None = None
    refresh_expires_at: datetime | None = None
    subject: str | None = field(default=None, repr=False)
    callback: Mapping[str, str] = field(default_factory=dict)

    @property
    def lifetime(self) -> timedelta | None:
        """Time between the request for the token and its expiry; None if it never expires."""
        return None if self.expires_at is None else self.expires_at - self.issued_at

    @property
    def never_expires(self) -> bool:
        """Whether the token has no expiry. Such a token has no refresh token. It is used until the API refuses it."""
        return self.expires_at is None

    @property
    def is_single_use(self) -> bool:
        """Whether the token has a lifetime of zero. Such a token is used for one request and not stored."""
        return self.expires_at is not None and self.expires_at <= self.issued_at

    def usable(self, now: datetime, leeway: float) -> bool:
        """Return whether the token may be sent.

        :param now: the current time, with a time zone
        :param leeway: how many seconds before its expiry the token stops being usable; at most a tenth of its lifetime
        """
        if self.expires_at is None:
            return True
        lifetime = (self.expires_at - self.issued_at).total_seconds()
        return now < self.expires_at - timedelta(seconds=min(leeway, LEEWAY_SHARE * lifetime))

    def due(self, now: datetime, jitter: float = 0.0) -> bool:
        """Return whether the token should be renewed.

        :param now: the current time, with a time zone
        :param jitter: fraction of the lifetime by which the token is due earlier; it is different in each process, so
            that not all processes renew at the same time
        """
        lifetime = self.lifetime
        return lifetime is not None and now >= self.issued_at + (DUE - jitter) * lifetime


#: Scopes that give no access to an API: they request an ID token and a refresh token. oidc-provider does not list them
#: in the granted scope.
NO_ACCESS = {"openid", "offline_access"}


def missing_scopes(requested: str | None, token: Token) -> tuple[str, ...]:
    """Return the scopes that were requested but not granted (RFC 6749 section 5.1).

    :param requested: requested scope, separated by spaces
    :param token: the issued token; if it has no scope, the requested scope was granted
    :return: the missing scopes, sorted
    """
    if token.scope is None:
        return ()
    # GitHub separates granted scopes with commas, even if the request used spaces.
    granted = {*token.scope.split(), *re.split(r"[\s,]+", token.scope)}
    return tuple(sorted(set((requested or "").split()) - granted - NO_ACCESS))
