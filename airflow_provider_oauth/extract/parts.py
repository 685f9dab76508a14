"""Writes rows to a folder of parts, in which a later attempt of the task can continue."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import UNSET
from msgspec.structs import replace

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.extract.folder import Folder
from airflow_provider_oauth.extract.open_part import OpenPart
from airflow_provider_oauth.extract.progress import (
    MANIFEST,
    PROGRESS,
    InvalidFile,
    Manifest,
    Progress,
    decoded_manifest,
    decoded_progress,
    encoded,
)
from airflow_provider_oauth.extract.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import timedelta

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_oauth.extract.progress import Part, RunName
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
    position: Mapping[str, Any] | None
    state: Mapping[str, Any]
    rows: int
    parts: int
    bytes: int


class PartFolder:
    """A folder of parts, which is a :class:`RowFile`.

    A part is published before the progress that lists it, and all parts before the manifest. So whatever a reader or a
    later attempt finds in one of the two files exists completely, wherever this attempt is killed.

    :param target: the folder
    :param conn_id: the connection ID, for errors
    :param run: the task of a run
    :param attempt: the name of this attempt, ``<try number>-<6 random hex digits>``
    :param fingerprint: differs for another request; progress of another request is not used
    :param suffix: the suffix of the parts
    :param open_part: opens a part in its format
    :param part_rows: after how many rows a part is closed
    :param part_bytes: after how many bytes of JSON, before compression, a part is closed
    :param resume_within: progress that is older is not used
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
        self._name = str(target)
        self._conn_id = conn_id
        self._run = run
        self._attempt = attempt
        self._fingerprint = fingerprint
        self._suffix = suffix
        self._open_part = open_part
        self._part_rows = part_rows
        self._part_bytes = part_bytes
        self._resume_within = resume_within
        self._clock = clock
        self._private = private
        self._progress: Progress
        self._parts: list[Part] = []
        self._missing: frozenset[str] | None = None
        self._part: OpenPart | None = None
        self._number = 0
        self._own: set[str] = set()
        #: Whether a failed write of the progress or the manifest may still take effect.
        self._is_in_doubt = False

    @property
    def parts(self) -> int:
        """The number of complete parts."""
        return len(self._parts)

    @property
    def rows(self) -> int:
        """The number of rows in complete parts."""
        return sum(part.rows for part in self._parts)

    @property
    def size(self) -> int:
        """The size of the complete parts in the storage, in bytes."""
        return sum(part.bytes for part in self._parts)

    @property
    def is_part_full(self) -> bool:
        """Whether ``end_page`` closes the part."""
        part = self._part
        return part is not None and (part.rows >= self._part_rows or part.size >= self._part_bytes)

    @property
    def missing(self) -> Sequence[str]:
        """The columns that no row has."""
        return sorted(self._missing or ())

    def begin(self) -> Resumed | None:
        """Become the owner of the folder, and take over the parts of an earlier attempt if possible.

        :return: where to continue; None to start from zero
        :raises OAuthError: if a file of the folder is invalid
        :raises StorageError: if the storage fails
        """
        found, manifest = self._read_progress(), self._read_manifest()
        replaces = manifest.attempt if manifest else None
        if found is not None and self._is_usable(found, replaces):
            self._parts, self._missing = list(found.parts), frozenset(found.missing)
            self._number = len(self._parts)
            self._progress = found
            self._store()
            if not self._parts:
                return None
            log.info("Continuing after %d rows in %d parts of an earlier attempt.", self.rows, self.parts)
            return Resumed(found.list, found.position, found.state, self.rows, self.parts, self.size)
        obsolete = () if found is None else (*found.obsolete, *(part.name for part in found.parts))
        self._start(obsolete, replaces)
        return None

    def restart(self) -> None:
        """Start from zero. The parts so far are deleted when the manifest is in place.

        :raises OAuthError: if another attempt owns the folder
        :raises StorageError: if the storage fails
        """
        self.close()
        self._check_owner()
        obsolete = (*self._progress.obsolete, *(part.name for part in self._parts))
        self._parts, self._missing = [], None
        self._start(obsolete, self._progress.replaces)

    def _start(self, obsolete: Sequence[str], replaces: str | None) -> None:
        now = self._clock.now()
        self._progress = Progress(
            run=self._run,
            attempt=self._attempt,
            fingerprint=self._fingerprint,
            started=now,
            updated=now,
            replaces=replaces,
            parts=(),
            obsolete=tuple(dict.fromkeys(obsolete)),
            missing=(),
            list=0,
            position=None,
            state={},
        )
        self._store()

    def _is_usable(self, found: Progress, replaces: str | None) -> bool:
        """Return whether this attempt can continue after the parts of the progress."""
        sizes = self._folder.sizes()
        reason = None
        if found.run != self._run:
            reason = "it belongs to another run"
        elif found.fingerprint != self._fingerprint:
            reason = "the request has changed"
        elif not all(part.name.endswith(self._suffix) for part in found.parts):
            reason = "part_suffix has changed"
        elif self._clock.now() - found.updated > self._resume_within:
            reason = "it is older than resume_within"
        elif found.replaces != replaces:
            reason = "the folder has a newer manifest"
        elif any(sizes.get(part.name) != part.bytes for part in found.parts):
            reason = "one of its parts is missing or incomplete"
        if reason is not None:
            log.warning("Starting from zero: %s in %s is not used, because %s.", PROGRESS, self._name, reason)
        return reason is None

    def write(self, lines: Sequence[bytes]) -> None:
        """Write rows, as :class:`RowFile` defines it."""
        if self._part is None:
            self._part = self._new_part()
        self._part.write(lines)

    def end_page(self, list_index: int, position: Mapping[str, Any] | None, state: Mapping[str, Any]) -> None:
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
        self._close_part(part)
        self._check_owner()
        self._progress = _replaced(self._progress, list=list_index, position=position, state=state)
        self._store()

    def finish(self) -> None:
        """Close the last part. If there is none, write a part without rows, so that readers find the columns."""
        if self._part is None and not self._parts:
            self._part = self._new_part()
        if self._part is not None:
            self._close_part(self._part)

    def publish(self, summary: Mapping[str, Any]) -> None:
        """Write the manifest, and delete obsolete parts and the progress.

        :param summary: ``started`` and ``ended`` (ISO 8601), ``pages``; for incremental extracts ``from``, ``to``
        :raises OAuthError: if another attempt owns the folder, or a part is missing
        :raises StorageError: if the storage fails
        """
        self.finish()
        self._check_owner()
        self._check_parts()
        replaced = self._read_manifest()
        manifest = Manifest(
            run=self._run,
            attempt=self._attempt,
            started=summary["started"],
            ended=summary["ended"],
            rows=self.rows,
            pages=summary["pages"],
            bytes=self.size,
            since=summary.get("from", UNSET),
            until=summary.get("to", UNSET),
            parts=tuple(self._parts),
        )
        self._write(MANIFEST, manifest)
        self._check_owner()
        self._clean_up(replaced)

    def abandon(self) -> None:
        """Discard the open part, and delete the parts of this attempt that neither file lists.

        The progress is deleted if it lists nothing.

        Errors of the storage are logged.
        """
        try:
            self.close()
            if self._is_in_doubt:
                return
            progress, manifest = self._read_progress(), self._read_manifest()
            if progress and progress.attempt == self._attempt and not (progress.parts or progress.obsolete):
                self._folder.remove(PROGRESS)
            listed = {part.name for file in (progress, manifest) if file for part in file.parts}
            listed.update(progress.obsolete if progress else ())
            for name in sorted(self._own - listed):
                self._folder.remove(name)
        except (StorageError, OAuthError):
            log.warning("Parts of this attempt may remain in %s. No file lists them.", self._name, exc_info=True)

    def close(self) -> None:
        """Discard the open part."""
        part, self._part = self._part, None
        if part is not None:
            part.discard()

    def _new_part(self) -> OpenPart:
        name = f"part-{self._attempt}-{self._number:05}{self._suffix}"
        self._number += 1
        return OpenPart(self._folder.file(name), self._open_part, private=self._private)

    def _close_part(self, part: OpenPart) -> None:
        self._part = None
        complete, missing = part.publish()
        self._own.add(complete.name)
        self._parts.append(complete)
        self._missing = missing if self._missing is None else self._missing & missing

    def _store(self) -> None:
        self._progress = _replaced(
            self._progress,
            attempt=self._attempt,
            updated=self._clock.now(),
            parts=tuple(self._parts),
            missing=tuple(self.missing),
        )
        self._write(PROGRESS, self._progress)

    def _write(self, name: str, file: Progress | Manifest) -> None:
        self._is_in_doubt = True
        self._folder.write(name, encoded(file))
        self._is_in_doubt = False

    def _check_owner(self) -> None:
        owner = self._read_progress()
        if owner is None or owner.attempt != self._attempt:
            raise OAuthError(
                f"Connection {self._conn_id!r}: another attempt of this task is writing to the folder {self._name!r} "
                "or has finished it, so this attempt stops. If no other attempt is running, retry the task."
            )

    def _check_parts(self) -> None:
        sizes = self._folder.sizes()
        for part in self._parts:
            if sizes.get(part.name) != part.bytes:
                raise OAuthError(
                    f"Connection {self._conn_id!r}: the part {part.name!r} in the folder {self._name!r} was deleted or "
                    "changed while the task was running. Make sure that nothing else writes to this folder, and retry "
                    "the task. It will start from zero."
                )

    def _clean_up(self, replaced: Manifest | None) -> None:
        """Delete what the new manifest makes obsolete. The result is complete, so an error is logged only."""
        obsolete = {*self._progress.obsolete, *(part.name for part in (replaced.parts if replaced else ()))}
        try:
            for name in sorted(obsolete.difference(part.name for part in self._parts)):
                self._folder.remove(name)
            # The last one, so that a later attempt finds the names of parts that could not be deleted.
            self._folder.remove(PROGRESS)
        except StorageError:
            log.warning("Obsolete files remain in %s. The manifest does not list them.", self._name, exc_info=True)

    def _read_progress(self) -> Progress | None:
        progress: Progress | None = self._read(PROGRESS, decoded_progress)
        return progress

    def _read_manifest(self) -> Manifest | None:
        manifest: Manifest | None = self._read(MANIFEST, decoded_manifest)
        return manifest

    def _read(self, name: str, decode: Callable[[bytes], Any]) -> Any:
        content = self._folder.read(name)
        try:
            return None if content is None else decode(content)
        except InvalidFile as error:
            raise OAuthError(
                f"Connection {self._conn_id!r}: the file {name!r} in the folder {self._name!r} cannot be used, because "
                f"it was changed or written by another program ({error}). Delete the file and retry the task. It will "
                "start from zero."
            ) from None


def _replaced(progress: Progress, **changes: Any) -> Progress:
    return replace(progress, **changes)
