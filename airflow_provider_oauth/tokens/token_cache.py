"""The tokens that this process has in memory."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.clock import Clock
    from airflow_provider_oauth.protocol.token import Token

#: Maximum fraction of a token's lifetime by which a process renews it earlier. Each process chooses a random fraction.
MAX_JITTER = 0.05
#: Sorts after the expiry of every token that expires.
NEVER = datetime.max.replace(tzinfo=UTC)


class TokenCache:
    """The tokens of one connection that this process has in memory, by scope ("" for the scope of the connection).

    No method waits or does I/O, and all threads may use it without a lock.

    :param clock: the clocks
    :param leeway: how many seconds before its expiry a token stops being usable
    :param mask: called with each token that ``best`` returns, and with its expiry
    """

    def __init__(self, clock: Clock, leeway: float, mask: Callable[[str, datetime | None], None]) -> None:
        self._clock = clock
        self._leeway = leeway
        self._mask = mask
        self._jitter = random.uniform(0, MAX_JITTER)  # noqa: S311 - it spreads load and protects nothing
        self._tokens: dict[str, Token] = {}

    def fresh(self, key: str, rejected: Token | None = None) -> Token | None:
        """Return the token if it is usable and not due for renewal.

        :param key: the scope
        :param rejected: a token that the API has refused; it is not returned
        """
        token = self._tokens.get(key)
        return token if self.is_fresh(token) and not is_same(token, rejected) else None

    def usable(self, key: str, rejected: Token | None = None) -> Token | None:
        """Return the token if it may still be sent.

        :param key: the scope
        :param rejected: a token that the API has refused; it is not returned
        """
        token = self._tokens.get(key)
        return token if self.is_usable(token) and not is_same(token, rejected) else None

    def best(self, key: str, rejected: Token | None, stored: Token | None) -> Token | None:
        """Return the token in memory or the stored one, whichever is usable and expires last, and put it in memory.

        :param key: the scope
        :param rejected: a token that the API has refused; it is not returned
        :param stored: the stored token, if there is one
        """
        known = [self._tokens.get(key), stored]
        usable = [token for token in known if self.is_usable(token) and not is_same(token, rejected)]
        best = max(usable, key=lambda token: token.expires_at or NEVER, default=None)
        if best:
            self._mask(best.access_token, best.expires_at)
            self._tokens[key] = best
        return best

    def get(self, key: str) -> Token | None:
        """Return the token, whether it is usable or not."""
        return self._tokens.get(key)

    def put(self, key: str, token: Token) -> Token:
        """Put a token in memory and return it."""
        self._tokens[key] = token
        return token

    def discard(self, key: str) -> None:
        """Remove the token of one scope from memory."""
        self._tokens.pop(key, None)

    def clear(self) -> None:
        """Remove all tokens from memory."""
        self._tokens.clear()

    def is_usable(self, token: Token | None) -> TypeGuard[Token]:
        """Return whether the token may still be sent."""
        return token is not None and token.usable(self._clock.now(), self._leeway)

    def is_fresh(self, token: Token | None) -> TypeGuard[Token]:
        """Return whether the token is usable and not due for renewal."""
        if token is None:
            return False
        now = self._clock.now()
        return token.usable(now, self._leeway) and not token.due(now, self._jitter)


def is_same(token: Token, other: Token | None) -> bool:
    """Return whether both are the same token."""
    return other is not None and token.access_token == other.access_token
