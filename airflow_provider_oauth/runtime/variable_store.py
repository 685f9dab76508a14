"""Stores records and leases in Airflow Variables."""

from __future__ import annotations

import base64
import json
import logging
import os
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.exceptions import TokenStoreError, from_event, to_event
from airflow_provider_oauth.protocol.config import url_problem
from airflow_provider_oauth.protocol.token import Token, is_sendable
from airflow_provider_oauth.runtime import airflow_variables
from airflow_provider_oauth.runtime.encryption import RecordEncryption
from airflow_provider_oauth.tokens.record import Record, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig

log = logging.getLogger(__name__)

FORMAT = 1
SALT_BYTES = 16


class VariableTokenStore:
    """Stores the record and the lease of a connection in ``oauth_token__<conn_id>`` and ``oauth_lease__<conn_id>``.

    The record's tokens, scopes and subject are encrypted. Not encrypted are: the version of the format, ID and salt of
    the key, generation, nonce, fingerprints of the connection's own refresh tokens that were used, when the token
    expires, and the last refusal. The lease is a nonce.

    :param config: the settings of the connection
    """

    def __init__(self, config: OAuthConfig) -> None:
        self.conn_id = config.conn_id
        self._config = config
        self._encryption = RecordEncryption(config)
        # For records that were encrypted before secret_headers and secret_params became part of the key.
        self._earlier_encryption = RecordEncryption(replace(config, secret_headers={}, secret_params={}))
        self._salt: bytes | None = None
        self._record_variable = airflow_variables.variable_name("oauth_token__", config.conn_id)
        self._lease_variable = airflow_variables.variable_name("oauth_lease__", config.conn_id)
        self.name = f"the Airflow Variable {self._record_variable}"

    def read(self) -> Record | None:
        """Return the record, decrypted if it is readable; None if there is none or if the read failed without an error.

        :raises TokenStoreError: if Airflow raised an error
        """
        with self._errors_converted("read", self._record_variable):
            text = airflow_variables.get_variable(self._record_variable)
        return None if text is None else self._decode(text)

    def write(self, record: Record) -> None:
        """Replace the record, and read it back to check that it was stored.

        :raises TokenStoreError: if it was not stored
        """
        description = f"Token of the connection {self.conn_id}. Do not edit."
        with self._errors_converted("written", self._record_variable):
            airflow_variables.set_variable(self._record_variable, self._encode(record), description)
        stored = self.read()
        if stored is None or (stored.nonce != record.nonce and stored.generation <= record.generation):
            raise TokenStoreError(
                f"Connection {self.conn_id!r}: {self.name} has another value than the one that was written. Check "
                f"whether an environment variable or a secrets backend defines a Variable of the same name."
            )

    def is_listed(self) -> bool | None:
        """Return whether the list of Variables contains the record's; None if a task cannot list them.

        Unlike ``read``, it distinguishes a missing Variable from a failed read.

        :raises TokenStoreError: if Airflow raised an error
        """
        with self._errors_converted("listed", self._record_variable):
            return airflow_variables.is_listed(self._record_variable)

    def read_lease(self) -> str | None:
        """Return the nonce in the lease; None if there is none or if the read failed without an error.

        :raises TokenStoreError: if Airflow raised an error
        """
        with self._errors_converted("read", self._lease_variable):
            return airflow_variables.get_variable(self._lease_variable)

    def lease_is_listed(self) -> bool | None:
        """Return whether the list of Variables contains the lease's, as ``is_listed`` does for the record's."""
        with self._errors_converted("listed", self._lease_variable):
            return airflow_variables.is_listed(self._lease_variable)

    def write_lease(self, nonce: str) -> None:
        """Write ``nonce`` to the lease.

        :raises TokenStoreError: if Airflow raised an error
        """
        description = f"Coordinates renewals of the token of the connection {self.conn_id}. Do not edit."
        with self._errors_converted("written", self._lease_variable):
            airflow_variables.set_variable(self._lease_variable, nonce, description)

    @contextmanager
    def _errors_converted(self, action: str, variable: str) -> Iterator[None]:
        """Raise a ``TokenStoreError`` instead of any error of Airflow."""
        try:
            yield
        except Exception as error:
            raise TokenStoreError(
                f"Connection {self.conn_id!r}: the Airflow Variable {variable} could not be {action} "
                f"({type(error).__name__}). Check that Airflow's API server and database are available."
            ) from error

    def _encode(self, record: Record) -> str:
        values = dict(record.raw) if record.raw else self._encrypted(record)
        values["nonce"] = record.nonce
        values.pop("refused", None)
        if record.refused:
            salt = base64.b64decode(values["salt"])
            values["refused"] = {
                "until": record.refused.until.isoformat(),
                "unrecognized_since": _to_text(record.refused.unrecognized_since),
                "error": to_event(record.refused.error),
                "connection": self._encryption.fingerprint(self._config.version, salt),
            }
        return json.dumps(values)

    def _encrypted(self, record: Record) -> dict[str, Any]:
        if self._salt is None:
            self._salt = os.urandom(SALT_BYTES)
        content = {
            "refresh_token": record.refresh_token,
            "refresh_expires_at": _to_text(record.refresh_expires_at),
            "subject": record.subject,
            "tokens": {scope: _token_values(token) for scope, token in record.tokens.items()},
        }
        own = record.tokens.get("")
        return {
            "format": FORMAT,
            "key_id": self._encryption.key_id(self._salt),
            "salt": base64.b64encode(self._salt).decode(),
            "generation": record.generation,
            "origins": record.used_refresh_tokens,
            "expires_at": _to_text(own.expires_at) if own else None,
            **(
                {"sealed": self._encryption.encrypt(content, self._salt)}
                if self._encryption.has_key
                else {"open": content}
            ),
        }

    def _decode(self, text: str) -> Record:
        """Return the record in ``text``: unreadable if it has another key or format, corrupt if it is no record."""
        try:
            values = dict(json.loads(text))
            salt = base64.b64decode(values["salt"], validate=True)
            unreadable = Record(
                generation=int(values["generation"]),
                nonce=str(values["nonce"]),
                used_refresh_tokens=tuple(map(str, values["origins"])),
                readable=False,
                refused=self._refusal(values.get("refused"), salt),
                raw=values,
            )
            encryption = self._matching_encryption(values["key_id"], salt) if values["format"] == FORMAT else None
            if encryption is None:
                return unreadable
            self._salt = salt
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            log.error("Connection %r: %s does not contain a token record.", self.conn_id, self.name)
            return Record(readable=False, corrupt=True)
        try:
            content = encryption.decrypt(values["sealed"], salt) if encryption.has_key else values["open"]
            return replace(
                unreadable,
                readable=True,
                tokens=self._tokens(content["tokens"]),
                refresh_token=_string_or_none(content["refresh_token"]),
                refresh_expires_at=_time_or_none(content.get("refresh_expires_at")),  # not in the first release
                subject=_string_or_none(content.get("subject")),
                raw={},
            )
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            log.error("Connection %r: the tokens in %s are damaged, so they are not used.", self.conn_id, self.name)
            return unreadable

    def _matching_encryption(self, key_id: Any, salt: bytes) -> RecordEncryption | None:
        """Return the encryption that a record was written with; None if it has the key of other settings."""
        if key_id == self._encryption.key_id(salt):
            return self._encryption
        # Not for an unencrypted record: anyone can compute its key ID, so it proves nothing.
        if self._earlier_encryption.has_key and key_id == self._earlier_encryption.key_id(salt):
            return self._earlier_encryption
        return None

    def _tokens(self, values: Mapping[str, Any]) -> dict[str, Token]:
        """Return the stored tokens, without those whose base URL the connection does not allow."""
        tokens = {str(scope): _token(token) for scope, token in values.items()}
        for scope, token in list(tokens.items()):
            if token.base_url is not None and url_problem(token.base_url, allow_http=self._config.allow_http):
                log.error(
                    "Connection %r: the base URL stored in %s is not valid, so the token is not used.",
                    self.conn_id,
                    self.name,
                )
                del tokens[scope]
        return tokens

    def _refusal(self, values: Any, salt: bytes) -> Refusal | None:
        """Return the stored refusal; None if the connection has changed since, so that it is tried again."""
        try:
            if values["connection"] != self._encryption.fingerprint(self._config.version, salt):
                return None
            return Refusal(
                error=from_event(values["error"]),
                until=_time(values["until"]),
                unrecognized_since=_time_or_none(values.get("unrecognized_since")),  # not in the first release
            )
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
            return None


def _token_values(token: Token) -> dict[str, Any]:
    return {
        "access_token": token.access_token,
        "token_type": token.token_type,
        "issued_at": token.issued_at.isoformat(),
        "expires_at": _to_text(token.expires_at),  # null: the token never expires
        "scope": token.scope,
        "base_url": token.base_url,
    }


def _token(values: Mapping[str, Any]) -> Token:
    times = {"issued_at": _time(values["issued_at"]), "expires_at": _time_or_none(values["expires_at"])}
    token = Token(**{**values, **times})
    if not isinstance(token.access_token, str) or not is_sendable(token.access_token):
        raise ValueError("the access token cannot be sent in a header")
    for text in (token.token_type, token.scope, token.base_url):
        _string_or_none(text)
    return token


def _string_or_none(value: Any) -> str | None:
    """Return ``value``.

    :raises TypeError: if it is neither a string nor None
    """
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _to_text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time_or_none(text: str | None) -> datetime | None:
    return None if text is None else _time(text)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
