"""The simulated Airflow Variables. Airflow has no compare-and-set: the last write wins."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.simulation.extracts.attempt import current
from tests.simulation.extracts.referee import VARIABLE

if TYPE_CHECKING:
    from tests.simulation.extracts.world import World

PREFIX = "oauth_mark__"


class Variables:
    """All Variables.

    :param world: the world
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.values: dict[str, str] = {}
        self.versions: dict[str, int] = {}

    def get(self, name: str) -> str | None:
        """Read a Variable. Airflow hides some errors: then it returns None, as for an absent one."""
        attempt = current()

        def read() -> str | None:
            attempt.seen[name] = self.versions.get(name, 0)
            return self.values.get(name)

        try:
            return attempt.step(f"read the Variable {name[:12]}", read)
        except OSError:
            if self.world.random.random() < 0.5:
                return None
            raise

    def set(self, name: str, value: str, description: str) -> None:
        """Write a Variable."""
        attempt = current()

        def write() -> None:
            if attempt.seen.get(name, 0) != self.versions.get(name, 0):
                self.world.referee.overtaken(
                    VARIABLE, f"{attempt} replaces a Variable that another attempt has changed"
                )
            self.versions[name] = attempt.seen[name] = self.versions.get(name, 0) + 1
            self.values[name] = value
            self.world.referee.stored_mark(attempt.run.run_id)

        attempt.step(f"write the Variable {name[:12]} {self._shown(value)}", write)

    def is_listed(self, name: str) -> bool | None:
        """Return whether a Variable exists."""
        return current().step("list the Variables", lambda: name in self.values)

    @staticmethod
    def _shown(value: str) -> str:
        try:
            record = json.loads(value)
            return f"mark={record['mark']} runs={ {name: run for name, run in record['runs'].items()} }"
        except (ValueError, KeyError, TypeError):
            return value[:80]

    def record(self) -> dict[str, Any] | None:
        """Return the mark's record; None if there is none yet."""
        found = [value for name, value in self.values.items() if name.startswith(PREFIX)]
        return json.loads(found[0]) if found else None
