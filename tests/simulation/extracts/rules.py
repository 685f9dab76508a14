"""Removes single rules of extracts from the production code. The simulation must fail without them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from airflow_provider_oauth.extract.folder_state import FolderState
from airflow_provider_oauth.extract.incremental import Incremental
from airflow_provider_oauth.extract.parts import PartFolder
from airflow_provider_oauth.extract.progress import Manifest, Part
from airflow_provider_oauth.extract.row_marks import RowMarks
from airflow_provider_oauth.operators.incremental_run import IncrementalRun, PullStart
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.runtime.mark_record import MarkRecord
from airflow_provider_oauth.runtime.mark_store import MarkStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


@contextmanager
def without(rule: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove a rule from the production code."""
    with monkeypatch.context() as patch:
        REMOVALS[rule](patch)
        yield


def _the_file_before_the_mark(patch: pytest.MonkeyPatch) -> None:
    confirm, store = IncrementalRun.confirm, IncrementalRun.store

    def confirm_and_store(self: IncrementalRun) -> None:
        confirm(self)
        store(self)

    patch.setattr(IncrementalRun, "confirm", confirm_and_store)
    patch.setattr(IncrementalRun, "store", lambda self: None)


def _the_parts_before_the_manifest(patch: pytest.MonkeyPatch) -> None:
    finish = PartFolder.finish

    def too_late(self: PartFolder) -> None:
        progress, part = self._progress, self._part
        if part is not None:
            parts = (*progress.parts, Part(part.name, part.rows, part.size))
            self._files.check_owner()
            self._files.store(
                Manifest(
                    run=progress.run, attempt=progress.attempt, started="", ended="",
                    rows=0, pages=0, bytes=0, parts=parts,
                )
            )  # fmt: skip
        finish(self)

    patch.setattr(PartFolder, "finish", too_late)


def _the_part_before_the_progress(patch: pytest.MonkeyPatch) -> None:
    def end_page(self: PartFolder, list_index: int, position: Any, state: Any) -> None:
        part = self._part
        if part is None or not self.is_part_full:
            return
        self._part = None
        parts = (*self._progress.parts, Part(part.name, part.rows, part.size))
        self._files.check_owner()
        self._store(structs.replace(self._progress, parts=parts, list=list_index, position=position, state=state))
        part.publish()
        self._own.add(part.name)

    patch.setattr(PartFolder, "end_page", end_page)


def _the_manifest_before_deletions(patch: pytest.MonkeyPatch) -> None:
    store = FolderState.store

    def delete_and_store(self: FolderState, file: Any) -> None:
        if isinstance(file, Manifest) and (replaced := self.manifest()):
            for name in replaced.names:
                self._folder.remove(name)
        store(self, file)

    patch.setattr(FolderState, "store", delete_and_store)


def _the_owner(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FolderState, "check_owner", lambda self: None)


def _the_entry_of_the_run(patch: pytest.MonkeyPatch) -> None:
    def begin(self: MarkStore, run_id: str, run_after: Any, settings: Any, now: Any) -> Any:
        record = self.read()
        if record is None:
            record = self.update(lambda _: MarkRecord.first(self.name, settings))
        assert record
        return record.begin(run_id, run_after, settings, now)[1]

    patch.setattr(MarkStore, "begin", begin)
    patch.setattr(MarkStore, "confirm", lambda *_: None)


def _the_same_start(patch: pytest.MonkeyPatch) -> None:
    begin = MarkRecord.begin

    def begin_again(self: MarkRecord, run_id: str, *args: Any) -> Any:
        return begin(
            replace(self, runs={name: run for name, run in self.runs.items() if name != run_id}), run_id, *args
        )

    patch.setattr(MarkRecord, "begin", begin_again)


def _the_limit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RowMarks, "next_mark", lambda self, *_: self.greatest)


def _the_time_of_the_api(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PullStart, "add", lambda self, response: None)


def _the_first_attempt(patch: pytest.MonkeyPatch) -> None:
    def init(self: PullStart, time: Any) -> None:
        self.time = Clock().now()  # of this attempt
        self.is_known = False

    patch.setattr(PullStart, "__init__", init)
    patch.setattr(PullStart, "restore", lambda self, state: None)


def _the_lookback(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Incremental, "since", lambda self, mark: mark)


REMOVALS = {
    "the file is in place before the mark moves": _the_file_before_the_mark,
    "all parts are in place before the manifest": _the_parts_before_the_manifest,
    "a part is in place before the progress": _the_part_before_the_progress,
    "the manifest is in place before parts are deleted": _the_manifest_before_deletions,
    "a writer checks that it owns the folder": _the_owner,
    "the entry of a run is stored before the pull": _the_entry_of_the_run,
    "a run reads from the same value again": _the_same_start,
    "the mark is at most the start of the pull": _the_limit,
    "the start of the pull is at most the time of the API": _the_time_of_the_api,
    "the start of the pull is that of the first attempt": _the_first_attempt,
    "the lookback is subtracted from the mark": _the_lookback,
}
