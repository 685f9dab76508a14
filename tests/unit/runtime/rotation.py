"""Processes that share the stored tokens of a connection, each with its own version of the key file."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.runtime.data_key import PrivateKeys
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from airflow_provider_oauth.tokens.record import Record
from tests.connections import oauth_config
from tests.keys import pem

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from tests.fake_clock import FakeClock

#: The Variable of the record.
NAME = "oauth_token__shop"


@cache
def key_pem(name: str) -> str:
    """Return a private key; the same name always means the same key."""
    return pem(ed25519.Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32)))


def record(refresh_token: str, clock: FakeClock, generation: int = 1) -> Record:
    """Return a record with this refresh token."""
    token = Token(access_token=f"access-of-{refresh_token}", issued_at=clock.now(), expires_at=None)
    return Record(generation=generation, nonce=refresh_token, tokens={"": token}, refresh_token=refresh_token)


class Process:
    """A process with its file, which contains the keys with the names in ``keys``.

    :param folder: the folder of its file
    :param clock: the clocks
    :param keys: names of keys, separated by spaces; "" for no file
    :param config: fields of the connection
    """

    def __init__(self, folder: Path, clock: FakeClock, keys: str, **config: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "key.pem"
        self.clock = clock
        #: The keys in the memory of the process.
        self.used: dict[bytes, datetime] = {}
        values = {
            "grant_type": "authorization_code",
            "client_auth": "none",
            "client_secret": None,
            "private_key_file": str(self.path),
            "file_folder": str(folder),
        }
        self.config = oauth_config(**(values | config))
        self.replace_file(keys)
        self.store = self.new_store()

    def new_store(self) -> VariableTokenStore:
        """Return a store without a record that it has read before."""
        return VariableTokenStore(self.config, PrivateKeys(self.config, self.clock, self.used))

    def restart(self) -> None:
        """Replace the process by one that knows only the keys in its file."""
        self.used.clear()
        self.store = self.new_store()

    def replace_file(self, keys: str) -> None:
        """Replace its file by one with these keys."""
        self.path.unlink(missing_ok=True)
        if keys:
            self.path.write_text("".join(map(key_pem, keys.split())))

    def read(self) -> Record:
        """Return the stored record."""
        found = self.store.read()
        assert found is not None
        return found

    def renew(self, refresh_token: str) -> None:
        """Read the record and replace it, as a renewal does."""
        found = self.read()
        assert found.readable
        self.store.write(record(refresh_token, self.clock, found.generation + 1))

    def write_back(self, nonce: str) -> None:
        """Write the record back with another nonce, as after a failure."""
        self.store.write(replace(self.read(), nonce=nonce))


def stored(variables: dict[str, str]) -> dict[str, Any]:
    """Return the stored record as JSON."""
    found: dict[str, Any] = json.loads(variables[NAME])
    return found
