"""The token store on Airflow Variables: the only code that touches them."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import sys
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.exceptions import TokenStoreError
from airflow_provider_oauth.oauth.store import Record, fingerprint
from airflow_provider_oauth.oauth.token import Token
from airflow_provider_oauth.sealing import Seal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.oauth.config import OAuthConfig

log = logging.getLogger(__name__)

FORMAT = 1
#: Longest name of an Airflow Variable.
LONGEST_NAME = 250
SALT_BYTES = 16


class VariableTokenStore:
    """Keeps a connection's record in the Variable ``oauth_token__<conn_id>``, sealed.

    In clear stand the format's version, the key's id and salt, generation, nonce, fingerprints of the connection's
    own refresh tokens and when the token ends; sealed are the tokens and their scopes.

    :param config: the connection
    """

    def __init__(self, config: OAuthConfig) -> None:
        self._conn_id = config.conn_id
        self._seal = Seal(config)
        self._salt: bytes | None = None
        self._variable = variable_name("oauth_token__", config.conn_id)
        self._lease = variable_name("oauth_lease__", config.conn_id)
        self.name = f"the Airflow Variable {self._variable}"

    def read(self) -> Record | None:
        """Return the record, opened if it is ours; None if there seems to be none.

        A Variable that is missing and one that could not be read look the same, but for errors that Airflow raises.

        :raises TokenStoreError: if Airflow raised one
        """
        try:
            text = _get(self._variable)
        except Exception as error:
            raise TokenStoreError(
                f"Connection {self._conn_id!r}: {self.name} could not be read ({type(error).__name__})."
            ) from error
        return None if text is None else self._decode(text)

    def write(self, record: Record) -> None:
        """Replace the record, and read it back: what cannot be read back was not kept.

        :raises TokenStoreError: if it was not kept
        """
        try:
            _set(self._variable, self._encode(record), f"Token of the connection {self._conn_id}. Do not edit.")
        except Exception as error:
            raise TokenStoreError(
                f"Connection {self._conn_id!r}: {self.name} could not be written ({type(error).__name__})."
            ) from error
        kept = self.read()
        if kept is None or kept.nonce != record.nonce:
            raise TokenStoreError(
                f"Connection {self._conn_id!r}: {self.name} was written, but reads differently. Look for an "
                f"environment variable or a secrets backend that holds a Variable of the same name."
            )

    def is_absent(self) -> bool:
        """Make sure that there is no record.

        A failed read looks like absence, within milliseconds. So absence is believed only between two reads of what was
        just written, and where Airflow can list Variables (3.3), which fails loudly, it is asked for that too.
        """
        nonce = uuid.uuid4().hex
        try:
            _set(self._lease, nonce, f"Renewal of the connection {self._conn_id}. Do not edit.")
            return (
                _get(self._lease) == nonce
                and _get(self._variable) is None
                and not _is_listed(self._variable)
                and _get(self._lease) == nonce
            )
        except Exception as error:
            log.warning("Connection %r: Variables cannot be read now (%s).", self._conn_id, type(error).__name__)
            return False

    def _encode(self, record: Record) -> str:
        if self._salt is None:
            self._salt = os.urandom(SALT_BYTES)
        content = {
            "refresh_token": record.refresh_token,
            "tokens": {scope: _token_values(token) for scope, token in record.tokens.items()},
        }
        own = record.tokens.get("")
        return json.dumps(
            {
                "format": FORMAT,
                "key_id": self._seal.key_id(self._salt),
                "salt": base64.b64encode(self._salt).decode(),
                "generation": record.generation,
                "nonce": record.nonce,
                "origins": record.origins,
                "expires_at": own.expires_at.isoformat() if own else None,
                **({"sealed": self._seal.close(content, self._salt)} if self._seal.closes else {"open": content}),
            }
        )

    def _decode(self, text: str) -> Record:
        """Return the record in ``text``; an unreadable one where it is not ours, a damaged one where it is none."""
        try:
            values = dict(json.loads(text))
            salt = base64.b64decode(values["salt"], validate=True)
            clear = Record(
                generation=int(values["generation"]),
                nonce=str(values["nonce"]),
                origins=tuple(map(str, values["origins"])),
                readable=False,
            )
            if values["format"] != FORMAT or values["key_id"] != self._seal.key_id(salt):
                return clear
            self._salt = salt
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            log.error("Connection %r: %s does not hold a token record.", self._conn_id, self.name)
            return Record(readable=False, damaged=True)
        try:
            content = self._seal.open(values["sealed"], salt) if self._seal.closes else values["open"]
            tokens = {scope: _token(token) for scope, token in content["tokens"].items()}
            return replace(clear, readable=True, tokens=tokens, refresh_token=content["refresh_token"])
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            log.error("Connection %r: the token in %s is damaged.", self._conn_id, self.name)
            return clear


def variable_name(prefix: str, conn_id: str) -> str:
    """Return the name of a connection's Variable; shortened, with a fingerprint, where the conn_id would not fit."""
    name = prefix + conn_id
    if len(name) <= LONGEST_NAME and re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        return name
    return f"{prefix}{re.sub('[^A-Za-z0-9_.-]', '-', conn_id)[:180]}-{fingerprint(conn_id, '')}"


def _token_values(token: Token) -> dict[str, Any]:
    return {
        "access_token": token.access_token,
        "token_type": token.token_type,
        "issued_at": token.issued_at.isoformat(),
        "expires_at": token.expires_at.isoformat(),
        "scope": token.scope,
        "base_url": token.base_url,
    }


def _token(values: Mapping[str, Any]) -> Token:
    times = {name: datetime.fromisoformat(values[name]).astimezone(UTC) for name in ("issued_at", "expires_at")}
    return Token(**{**values, **times})


def _in_task() -> bool:
    """Tell whether a supervisor answers for us: in a task or a triggerer, not in the API server or a plain process."""
    return hasattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS")


def _get(name: str) -> str | None:
    if _in_task():
        from airflow.sdk import Variable

        value = Variable.get(name, default=None)
    else:
        from airflow.models.variable import Variable as CoreVariable

        value = CoreVariable.get(name, default_var=None)
    return value if isinstance(value, str) else None


def _set(name: str, value: str, description: str) -> None:
    if _in_task():
        from airflow.sdk import Variable

        Variable.set(name, value, description=description)
    else:
        from airflow.models.variable import Variable as CoreVariable

        CoreVariable.set(name, value, description=description)


def _is_listed(name: str) -> bool:
    """Ask the database whether there is such a Variable, in a way that fails where ``get`` would say there is none."""
    if not _in_task():
        from airflow.models.variable import Variable as CoreVariable
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            return session.scalar(select(CoreVariable.key).where(CoreVariable.key == name)) is not None
    from airflow.sdk import Variable

    keys = getattr(Variable, "keys", None)  # since 3.3
    return keys is not None and name in keys(prefix=name)
