"""The content of ``_progress.json`` and ``_manifest.json`` in a folder of parts.

Neither file contains headers, parameters or bodies of requests, except where the next page begins.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from airflow_provider_oauth.extract.writers.file_format import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROGRESS: Final = "_progress.json"
MANIFEST: Final = "_manifest.json"

#: The name of an attempt: the try number of the task and random digits.
ATTEMPT = r"[0-9]+-[0-9a-f]{6}"
#: The name of a part. Files with other names are never deleted, even if a manipulated progress or manifest lists them.
PART_NAME = rf"^part-{ATTEMPT}-[0-9]{{5,9}}(?:{'|'.join(map(re.escape, SUFFIXES))})\Z"

AttemptName = Annotated[str, Meta(pattern=rf"^{ATTEMPT}\Z")]
PartName = Annotated[str, Meta(pattern=PART_NAME)]
Count = Annotated[int, Meta(ge=0)]
Moment = Annotated[datetime, Meta(tz=True)]


class InvalidFile(ValueError):
    """A file is not valid JSON of this form. The text is the reason."""


class RunName(Struct, frozen=True):
    """Identifies the task of a run, whose attempts can continue each other.

    :param dag_id: ID of the DAG
    :param run_id: ID of the run
    :param task_id: ID of the task
    :param map_index: index of a mapped task; -1 for other tasks
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    def shares_run(self, other: RunName) -> bool:
        """Return whether this is another task of the same run."""
        return self != other and (self.dag_id, self.run_id) == (other.dag_id, other.run_id)


class Part(Struct, frozen=True):
    """A complete file of a folder.

    :param name: its name
    :param rows: number of rows
    :param bytes: its size in the storage
    """

    name: PartName
    rows: Count
    bytes: Count


class Progress(Struct, frozen=True, kw_only=True):
    """How far an attempt has read, and which parts have these rows.

    :param version: version of the file
    :param run: the task and run that read
    :param attempt: the attempt that owns the folder
    :param fingerprint: a hash of the request, which is different for another request
    :param started: when the attempt that wrote the first of these parts started from zero
    :param updated: when this was written
    :param replaces: the attempt of the manifest that was there at the start; None if there was none
    :param parts: the parts, in the order of their rows
    :param obsolete: names of parts to delete when the manifest is in place
    :param missing: the columns that no row of these parts has
    :param list: number of lists that are complete
    :param position: where to continue in the next list; None for its beginning
    :param state: what the caller needs to continue
    """

    version: Literal[1] = 1
    run: RunName
    attempt: AttemptName
    fingerprint: str
    started: Moment
    updated: Moment
    replaces: AttemptName | None = None
    parts: tuple[Part, ...] = ()
    obsolete: tuple[PartName, ...] = ()
    missing: tuple[str, ...] = ()
    list: Count = 0
    position: dict[str, Any] | None = None
    state: dict[str, Any] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all parts that it lists, obsolete ones too."""
        return (*self.obsolete, *(part.name for part in self.parts))

    @property
    def rows(self) -> int:
        """The number of rows in the parts."""
        return sum(part.rows for part in self.parts)

    @property
    def bytes(self) -> int:
        """The size of the parts in the storage."""
        return sum(part.bytes for part in self.parts)

    def from_zero(self, now: datetime, obsolete: Iterable[str], replaces: str | None) -> Progress:
        """Return the progress of this attempt without rows.

        :param now: when the attempt starts from zero
        :param obsolete: names of parts to delete when the manifest is in place
        :param replaces: the attempt of the manifest that is there; None if there is none
        """
        return Progress(
            run=self.run,
            attempt=self.attempt,
            fingerprint=self.fingerprint,
            started=now,
            updated=now,
            replaces=replaces,
            obsolete=tuple(dict.fromkeys(obsolete)),
        )

    def manifest(self, summary: Mapping[str, Any]) -> Manifest:
        """Return the manifest of these parts.

        :param summary: ``started``, ``ended`` (ISO 8601), ``pages``; for incremental extracts ``from``, ``to``
        """
        return Manifest(
            run=self.run,
            attempt=self.attempt,
            started=summary["started"],
            ended=summary["ended"],
            rows=self.rows,
            pages=summary["pages"],
            bytes=self.bytes,
            since=summary.get("from", UNSET),
            until=summary.get("to", UNSET),
            parts=self.parts,
        )

    def reason_against(self, new: Progress, *, resume_within: timedelta, suffix: str) -> str | None:
        """Return why another attempt cannot continue after these parts; None if it can.

        :param new: the progress with which the other attempt would start from zero
        :param resume_within: the maximum age of this progress
        :param suffix: the suffix of the other attempt's parts
        """
        if self.run != new.run:
            return "it belongs to another run"
        if self.fingerprint != new.fingerprint:
            return "the request has changed"
        if not all(part.name.endswith(suffix) for part in self.parts):
            return "part_suffix has changed"
        # A time in the future comes from a wrong clock. With resume_within=0, progress is never used, whatever the
        # clocks show.
        if not resume_within or abs(new.updated - self.updated) > resume_within:
            return "it is older than resume_within"
        # This attempt or another one has written a manifest since. After that, a cleared run starts from zero. Times
        # cannot show this, because the clocks of two hosts differ.
        if self.replaces != new.replaces:
            return "the folder has a newer manifest"
        return None

    def is_late(self, manifest: Manifest | None) -> bool:
        """Return whether a later attempt of this run had finished before this attempt began.

        This can happen if Airflow wrongly assumed that a worker was lost.

        :param manifest: the manifest that was there when the attempt began; None if there was none
        """
        if manifest is None or manifest.run != self.run:
            return False
        return _try_number(self.attempt) < _try_number(manifest.attempt)


class Manifest(Struct, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """The result of an extract into a folder of parts.

    :param version: version of the file
    :param run: the task and run that wrote it
    :param attempt: the attempt that wrote it
    :param started: when the last attempt started, ISO 8601
    :param ended: when it ended, ISO 8601
    :param rows: number of rows
    :param pages: number of pages
    :param bytes: size of all parts in the storage
    :param since: the value of an incremental extract that the run sent
    :param until: the mark that the run reached
    :param parts: the parts, in the order of their rows
    """

    version: Literal[1] = 1
    run: RunName
    attempt: AttemptName
    started: str
    ended: str
    rows: Count
    pages: Count
    bytes: Count
    since: str | UnsetType = UNSET
    until: str | UnsetType = UNSET
    parts: tuple[Part, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all parts."""
        return tuple(part.name for part in self.parts)


def _try_number(attempt: str) -> int:
    return int(attempt.partition("-")[0])


def encoded(file: Progress | Manifest) -> bytes:
    """Return the content of a file."""
    # Not the encoder of msgspec, which rejects integers of more than 64 bits. A cursor can be one.
    return json.dumps(msgspec.to_builtins(file), indent=1).encode()


def decoded_progress(content: bytes) -> Progress:
    """Return the progress in the content of a file.

    :raises InvalidFile: if it is not valid
    """
    return _decoded(content, Progress)


def decoded_manifest(content: bytes) -> Manifest:
    """Return the manifest in the content of a file.

    :raises InvalidFile: if it is not valid
    """
    return _decoded(content, Manifest)


File = TypeVar("File", Progress, Manifest)


def _decoded(content: bytes, kind: type[File]) -> File:
    try:
        return msgspec.convert(json.loads(content), kind)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:  # in older versions, not a ValueError
        raise InvalidFile(str(error)) from None
