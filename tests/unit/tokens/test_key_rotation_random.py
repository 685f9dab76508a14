"""Random sequences of changes of key files, tasks and users. A model predicts which host can decrypt the record."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_oauth.exceptions import ConsentRequired, RecordLocked
from airflow_provider_oauth.runtime import airflow_variables
from tests.unit.tokens.rotation_world import RotationWorld
from tests.unit.tokens.world import LIFETIME, World

if TYPE_CHECKING:
    from datetime import datetime

HOSTS = ["first", "second", "third"]
MAX_AGE = timedelta(days=30)
FILES = st.lists(st.sampled_from("ABC"), unique=True, max_size=3).map(" ".join)
ACTIONS = st.one_of(
    st.tuples(st.just("file"), st.sampled_from(HOSTS), FILES),
    st.tuples(st.just("task"), st.sampled_from(HOSTS), st.booleans()),
    st.tuples(st.just("task"), st.sampled_from(HOSTS), st.booleans()),
    st.tuples(st.just("failure"), st.sampled_from(HOSTS), st.booleans()),
    st.tuples(st.just("consent"), st.sampled_from(HOSTS), st.none()),
    st.tuples(st.just("forget"), st.sampled_from(HOSTS), st.none()),
    st.tuples(st.just("days"), st.sampled_from([0, 7, 14]), st.none()),
)


@dataclass
class Host:
    """What a host knows, according to the model."""

    file: list[str] = field(default_factory=list)
    memory: dict[str, datetime] = field(default_factory=dict)


class Model:
    """The world, and a model of which private keys decrypt its record."""

    def __init__(self, world: RotationWorld) -> None:
        self.world = world
        self.hosts = {name: Host() for name in HOSTS}
        #: The keys that decrypt the record, and when each was in the file of a process last.
        self.keys: dict[str, datetime] = {}
        #: The refresh token that the record must contain; None after *Forget*.
        self.refresh_token: str | None = None
        self.expires_at = world.clock.now()
        self.consents = 0

    def file(self, name: str, keys: str) -> None:
        self.world.host(name, keys)
        self.hosts[name].file = keys.split()

    def days(self, days: int, _: None) -> None:
        self.world.clock.advance(days * 86400 + LIFETIME)

    def task(self, name: str, restarts: bool) -> None:
        """Run a task that gets a token."""
        known, current = self._read(name, restarts)
        source = self.world.source(name, restarts=restarts)
        if not known & self.keys.keys():
            with pytest.raises(RecordLocked):
                source.token()
            return
        if self.refresh_token is None:
            with pytest.raises(ConsentRequired):
                source.token()
            return
        is_due = self.world.clock.now() >= self.expires_at
        token = source.token()
        if is_due:
            number = len(self.world.endpoint.requests)
            assert self.world.endpoint.requests[-1] == ("refresh", self.refresh_token)
            assert token.access_token == f"token-{number}"
            self._store(name, f"refresh-{number}")
        elif not current <= self.keys.keys():
            self._store(name, self.refresh_token, is_new=False)

    def failure(self, name: str, restarts: bool) -> None:
        """Write the record back, as after a token request that failed."""
        if self.refresh_token is None:
            return
        host = self.world.host(name)
        known, _current = self._read(name, restarts)
        host.write_back(self.world.variables["oauth_lease__shop"])
        if known & self.keys.keys():
            self._store(name, self.refresh_token, is_new=False)

    def consent(self, name: str, _: None) -> None:
        known, _current = self._read(name, restarts=True)
        if not known:
            return
        self.consents += 1
        refresh_token = f"consent-{self.consents}"
        self.world.consent(name, refresh_token)
        self._replace(name, known, refresh_token)

    def forget(self, name: str, _: None) -> None:
        known, _current = self._read(name, restarts=True)
        if not known:
            return
        self.world.source(name).actions.forget()
        self._replace(name, known, None)

    def _read(self, name: str, restarts: bool) -> tuple[set[str], set[str]]:
        """Return the keys that a process on a host knows when it reads the record, and those in its file."""
        host, now = self.hosts[name], self.world.clock.now()
        if restarts:
            host.memory = {}
            self.world.host(name).restart()
        if host.file:
            host.memory |= dict.fromkeys(host.file, now)
        return set(host.memory), set(host.file)

    def _replace(self, name: str, known: set[str], refresh_token: str | None) -> None:
        if not known & self.keys.keys():
            self.keys = {}
        self._store(name, refresh_token)

    def _store(self, name: str, refresh_token: str | None, *, is_new: bool = True) -> None:
        now = self.world.clock.now()
        for key, seen in self.hosts[name].memory.items():
            at = now if key in self.hosts[name].file else seen
            self.keys[key] = max(at, self.keys.get(key, at))
        self.keys = {key: at for key, at in self.keys.items() if now - at <= MAX_AGE}
        self.refresh_token = refresh_token
        if is_new:
            self.expires_at = now + timedelta(seconds=LIFETIME)

    def check(self) -> None:
        """Check that every host with one of the keys reads the record, and that no refresh token was used twice."""
        used = self.world.used
        assert len(used) == len(set(used))
        for key in "ABC":
            reader = self.world.host("reader", key)
            reader.restart()
            found = reader.store.read()
            if found is not None:
                assert (found.locked is None) is (key in self.keys)
                assert found.refresh_token == (self.refresh_token if key in self.keys else None)


def run(actions: list[tuple[Any, ...]]) -> None:
    variables: dict[str, str] = {}
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(airflow_variables, "get_variable", variables.get)
        patch.setattr(
            airflow_variables, "set_variable", lambda name, value, description: variables.update({name: value})
        )
        patch.setattr(airflow_variables, "is_listed", variables.__contains__)
        model = Model(RotationWorld(Path(folder), variables))
        for name in HOSTS:
            model.file(name, "A")
        model.consent("first", None)
        for action, *arguments in actions:
            getattr(model, action)(*arguments)
            model.check()
        World.all.clear()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACTIONS, max_size=25))
def test_hosts_decrypt_the_record_as_long_as_the_model_says(actions: list[tuple[Any, ...]]) -> None:
    run(actions)
