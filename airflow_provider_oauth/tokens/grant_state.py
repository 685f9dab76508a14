"""Interprets a stored record: whether its tokens belong to the connection, and what a renewal would use. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_oauth.exceptions import ConfigurationError, ConsentRequired, RecordLocked
from airflow_provider_oauth.tokens.record import fingerprint

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.record import Record

#: How many fingerprints of used refresh tokens a record keeps.
MAX_USED_REFRESH_TOKENS = 20
#: Why stored tokens cannot be read, as the end of a sentence.
OTHER_SETTINGS = (
    "were stored for a different client, secret, user, URL or scope than the connection has now, or are corrupt"
)


@dataclass(frozen=True)
class GrantState:
    """The state of a connection's grant, according to the stored record and the current settings of the connection.

    :param config: the current settings of the connection
    :param record: the stored record; None if nothing is stored
    :param location: where a user finds the record, for error messages
    :param page: URL of the page on which a user authorizes the connection; "" if it is unknown
    """

    config: OAuthConfig
    record: Record | None
    location: str
    page: str = ""

    @property
    def matches_connection(self) -> bool:
        """Whether the record's tokens were issued for the client, secret, user, URL and scope of the connection.

        If a refresh token is entered in the connection, the tokens must have been obtained with this refresh token.
        """
        return self.matching_record is not None

    @cached_property
    def matching_record(self) -> Record | None:
        """The record, if it matches the connection."""
        record = self.record
        if record is None or not record.readable:
            return None
        own = self._own_fingerprint
        return record if own is None or own in record.used_refresh_tokens else None

    def token(self, key: str = "") -> Token | None:
        """Return the stored token of this connection, with the callback values; it may have expired.

        :param key: the scope; "" for the scope of the connection
        """
        record = self.matching_record
        token = record.tokens.get(key) if record else None
        return replace(token, callback=record.callback) if record and token and record.callback else token

    @property
    def never_expires(self) -> bool:
        """Whether the record holds a token of this connection that never expires."""
        token = self.token()
        return token is not None and token.never_expires

    @property
    def lacks_key(self) -> bool:
        """Whether processes that have only a new private key would lose the grant, because they cannot decrypt it."""
        return self.config.requires_refresh_token and self.record is not None and self.record.lacks_key

    def uses_refresh_token(self, key: str = "") -> bool:
        """Return whether a renewal would use a refresh token. All refresh tokens are treated as single-use.

        :param key: the scope; "" for the scope of the connection
        """
        if self.config.requires_refresh_token:
            return True
        record = self.matching_record
        return self.config.use_refresh and not key and record is not None and record.refresh_token is not None

    def refresh_token(self, key: str = "") -> str | None:
        """Return the refresh token that a renewal uses; None if a renewal repeats the grant instead.

        The refresh token that is entered in the connection is used only if the record does not list it as used.

        :param key: the scope; "" for the scope of the connection
        :raises ConsentRequired: if this grant requires a refresh token and none is usable
        :raises RecordLocked: if this process cannot decrypt the record now
        """
        if not self.config.requires_refresh_token:
            return self.record.refresh_token if self.record and self.uses_refresh_token(key) else None
        own, record = self.config.refresh_token, self.record
        if record is None:
            if own is None:
                raise self.consent_required("no refresh token is stored yet")
            return own
        if record.corrupt:
            raise self.consent_required(f"{self.location} is corrupt. Delete it")
        if own is not None and self._own_fingerprint not in record.used_refresh_tokens:
            return own
        if record.locked:
            raise record.locked
        if not record.readable:
            raise self.consent_required(f"the tokens in {self.location} cannot be used, because they {OTHER_SETTINGS}")
        if record.refresh_token is None and self.never_expires:
            raise self.consent_required(
                "the API refused the access token. This token never expires and has no refresh token, so it cannot be "
                "renewed"
            )
        if record.refresh_token is None:
            raise self.consent_required(
                "no refresh token is stored, because the server issued none or the tokens were forgotten"
            )
        return record.refresh_token

    @cached_property
    def needs_consent(self) -> bool:
        """Whether a user must authorize: there is no usable refresh token, and no token that never expires.

        It is False if the record is locked, because it is not known then.
        """
        if not self.config.requires_refresh_token:
            return False
        if self.record and self.record.refused and isinstance(self.record.refused.error, ConsentRequired):
            return True
        try:
            return self.refresh_token() is None
        except RecordLocked:
            return False
        except ConsentRequired:
            return not self.never_expires

    @property
    def consent_by(self) -> datetime | None:
        """The time until which the token must be renewed, so that no user must authorize again.

        It is None if it is not known, or if a user must authorize already.
        """
        if not self.config.requires_refresh_token or self.needs_consent:
            return None
        return self.matching_record.refresh_expires_at if self.matching_record else None

    def check_is_renewable(self) -> None:
        """Raise an error if only a new authorization can replace the stored token.

        :raises ConsentRequired: if the token never expires
        """
        if self.never_expires:
            raise ConsentRequired(
                f"Connection {self.config.conn_id!r}: the token never expires and has no refresh token, so it cannot "
                f"be renewed. It stays in use until the API refuses it. To replace it, authorize the connection again."
            )

    def tokens_to_revoke(self) -> list[tuple[str, str]]:
        """Return all known tokens, each with its type.

        Refresh tokens come first, because most servers revoke the access tokens together with the refresh token.

        :raises ConfigurationError: if the stored tokens cannot be decrypted
        :raises RecordLocked: if this process cannot decrypt them now
        """
        own = self.config.own_refresh_token
        record = self.record
        is_used = record is not None and self._own_fingerprint in record.used_refresh_tokens
        tokens = {own: "refresh_token"} if own and not is_used else {}
        if record:
            if record.locked:
                raise record.locked
            if not record.readable:
                raise ConfigurationError(
                    f"Connection {self.config.conn_id!r}: the tokens in {self.location} cannot be revoked, because "
                    f"they {OTHER_SETTINGS}. Revoke the access at the server, then forget the tokens here."
                )
            if record.refresh_token:
                tokens[record.refresh_token] = "refresh_token"
            tokens |= {token.access_token: "access_token" for token in record.tokens.values()}
        return list(tokens.items())

    @property
    def used_refresh_tokens(self) -> tuple[str, ...]:
        """Fingerprints of the refresh tokens that were entered in the connection, the current one last.

        A record stores them, so that none of these refresh tokens is used again.
        """
        own = self._own_fingerprint
        used = [each for each in (self.record.used_refresh_tokens if self.record else ()) if each != own]
        return tuple([*used, own] if own else used)[-MAX_USED_REFRESH_TOKENS:]

    def consent_required(self, problem: str) -> ConsentRequired:
        """Return the error for a grant that only a user can renew.

        :param problem: what is wrong, without the period at its end
        """
        conn_id = self.config.conn_id
        advice = "Obtain a new refresh token and enter it in the connection's Refresh token field."
        if self.config.grant_type == "authorization_code":
            page = f"open {self.page}, or " if self.page else ""
            advice = f"A user must authorize the connection: {page}run airflow oauth authorize {conn_id}."
        return ConsentRequired(f"Connection {conn_id!r}: {problem}. {advice}")

    @cached_property
    def _own_fingerprint(self) -> str | None:
        own = self.config.own_refresh_token
        return fingerprint(self.config.conn_id, own) if own else None
