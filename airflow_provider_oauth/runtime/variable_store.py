"""The token store on Airflow Variables."""

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
    """Keeps a connection's record in the Variable ``oauth_token__<conn_id>``, sealed.

    In clear stand the format's version, the key's id and salt, generation, nonces of the connection's
    own refresh tokens, when the token ends, and after wrong credentials what the server said and until when nobody asks
    again; sealed are the tokens and their scopes. The lease is the Variable ``oauth_lease__<conn_id>``, a nonce.

    :param config: the connection
    """

    def __init__(self, config: OAuthConfig) -> None:
        self.conn_id = self._conn_id = config.conn_id
        self._config = config
        self._encryption = RecordEncryption(config)
        # Opens records that were sealed before secret_headers and secret_params became part of the key.
        self._earlier_encryption = RecordEncryption(replace(config, secret_headers={}, secret_params={}))
        self._connection = config.version
        self._salt: bytes | None = None
        self._variable = airflow_variables.variable_name("oauth_token__", config.conn_id)
        self._lease = airflow_variables.variable_name("oauth_lease__", config.conn_id)
        self.name = f"the Airflow Variable {self._variable}"

    def read(self) -> Record | None:
        """Return the record, opened if it is ours; None if there seems to be none.

        A Variable that is missing and one that could not be read look the same, but for errors that Airflow raises.

        :raises TokenStoreError: if Airflow raised one
        """
        with self._told_apart("read"):
            text = airflow_variables.get_variable(self._variable)
        return None if text is None else self._decode(text)

    def write(self, record: Record) -> None:
        """Replace the record, and read it back: what cannot be read back was not kept.

        :raises TokenStoreError: if it was not kept
        """
        with self._told_apart("written"):
            airflow_variables.set_variable(
                self._variable, self._encode(record), f"Token of the connection {self._conn_id}. Do not edit."
            )
        kept = self.read()
        if kept is None or (kept.nonce != record.nonce and kept.generation <= record.generation):
            raise TokenStoreError(
                f"Connection {self._conn_id!r}: {self.name} was written, but reads differently. Look for an "
                f"environment variable or a secrets backend that holds a Variable of the same name."
            )

    def is_listed(self) -> bool | None:
        """Tell whether the record's Variable is among all Variables; None in a task on Airflow 3.2, which cannot say.

        :raises TokenStoreError: if they cannot be listed now; a failed read would look like absence
        """
        with self._told_apart("listed"):
            return airflow_variables.is_listed(self._variable)

    def read_lease(self) -> str | None:
        """Return the nonce in the lease; None if there seems to be none.

        :raises TokenStoreError: if Airflow raised an error
        """
        with self._told_apart("read"):
            return airflow_variables.get_variable(self._lease)

    def lease_is_listed(self) -> bool | None:
        """Tell whether the lease's Variable is among all Variables, as ``is_listed`` does for the record's."""
        with self._told_apart("listed"):
            return airflow_variables.is_listed(self._lease)

    def write_lease(self, nonce: str) -> None:
        """Put ``nonce`` into the lease.

        :raises TokenStoreError: if Airflow raised an error
        """
        with self._told_apart("written"):
            airflow_variables.set_variable(
                self._lease, nonce, f"Who renews the token of the connection {self._conn_id}. Do not edit."
            )

    @contextmanager
    def _told_apart(self, what: str) -> Iterator[None]:
        """Turn whatever Airflow raises into our own error."""
        try:
            yield
        except Exception as error:
            raise TokenStoreError(
                f"Connection {self._conn_id!r}: {self.name} could not be {what} ({type(error).__name__})."
            ) from error

    def _encode(self, record: Record) -> str:
        values = dict(record.raw) if record.raw else self._sealed(record)
        values["nonce"] = record.nonce
        values.pop("refused", None)
        if record.refused:
            salt = base64.b64decode(values["salt"])
            values["refused"] = {
                "until": record.refused.until.isoformat(),
                "unrecognized_since": _text(record.refused.unrecognized_since),
                "error": to_event(record.refused.error),
                "connection": self._encryption.fingerprint(self._connection, salt),
            }
        return json.dumps(values)

    def _sealed(self, record: Record) -> dict[str, Any]:
        if self._salt is None:
            self._salt = os.urandom(SALT_BYTES)
        content = {
            "refresh_token": record.refresh_token,
            "refresh_expires_at": _text(record.refresh_expires_at),
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
            "expires_at": _text(own.expires_at) if own else None,
            **(
                {"sealed": self._encryption.encrypt(content, self._salt)}
                if self._encryption.has_key
                else {"open": content}
            ),
        }

    def _decode(self, text: str) -> Record:
        """Return the record in ``text``; an unreadable one where it is not ours, a damaged one where it is none."""
        try:
            values = dict(json.loads(text))
            salt = base64.b64decode(values["salt"], validate=True)
            clear = Record(
                generation=int(values["generation"]),
                nonce=str(values["nonce"]),
                used_refresh_tokens=tuple(map(str, values["origins"])),
                readable=False,
                refused=self._refusal(values.get("refused"), salt),
                raw=values,
            )
            encryption = self._encryption_of(values["key_id"], salt) if values["format"] == FORMAT else None
            if encryption is None:
                return clear
            self._salt = salt
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            log.error("Connection %r: %s does not hold a token record.", self._conn_id, self.name)
            return Record(readable=False, corrupt=True)
        try:
            content = encryption.decrypt(values["sealed"], salt) if encryption.has_key else values["open"]
            return replace(
                clear,
                readable=True,
                tokens=self._tokens(content["tokens"]),
                refresh_token=_string_or_none(content["refresh_token"]),
                refresh_expires_at=_time_or_none(content.get("refresh_expires_at")),  # not in the first release
                subject=_string_or_none(content.get("subject")),
                raw={},
            )
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            log.error("Connection %r: the token in %s is damaged.", self._conn_id, self.name)
            return clear

    def _encryption_of(self, key_id: Any, salt: bytes) -> RecordEncryption | None:
        """Return the seal that a record was written with; None if it is of another connection."""
        if key_id == self._encryption.key_id(salt):
            return self._encryption
        # Never for an unsealed record: its key ID proves nothing, because anyone can compute it.
        if self._earlier_encryption.has_key and key_id == self._earlier_encryption.key_id(salt):
            return self._earlier_encryption
        return None

    def _tokens(self, values: Mapping[str, Any]) -> dict[str, Token]:
        """Return the stored tokens, without those whose base URL would not be valid in the connection's own field."""
        tokens = {str(scope): _token(token) for scope, token in values.items()}
        for scope, token in list(tokens.items()):
            if token.base_url is not None and url_problem(token.base_url, allow_http=self._config.allow_http):
                log.error("Connection %r: the base URL stored in %s is not valid.", self._conn_id, self.name)
                del tokens[scope]
        return tokens

    def _refusal(self, values: Any, salt: bytes) -> Refusal | None:
        """Return the refusal, if it was of the connection as it is now: a changed one is tried at once."""
        try:
            if values["connection"] != self._encryption.fingerprint(self._connection, salt):
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
        "expires_at": _text(token.expires_at),  # null: the token never expires
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


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time_or_none(text: str | None) -> datetime | None:
    return None if text is None else _time(text)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
