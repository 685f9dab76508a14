"""A token, and whether it is still good."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta

#: The part of its life after which a token is renewed, though still used.
DUE = 0.75
#: The part of its life that the leeway may take at most, so that short-lived tokens are used at all.
LEEWAY_SHARE = 0.1


def is_sendable(access_token: str) -> bool:
    """Tell whether the token can be sent in a header: only visible ASCII, so it cannot add a header (RFC 6750)."""
    return access_token != "" and all("\x21" <= char <= "\x7e" for char in access_token)


@dataclass(frozen=True, kw_only=True)
class Token:
    """What the token endpoint issued (RFC 6749 section 5.1).

    :param access_token: goes into the header of API requests
    :param token_type: as the server says
    :param issued_at: when the request for it was sent; its life counts from there
    :param expires_at: when it ends; not after ``issued_at`` if it is single-use; None if it never expires
    :param refresh_token: the server's new one, if it sent one
    :param scope: what was granted, separated by spaces; None: what was asked (section 5.1)
    :param base_url: the API's base URL, where the answer names it (``response_map``)
    :param refresh_expires_at: when the refresh token that renews it ends if nobody uses it; None: not known
    :param subject: which of the server's users it speaks for, if the answer says so
    """

    access_token: str = field(repr=False)
    token_type: str = "Bearer"  # noqa: S105 - a type, no token
    issued_at: datetime
    expires_at: datetime | None
    refresh_token: str | None = field(default=None, repr=False)
    scope: str | None = None
    base_url: str | None = None
    refresh_expires_at: datetime | None = None
    subject: str | None = field(default=None, repr=False)

    @property
    def lifetime(self) -> timedelta | None:
        """Time from the request for the token to its end; None if it never expires."""
        return None if self.expires_at is None else self.expires_at - self.issued_at

    @property
    def never_expires(self) -> bool:
        """Whether the token is used until the API refuses it. Such a token was issued without a refresh token."""
        return self.expires_at is None

    @property
    def is_single_use(self) -> bool:
        """Whether the token has no lifetime: it is sent with one request and not stored."""
        return self.expires_at is not None and self.expires_at <= self.issued_at

    def usable(self, now: datetime, leeway: float) -> bool:
        """Tell whether it may still be sent.

        :param now: aware time of day
        :param leeway: seconds before its end from which it is not used, at most a tenth of its life
        """
        if self.expires_at is None:
            return True
        lifetime = (self.expires_at - self.issued_at).total_seconds()
        return now < self.expires_at - timedelta(seconds=min(leeway, LEEWAY_SHARE * lifetime))

    def due(self, now: datetime, jitter: float = 0.0) -> bool:
        """Tell whether it is time to renew it.

        :param now: aware time of day
        :param jitter: a part of its life, to renew earlier by: so that not all processes come at once
        """
        return self.lifetime is not None and now >= self.issued_at + (DUE - jitter) * self.lifetime


#: Scopes that request an ID token and a refresh token. They allow no access, so oidc-provider does not list them in
#: the scope of an access token.
NO_ACCESS = {"openid", "offline_access"}


def missing_scopes(requested: str | None, token: Token) -> tuple[str, ...]:
    """Return the scopes that were requested and not granted, sorted (RFC 6749 section 5.1).

    :param requested: separated by spaces
    :param token: what was issued; without a scope, it has all that were requested
    """
    if token.scope is None:
        return ()
    # GitHub separates granted scopes with commas, whatever the request used.
    granted = {*token.scope.split(), *re.split(r"[\s,]+", token.scope)}
    return tuple(sorted(set((requested or "").split()) - granted - NO_ACCESS))
