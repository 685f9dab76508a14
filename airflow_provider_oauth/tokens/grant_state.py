"""What a stored record means for a connection: whether it is its own, and which refresh token is used. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_oauth.exceptions import ConfigurationError, ConsentRequired
from airflow_provider_oauth.tokens.record import Record, fingerprint

if TYPE_CHECKING:
    from typing import TypeGuard

    from airflow_provider_oauth.protocol.config import OAuthConfig

#: How many of a connection's own refresh tokens are known to be spent.
REMEMBERED = 20


class GrantState:
    """Decides what a record means for one connection as it is now.

    :param config: the connection
    :param name: where a user finds the record, for error messages
    :param page: URL of the page on which a user authorizes the connection; "" if that is not known
    """

    def __init__(self, config: OAuthConfig, name: str, page: str = "") -> None:
        self._config = config
        self._name = name
        self._page = page
        own = config.refresh_token if config.requires_refresh_token else None
        self._own_fingerprint = fingerprint(config.conn_id, own) if own else None

    def matches_connection(self, record: Record | None) -> TypeGuard[Record]:
        """Tell whether the record was granted to the connection as it is now, and by the refresh token it has now."""
        if record is None or not record.readable:
            return False
        return self._own_fingerprint is None or self._own_fingerprint in record.used_refresh_tokens

    def uses_refresh_token(self, key: str, record: Record | None) -> bool:
        """Tell whether a renewal would use a refresh token: every one is taken to be single-use."""
        if self._config.requires_refresh_token:
            return True
        return (
            self._config.use_refresh
            and not key
            and self.matches_connection(record)
            and record.refresh_token is not None
        )

    def never_expires(self, record: Record | None) -> bool:
        """Tell whether the record holds a token of this connection that never expires."""
        token = record.tokens.get("") if self.matches_connection(record) else None
        return token is not None and token.never_expires

    def refresh_token(self, key: str, record: Record | None) -> str | None:
        """Return the refresh token to use; None if the grant is to be repeated.

        The connection's own is used only where no record has seen it.

        :raises ConsentRequired: if this grant requires a refresh token and none is usable
        """
        if not self._config.requires_refresh_token:
            return record.refresh_token if record and self.uses_refresh_token(key, record) else None
        own = self._config.refresh_token
        if record is None:
            if own is None:
                raise self.consent_required("it holds no refresh token yet")
            return own
        if record.corrupt:
            raise self.consent_required(f"{self._name} is damaged; delete it")
        if own is not None and self._own_fingerprint not in record.used_refresh_tokens:
            return own
        if not record.readable:
            raise self.consent_required(
                f"what {self._name} holds was granted to another client, secret, user, URL or scope"
            )
        if record.refresh_token is None and self.never_expires(record):
            raise self.consent_required("the API refused its token, which never expires and has no refresh token")
        if record.refresh_token is None:
            raise self.consent_required("no refresh token is stored: the server has issued none, or it was forgotten")
        return record.refresh_token

    def needs_consent(self, record: Record | None) -> bool:
        """Tell whether a user must authorize: no usable refresh token is left, and no token that never expires."""
        if not self._config.requires_refresh_token:
            return False
        if record and record.refused and isinstance(record.refused.error, ConsentRequired):
            return True
        try:
            return self.refresh_token("", record) is None
        except ConsentRequired:
            return not self.never_expires(record)

    def check_is_renewable(self, record: Record | None) -> None:
        """Raise if the stored token cannot be renewed, only replaced by a new consent.

        :param record: what is stored
        :raises ConsentRequired: if the token never expires; it stays in use
        """
        if self.never_expires(record):
            raise self.consent_required("its token never expires and has no refresh token, so it cannot be renewed")

    def tokens_to_revoke(self, record: Record | None) -> list[tuple[str, str]]:
        """Return all tokens that are known, the refresh tokens first: most servers take the others back with them.

        :raises ConfigurationError: if what is stored cannot be opened
        """
        own = self._config.refresh_token if self._config.requires_refresh_token else None
        spent = record is not None and self._own_fingerprint in record.used_refresh_tokens
        tokens = {own: "refresh_token"} if own and not spent else {}
        if record:
            if not record.readable:
                raise ConfigurationError(
                    f"Connection {self._config.conn_id!r}: what {self._name} holds was granted to another "
                    f"client, secret, user, URL or scope, or is damaged. It cannot be opened, so it cannot be revoked. "
                    f"Revoke the access at the server, then forget the tokens here."
                )
            if record.refresh_token:
                tokens[record.refresh_token] = "refresh_token"
            tokens |= {token.access_token: "access_token" for token in record.tokens.values()}
        return list(tokens.items())

    def used_refresh_tokens(self, record: Record | None) -> tuple[str, ...]:
        """Return the fingerprints of the connection's own refresh tokens, this one last: none of them is used again."""
        seen = [origin for origin in (record.used_refresh_tokens if record else ()) if origin != self._own_fingerprint]
        return tuple([*seen, self._own_fingerprint] if self._own_fingerprint else seen)[-REMEMBERED:]

    def consent_required(self, problem: str) -> ConsentRequired:
        """Return the error for a grant that only a user can give again.

        :param problem: what is wrong
        """
        conn_id = self._config.conn_id
        way = "Obtain a new refresh token and paste it into the connection's Refresh token field."
        if self._config.grant_type == "authorization_code":
            page = f"open {self._page}, or " if self._page else ""
            way = f"Have a user consent: {page}run airflow oauth authorize {conn_id}."
        return ConsentRequired(f"Connection {conn_id!r}: {problem}. {way}")
