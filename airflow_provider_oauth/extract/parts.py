"""Writes rows to a folder of parts, in which a later attempt of the task can continue."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from airflow_provider_oauth.extract.folder import Folder
from airflow_provider_oauth.extract.folder_state import FolderState
from airflow_provider_oauth.extract.open_part import OpenPart
from airflow_provider_oauth.extract.progress import PROGRESS, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import timedelta

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_oauth.extract.progress import RunName
    from airflow_provider_oauth.extract.storage import NewFile
    from airflow_provider_oauth.extract.writers.row_file import RowFile
    from airflow_provider_oauth.protocol.clock import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resumed:
    """Where an attempt continues.

    :param list: number of lists that are complete
    :param position: where the reading of the next list continues; None for its beginning
    :param state: what the caller passed to ``end_page``
    :param rows: number of rows that earlier attempts wrote
    :param parts: number of parts with these rows
    :param bytes: size of these parts in the storage
    """

    list: int
    position: dict[str, Any] | None
    state: dict[str, Any]
    rows: int
    parts: int
    bytes: int


class PartFolder:
    """Writes rows to a folder of parts. It has the methods of a :class:`RowFile`.

    :param target: the folder
    :param conn_id: the connection ID, for errors
    :param run: the task of a run
    :param attempt: the name of this attempt, ``<try number>-<6 random hex digits>``
    :param fingerprint: differs for another request; progress of another request is not used
    :param suffix: the suffix of the parts
    :param open_part: opens a part in its format
    :param part_rows: after how many rows a part is closed
    :param part_bytes: after how many bytes of JSON, before compression, a part is closed
    :param resume_within: the maximum age of progress that is used
    :param clock: the clock
    :param private: whether only the owner may read local files
    """

    def __init__(
        self,
        target: ObjectStoragePath,
        *,
        conn_id: str,
        run: RunName,
        attempt: str,
        fingerprint: str,
        suffix: str,
        open_part: Callable[[NewFile], AbstractContextManager[RowFile]],
        part_rows: int,
        part_bytes: int,
        resume_within: timedelta,
        clock: Clock,
        private: bool,
    ) -> None:
        self._folder = Folder(target, private=private)
        self._files = FolderState(self._folder, conn_id, attempt)
        self._name = f"part-{attempt}-{{:05}}{suffix}"
        self._suffix = suffix
        self._new_part = partial(OpenPart, open_format=open_part, private=private)
        self._part_rows = part_rows
        self._part_bytes = part_bytes
        self._resume_within = resume_within
        self._clock = clock
        now = clock.now()
        self._progress = Progress(run=run, attempt=attempt, fingerprint=fingerprint, started=now, updated=now)
        self._part: OpenPart | None = None
        self._next_number = 0
        self._own: set[str] = set()

    @property
    def parts(self) -> int:
        """The number of complete parts."""
        return len(self._progress.parts)

    @property
    def rows(self) -> int:
        """The number of rows in complete parts."""
        return self._progress.rows

    @property
    def size(self) -> int:
        """The size of the complete parts in the storage, in bytes."""
        return self._progress.bytes

    @property
    def is_part_full(self) -> bool:
        """Whether ``end_page`` closes the part and stores the progress."""
        part = self._part
        return part is not None and (part.rows >= self._part_rows or part.size >= self._part_bytes)

    @property
    def missing(self) -> Sequence[str]:
        """The columns that no row has."""
        return self._progress.missing

    def begin(self) -> Resumed | None:
        """Become the owner of the folder, and take over the parts of an earlier attempt if possible.

        :return: where to continue; None to start from zero
        :raises OAuthError: if a file of the folder is invalid
        :raises StorageError: if the storage fails
        """
        found, manifest = self._files.progress(), self._files.manifest()
        if manifest and manifest.run.shares_run(self._progress.run):
            log.warning(
                "%s contains the result of task %r (map index %d) of the same run. This task will replace it. Set "
                "another path for each task.", self._folder, manifest.run.task_id, manifest.run.map_index,
            )  # fmt: skip
        # This includes the parts of the old manifest. If this attempt is killed after it has written its manifest and
        # before it has deleted them, only its progress has their names.
        obsolete = [name for file in (found, manifest) if file for name in file.names]
        new = self._progress.from_zero(self._clock.now(), obsolete, manifest.attempt if manifest else None)
        if found is None or not found.parts:
            self._store(new)
            return None
        reason = found.reason_against(new, resume_within=self._resume_within, suffix=self._suffix)
        if reason is None and (changed := self._files.changed_part(found.parts)):
            reason = f"{changed} is missing or incomplete"
        if reason is None and found.is_late(manifest):  # otherwise a cleared run would not read its rows again
            reason = "a later attempt of this run had finished before"
        if reason is not None:
            log.warning("Starting from zero: %s in %s is not used, because %s.", PROGRESS, self._folder, reason)
            self._store(new)
            return None
        self._next_number = len(found.parts)
        self._store(replace(found, attempt=new.attempt))
        log.info("Continuing after %d rows in %d parts of attempt %s.", self.rows, self.parts, found.attempt)
        return Resumed(found.list, found.position, found.state, self.rows, self.parts, self.size)

    def restart(self) -> None:
        """Start from zero. The parts so far are deleted when the manifest is in place.

        :raises OAuthError: if another attempt owns the folder
        :raises StorageError: if the storage fails
        """
        self.close()
        self._files.check_owner()
        own = self._progress
        self._store(own.from_zero(self._clock.now(), own.names, own.replaces))

    def write(self, lines: Sequence[bytes]) -> None:
        """Write rows, as :class:`RowFile` defines it."""
        self._opened_part().write(lines)

    def end_page(self, list_index: int, position: dict[str, Any] | None, state: dict[str, Any]) -> None:
        """Close the part if it is large enough, and store the progress.

        :param list_index: number of lists that are complete
        :param position: where the reading of the next list continues; None for its beginning
        :param state: what the caller needs to continue, as JSON values
        :raises InvalidPage: if the rows cannot be written in the format of the part
        :raises OAuthError: if another attempt owns the folder
        :raises StorageError: if the storage fails
        """
        part = self._part
        if part is None or not self.is_part_full:
            return
        # This order makes resuming safe: first the part, then the progress that lists it, and at the end the manifest.
        # An attempt that is killed in between leaves a part that no file lists, and its rows are read again. In any
        # other order, a file would list rows that are not there. The check keeps this attempt from replacing the
        # progress of an attempt that has taken over the folder.
        self._close_part(part)
        self._files.check_owner()
        self._store(replace(self._progress, list=list_index, position=position, state=state))

    def finish(self) -> None:
        """Close the last part. If there is none, write a part without rows, so that readers find the columns."""
        if self._part is not None or not self._progress.parts:
            self._close_part(self._opened_part())

    def publish(self, summary: Mapping[str, Any]) -> None:
        """Write the manifest, and delete obsolete parts and the progress.

        :param summary: ``started``, ``ended`` (ISO 8601), ``pages``; for incremental extracts ``from``, ``to``
        :raises OAuthError: if another attempt owns the folder, or a part is missing
        :raises StorageError: if the storage fails
        """
        self.finish()
        self._files.check_parts(self._progress.parts)
        replaced = self._files.manifest()
        manifest = self._progress.manifest(summary)
        # The last operation before the write, because an attempt that takes over after this check is not noticed.
        self._files.check_owner()
        self._files.store(manifest)
        # Another attempt may have taken over these parts before the manifest was there. It writes its own manifest.
        self._files.check_owner()
        obsolete = {*self._progress.obsolete, *(replaced.names if replaced else ())}
        self._files.clean_up(sorted(obsolete.difference(manifest.names)))

    def abandon(self) -> None:
        """Discard the open part, and delete the parts of this attempt that neither file lists.

        The progress is deleted if it lists nothing. Errors of the storage are logged.
        """
        self.close()
        self._files.remove_unlisted(self._own)

    def close(self) -> None:
        """Discard the open part."""
        part, self._part = self._part, None
        if part is not None:
            part.discard()

    def _opened_part(self) -> OpenPart:
        if self._part is None:
            name = self._name.format(self._next_number)
            self._next_number += 1
            self._part = self._new_part(self._folder.file(name))
        return self._part

    def _close_part(self, part: OpenPart) -> None:
        self._part = None
        complete, missing = part.publish()
        self._own.add(complete.name)  # not before: if the name exists, the file is not of this attempt
        parts = self._progress.parts
        missing = tuple(name for name in missing if not parts or name in self._progress.missing)
        self._progress = replace(self._progress, parts=(*parts, complete), missing=missing)

    def _store(self, progress: Progress) -> None:
        self._progress = replace(progress, updated=self._clock.now())
        self._files.store(self._progress)
