"""Checks the rules that no extract may break, and counts events that no rule can prevent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.simulation.extracts.api import INITIAL, text_of
from tests.simulation.extracts.reading import problem_of
from tests.simulation.extracts.storage import MANIFEST, PROGRESS, parent

if TYPE_CHECKING:
    from tests.simulation.extracts.api import Response, Row
    from tests.simulation.extracts.attempt import Attempt
    from tests.simulation.extracts.world import World

VARIABLE = "the Variable"


class Referee:
    """Watches a world.

    An attempt is *overtaken* if its operation takes effect after another attempt has become the owner of the folder, or
    has changed the Variable, since this attempt has last read it. Neither storages nor Variables can prevent that.
    Problems that follow from it are counted in ``excused``.

    :param world: the world
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.problems: list[str] = []
        self.excused: list[str] = []
        self.overtakings: list[str] = []
        self.lost: list[str] = []  # rows and parts of manifests that are lost, also if it is excused
        self.orphans = 0  # parts that are left in a folder although nothing lists them
        self._overtaken: set[str] = set()  # folders, or VARIABLE
        self._first_since: dict[str, str | None] = {}
        self._rows_of_files: dict[bytes, list[dict[str, Any]]] = {}
        self._changed = False
        self._mark = INITIAL

    def problem(self, text: str, *about: str) -> None:
        """Record a broken rule. Raising here would not work, because the production code might catch it.

        :param about: folders or VARIABLE; if an attempt was overtaken there, no rule can prevent the problem
        """
        text = f"{self.world.now:.1f}: {text}"
        if text not in self.excused:
            (self.excused if self._overtaken.intersection(about) else self.problems).append(text)
        self.world.trace.append(f"PROBLEM {text}")

    def overtaken(self, about: str, text: str) -> None:
        """Record that an attempt was overtaken."""
        self._overtaken.add(about)
        self.overtakings.append(text)
        self.world.trace.append(f"OVERTAKEN {text}")

    def report(self) -> str:
        """Return everything that happened."""
        return "\n".join([str(self.world.schedule), *self.world.trace, "", *self.problems, *self.excused])

    # --- the API

    def responded(self, page: Response, attempt: Attempt) -> None:
        """Check that all attempts of a run read from the same value."""
        since = self._first_since.setdefault(page.run_id, page.since)
        if since != page.since:
            self.problem(f"{attempt} reads from {page.since}, but the run began with {since}", VARIABLE)

    # --- files

    def about_to_write(self, path: str, content: bytes, attempt: Attempt) -> None:
        """Check a file that is complete now."""
        folder, _, name = path.rpartition("/")
        if name.startswith("."):  # a temporary file
            return
        if name.startswith("part-"):
            if self.world.storage.files.get(path, content) != content:
                self.problem(f"{attempt} replaces {name}", folder)
            return
        if name in (PROGRESS, MANIFEST):
            self._check_owner(folder, f"writes {name}", attempt)
            attempt.checked.discard(folder)
            parts = json.loads(content)["parts"]
            if missing := self._missing(folder, parts):
                self.problem(f"{attempt} writes {name} with {missing}, which is not complete", folder)
                return
            rows = [row for part in parts for row in self._rows(f"{folder}/{part['name']}")]
        else:
            if path in self.world.storage.files and self.world.storage.writers[path].number > attempt.number:
                self.overtaken(path, f"{attempt} replaces the file of a later attempt")
            rows = self._rows_in(content)
        if name != PROGRESS and (
            problem := problem_of(rows, attempt.run.run_id, self._since(attempt.run.run_id), self.world.api)
        ):
            self.problem(f"{attempt} writes {name}: {problem}", folder if name == MANIFEST else path, VARIABLE)

    def about_to_delete(self, path: str, attempt: Attempt) -> None:
        """Check that a file is not in use."""
        folder, _, name = path.rpartition("/")
        if name.startswith("."):
            return
        self._check_owner(folder, f"deletes {name}", attempt)
        if self.world.schedule.storage == "rename" and not name.startswith("part-"):
            # Some of these storages do not rename to an existing name, so the old file is deleted first.
            self.overtaken(folder, f"{attempt} deletes {name} before it renames the new one")
            self.overtaken(path, "the same file")
            return
        if name == MANIFEST or not name.startswith(("part-", "_")):
            self.problem(f"{attempt} deletes {name}")
        if name == PROGRESS:
            if self.world.storage.owners[folder][-1] is not attempt:
                self.problem(f"{attempt} deletes the progress of another attempt", folder)
            return
        for file in (PROGRESS, MANIFEST):
            if name in [part["name"] for part in self._json(f"{folder}/{file}").get("parts", [])]:
                self.problem(f"{attempt} deletes {name}, which is in {file}", folder)

    def _check_owner(self, folder: str, what: str, attempt: Attempt) -> None:
        """Record if another attempt has become the owner since this one has last read the progress."""
        owners = self.world.storage.owners.get(folder, [])
        if attempt.seen.get(folder, 0) != len(owners):
            text = f"{attempt} {what} after {owners[-1]} has become the owner"
            if folder in attempt.checked:
                self.overtaken(folder, text)
            else:
                self.problem(f"{text}, without a check")

    def _missing(self, folder: str, parts: list[dict[str, Any]]) -> str | None:
        """Return a part that is absent or differs from the list."""
        for part in parts:
            content = self.world.storage.files.get(f"{folder}/{part['name']}")
            if content is None or len(content) != part["bytes"] or len(self._rows_in(content)) != part["rows"]:
                return str(part["name"])
        return None

    def _rows(self, path: str) -> list[dict[str, Any]]:
        content = self.world.storage.files.get(path)
        return [] if content is None else self._rows_in(content)

    def _rows_in(self, content: bytes) -> list[dict[str, Any]]:
        if content not in self._rows_of_files:
            self._rows_of_files[content] = [json.loads(line) for line in content.splitlines()]
        return self._rows_of_files[content]

    def _json(self, path: str) -> dict[str, Any]:
        content = self.world.storage.files.get(path)
        return {} if content is None else json.loads(content)

    def _result(self, run_id: str) -> list[dict[str, Any]] | None:
        """Return the rows that a run has published; None if it has published nothing."""
        name = self.world.storage.name(run_id)
        if not self.world.schedule.folder:
            return self._rows(name) if name in self.world.storage.files else None
        if f"{name}/{MANIFEST}" not in self.world.storage.files:
            return None
        parts = self._json(f"{name}/{MANIFEST}")["parts"]
        if missing := self._missing(name, parts):
            self._lose(f"the manifest of {run_id} lists {missing}, which is not complete", name)
        return [row for part in parts for row in self._rows(f"{name}/{part['name']}")]

    # --- the mark

    def _since(self, run_id: str) -> str | None:
        run = (self.world.variables.record() or {"runs": {}})["runs"].get(run_id)
        return run["from"] if run else None

    def stored_mark(self, run_id: str) -> None:
        """Check that a run moves the mark only after its result is in place."""
        self._changed = True
        mark = (self.world.variables.record() or {"mark": INITIAL})["mark"]
        if mark > self._mark and self._result(run_id) is None:
            self.problem(f"the mark {mark} is ahead of the files", VARIABLE, self.world.storage.name(run_id))
        self._mark = mark

    @property
    def _folders(self) -> list[str]:
        return [self.world.storage.name(run.run_id) for run in self.world.runs]

    def changed(self) -> None:
        """Let ``check`` check all rows after this step, because a file has changed."""
        self._changed = True

    def check(self) -> None:
        """Check that each row that the next run does not read is in a result, if a file or the mark has changed."""
        if not self._changed:
            return
        self._changed = False
        record = self.world.variables.record()
        published = self._published()
        if record is None:
            return
        since = self.world.schedule.before(record["mark"])
        for row in self.world.api.rows:
            if text_of(row.updated) < since and (row.id, row.version) not in published:
                self._lose(_lost(row), VARIABLE, *self._folders)
                return

    def _lose(self, text: str, *about: str) -> None:
        if text not in self.lost:
            self.lost.append(text)
            self.problem(text, *about)

    def _published(self) -> dict[tuple[int, int], dict[str, Any]]:
        """Return all rows of all results by ID and version."""
        results = [self._result(run.run_id) or [] for run in self.world.runs]
        return {(row["id"], row["version"]): row for rows in results for row in rows}

    def check_the_end(self) -> None:
        """Check that all rows are in the results, after one more run without faults."""
        if self.problems:
            return
        published = self._published()
        for row in self.world.api.rows:
            if (row.id, row.version) not in published:
                self._lose(_lost(row), VARIABLE, *self._folders)
        for run in self.world.runs:
            if self._result(run.run_id) is None:
                self.problem(f"{run.run_id} has no result", self.world.storage.name(run.run_id))
        if self.world.schedule.folder:
            self._count_orphans()

    def _count_orphans(self) -> None:
        for run in self.world.runs:
            folder = self.world.storage.name(run.run_id)
            listed = {part["name"] for part in self._json(f"{folder}/{MANIFEST}").get("parts", [])} | {MANIFEST}
            files = {path.rpartition("/")[2] for path in self.world.storage.files if parent(path) == folder}
            self.orphans += len(files - listed)
            if run is self.world.runs[-1] and files != listed:
                self.problem(f"{run.run_id} has left {sorted(files - listed)}, although there was no fault")


def _lost(row: Row) -> str:
    return f"row {row.id}, version {row.version} of {text_of(row.updated)} is lost"
