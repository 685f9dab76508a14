"""Hosts whose processes share a grant. Each host has its own version of the file with the private key."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.source import TokenSource
from tests.unit.runtime.rotation import Process
from tests.unit.tokens.world import LIFETIME, World

if TYPE_CHECKING:
    from pathlib import Path


class RotationWorld(World):
    """A world whose processes store the record in Airflow's Variables, encrypted with the key in their files.

    :param folder: the folder of the files
    :param variables: Airflow's Variables
    """

    def __init__(self, folder: Path, variables: dict[str, str], **config: Any) -> None:
        super().__init__(grant_type="authorization_code", client_auth="none", client_secret=None, **config)
        self.folder = folder
        self.variables = variables
        self.hosts: dict[str, Process] = {}

    def host(self, name: str, keys: str | None = None, **config: Any) -> Process:
        """Return a host; create it if it is new.

        :param keys: names of the keys to write to its file; "" to delete the file; None to keep it
        """
        if name not in self.hosts:
            self.hosts[name] = Process(self.folder / name, self.clock, "", **config)
        if keys is not None:
            self.hosts[name].replace_file(keys)
        return self.hosts[name]

    def source(self, name: str, keys: str | None = None, *, restarts: bool = True, **config: Any) -> TokenSource:
        """Start a task on a host.

        :param keys: names of the keys to write to the host's file first
        :param restarts: whether the task is a new process, which does not know the keys that earlier ones have read
        """
        host = self.host(name, keys, **config)
        if restarts:
            host.restart()
        source = TokenSource(replace(self.dependencies(), config=host.config, store=host.store))
        source._cache._jitter = 0.0
        return source

    def consent(self, host: str, name: str = "refresh-0") -> None:
        """Store the tokens of a user's authorization, in a new process on a host."""
        now = self.clock.now()
        expires_at = now + timedelta(seconds=LIFETIME)
        self.source(host).actions.store_grant(
            Token(access_token=f"access-of-{name}", issued_at=now, expires_at=expires_at, refresh_token=name)
        )

    @property
    def used(self) -> list[str | None]:
        """The refresh tokens that were used."""
        return [token for kind, token in self.endpoint.requests if kind == "refresh"]
