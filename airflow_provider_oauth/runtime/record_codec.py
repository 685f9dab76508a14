"""Converts records to the text that is stored, with their tokens encrypted, and back."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.exceptions import RecordLocked, from_event, to_event
from airflow_provider_oauth.protocol.api_hosts import is_api_host
from airflow_provider_oauth.protocol.callback_values import is_valid
from airflow_provider_oauth.protocol.config import url_problem
from airflow_provider_oauth.protocol.token import Token, is_sendable
from airflow_provider_oauth.runtime.data_key import PrivateKeys
from airflow_provider_oauth.runtime.keyring import UNKNOWN_KEY, Keyring
from airflow_provider_oauth.tokens.record import Record, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.runtime.encryption import RecordEncryption

log = logging.getLogger(__name__)

FORMAT = 1


class RecordCodec:
    """Encodes and decodes the record of one connection, as JSON.

    The record's tokens, scopes, subject and callback values are encrypted. The following values are not encrypted: the
    version of the format, the ID and salt of the key, the generation, the nonce, the fingerprints of used refresh
    tokens that were entered in the connection, the time when the token expires, the last refusal, and when each private
    key was in a file last.

    A record that is encoded keeps the key of the record that was decoded last. So a process that can decrypt the record
    can still decrypt it after another process wrote it.

    :param config: the settings of the connection
    :param location: where a user finds the record, for log messages
    :param private_keys: the private keys in its files; None for those that this process reads
    """

    def __init__(self, config: OAuthConfig, location: str, private_keys: PrivateKeys | None = None) -> None:
        self._config = config
        self._location = location
        self._keyring = Keyring(config, location, private_keys or PrivateKeys(config))

    def encode(self, record: Record) -> str:
        """Return the text to store for a record.

        :raises RecordLocked: if the files with the private keys cannot be read
        """
        values = dict(record.raw) if record.raw else self._encrypted(record)
        values["nonce"] = record.nonce
        if record.refused:
            salt = base64.b64decode(values["salt"])
            values["refused"] = {
                "until": record.refused.until.isoformat(),
                "unrecognized_since": _to_text(record.refused.unrecognized_since),
                "error": to_event(record.refused.error),
                "connection": self._keyring.version(salt),
            }
        return json.dumps(values)

    def _encrypted(self, record: Record) -> dict[str, Any]:
        content = {
            "refresh_token": record.refresh_token,
            "refresh_expires_at": _to_text(record.refresh_expires_at),
            "subject": record.subject,
            "callback": dict(record.callback),
            "tokens": {scope: _token_values(token) for scope, token in record.tokens.items()},
        }
        own = record.tokens.get("")
        encryption, salt, wrapped = self._keyring.for_writing()
        return {
            "format": FORMAT,
            "key_id": encryption.key_id(salt),
            "salt": base64.b64encode(salt).decode(),
            **({"wrapped_keys": dict(wrapped)} if wrapped else {}),
            "generation": record.generation,
            "origins": record.used_refresh_tokens,
            "expires_at": _to_text(own.expires_at) if own else None,
            **({"sealed": encryption.encrypt(content, salt)} if encryption.has_key else {"open": content}),
        }

    def decode(self, text: str) -> Record:
        """Return the record in ``text``.

        It is not ``readable`` if its key or format is a different one, or if its tokens are damaged. It is ``locked``
        if this process does not have the private key for it now. It is ``corrupt`` if ``text`` is not a record.
        """
        try:
            values = dict(json.loads(text))
            salt = base64.b64decode(values["salt"], validate=True)
            refused = self._refusal(values.get("refused"), salt)
            key_id, is_known = values["key_id"], values["format"] == FORMAT
            opened = self._keyring.open(key_id, salt, values.get("wrapped_keys")) if is_known else UNKNOWN_KEY
            record = Record(
                generation=int(values["generation"]),
                nonce=str(values["nonce"]),
                used_refresh_tokens=tuple(map(str, values["origins"])),
                readable=False,
                locked=opened.locked,
                refused=refused,
                # A refusal that is about other settings or another key stays, for the processes that have these.
                raw={name: value for name, value in values.items() if name != "refused" or refused is None},
            )
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            log.error(
                "Connection %r: %s does not contain a token record. Delete it.", self._config.conn_id, self._location
            )
            return Record(readable=False, corrupt=True)
        if opened.encryption is None:
            return record
        return self._decrypted(replace(record, lacks_key=opened.lacks_key), values, opened.encryption, salt)

    def _decrypted(
        self, record: Record, values: Mapping[str, Any], encryption: RecordEncryption, salt: bytes
    ) -> Record:
        """Return the record with its tokens; without them if they are damaged.

        :param record: the record without its tokens
        :param values: the stored record
        :param encryption: the encryption that it was written with
        :param salt: its salt
        """
        try:
            content = encryption.decrypt(values["sealed"], salt) if encryption.has_key else values["open"]
            return replace(
                record,
                readable=True,
                tokens=self._tokens(content["tokens"]),
                refresh_token=_string_or_none(content["refresh_token"]),
                refresh_expires_at=_time_or_none(content.get("refresh_expires_at")),  # absent in the first release
                subject=_string_or_none(content.get("subject")),
                callback=self._callback(content.get("callback")),  # absent in the first release
                raw={},
            )
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            log.error(
                "Connection %r: the tokens in %s are damaged, so they are not used. If the grant type needs no user, "
                "new tokens are requested. Otherwise authorize the connection again, or enter a new refresh token.",
                self._config.conn_id,
                self._location,
            )
            return record

    def _tokens(self, values: Mapping[str, Any]) -> dict[str, Token]:
        """Return the stored tokens, without tokens whose base URL the connection does not allow."""
        tokens = {str(scope): _token(token) for scope, token in values.items()}
        for scope, token in list(tokens.items()):
            if token.base_url is None:
                continue
            if url_problem(token.base_url, allow_http=self._config.allow_http):
                log.error(
                    "Connection %r: the base URL stored in %s is not valid, so the token is not used, and a new one is "
                    "requested. If the API uses plain http, turn on Allow plain http (allow_http).",
                    self._config.conn_id,
                    self._location,
                )
                del tokens[scope]
            elif not is_api_host(self._config, token.base_url):
                log.error(
                    "Connection %r: the host of the base URL stored in %s does not belong to %s (%s), so the token is "
                    "not used, and a new one is requested.",
                    self._config.conn_id,
                    self._location,
                    self._config.api_name,
                    ", ".join(self._config.api_hosts),
                )
                del tokens[scope]
        return tokens

    def _callback(self, values: Any) -> dict[str, str]:
        """Return the stored callback values, without invalid ones. A task that needs one of them fails."""
        callback = dict(values or {})
        for parameter in [name for name, value in callback.items() if not is_valid(value)]:
            log.error(
                "Connection %r: the callback value %r stored in %s is not valid, so it is not used. Authorize the "
                "connection again.", self._config.conn_id, parameter, self._location,
            )  # fmt: skip
            del callback[parameter]
        return callback

    def _refusal(self, values: Any, salt: bytes) -> Refusal | None:
        """Return the stored refusal; None if the connection has changed since then, so that a new request is sent."""
        try:
            if values["connection"] != self._keyring.version(salt):
                return None
            return Refusal(
                error=from_event(values["error"]),
                until=_time(values["until"]),
                unrecognized_since=_time_or_none(values.get("unrecognized_since")),  # absent in the first release
            )
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError, RecordLocked):
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
