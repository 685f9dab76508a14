"""The progress and the manifest of a folder of parts, and which attempt owns the folder."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_oauth.exceptions import OAuthError
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
from airflow_provider_oauth.extract.storage import IncompleteFile, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider_oauth.extract.folder import Folder
    from airflow_provider_oauth.extract.progress import Part

log = logging.getLogger(__name__)
File = TypeVar("File", Progress, Manifest)


class FolderState:
    """The progress and the manifest of a folder of parts.

    Storages have no compare-and-set, so two attempts can both write. Each checks that it still owns the folder before
    it writes. If both write at the same moment, the last one is the owner, and the other one stops at its next check.
    Each file lists only parts that were published before, so both files are correct in every order of these writes.

    :param folder: the folder
    :param conn_id: the connection ID, for errors
    :param attempt: the name of this attempt
    """

    def __init__(self, folder: Folder, conn_id: str, attempt: str) -> None:
        self._folder = folder
        self._conn_id = conn_id
        self._attempt = attempt
        self._is_in_doubt = False

    def progress(self) -> Progress | None:
        """Return the stored progress; None if there is none.

        :raises OAuthError: if it is invalid
        :raises StorageError: if the storage fails
        """
        return self._read(PROGRESS, decoded_progress)

    def manifest(self) -> Manifest | None:
        """Return the stored manifest; None if there is none.

        :raises OAuthError: if it is invalid
        :raises StorageError: if the storage fails
        """
        return self._read(MANIFEST, decoded_manifest)

    def _read(self, name: str, decode: Callable[[bytes], File]) -> File | None:
        content = self._folder.read(name)
        try:
            return None if content is None else decode(content)
        except InvalidFile as error:
            raise OAuthError(
                f"Connection {self._conn_id!r}: the file {name!r} in the folder {str(self._folder)!r} cannot be used, "
                f"because it was changed or written by another program ({error}). Delete the file and retry the task. "
                "It will start from zero."
            ) from None

    def store(self, file: Progress | Manifest) -> None:
        """Write the progress or the manifest.

        :raises OAuthError: if another attempt wrote the file at the same moment
        :raises StorageError: if the storage fails. The write may still take effect, also later
        """
        self._is_in_doubt = True
        try:
            self._folder.write(PROGRESS if isinstance(file, Progress) else MANIFEST, encoded(file))
        except StorageError as error:
            if isinstance(error.__cause__, IncompleteFile):
                self.check_owner()  # the file of another attempt has another size
            raise
        self._is_in_doubt = False

    def check_owner(self) -> None:
        """Check that this attempt owns the folder.

        :raises OAuthError: if it does not
        :raises StorageError: if the storage fails
        """
        owner = self.progress()
        if owner is None or owner.attempt != self._attempt:
            raise OAuthError(
                f"Connection {self._conn_id!r}: another attempt of this task is writing to the folder "
                f"{str(self._folder)!r} or has finished it, so this attempt stops. If no other attempt is running, "
                "retry the task."
            )

    def check_parts(self, parts: Sequence[Part]) -> None:
        """Check that parts are still there with their sizes.

        :raises OAuthError: if one is not
        :raises StorageError: if the storage fails
        """
        if (changed := self.changed_part(parts)) is not None:
            raise OAuthError(
                f"Connection {self._conn_id!r}: the part {changed!r} in the folder {str(self._folder)!r} was deleted "
                "or changed while the task was running. Make sure that nothing else writes to this folder, and retry "
                "the task. It will start from zero."
            )

    def changed_part(self, parts: Sequence[Part]) -> str | None:
        """Return the name of a part that is missing or has another size; None if there is none.

        :raises StorageError: if the storage fails
        """
        sizes = self._folder.sizes() if parts else {}
        return next((part.name for part in parts if sizes.get(part.name) != part.bytes), None)

    def clean_up(self, obsolete: Iterable[str]) -> None:
        """Delete obsolete parts and the progress. The result is complete without this, so an error is only logged."""
        try:
            for name in obsolete:
                self._folder.remove(name)
            self._folder.remove(PROGRESS)  # after the parts, whose names are lost with it
        except StorageError:
            log.warning("Obsolete files remain in %s. The manifest does not list them.", self._folder, exc_info=True)

    def remove_unlisted(self, own: set[str]) -> None:
        """Delete those parts of this attempt that neither file lists. Errors are logged.

        :param own: the names of all parts of this attempt
        """
        if self._is_in_doubt:
            return  # the file whose write failed may still appear, and it lists parts of this attempt
        try:
            progress, manifest = self.progress(), self.manifest()
            listed = set[str]()
            for file in (progress, manifest):
                listed.update(part.name for part in (file.parts if file else ()))
            # Their owner deletes them when its manifest is in place.
            listed.update(progress.obsolete if progress else ())
            for name in sorted(own - listed):
                self._folder.remove(name)
            if progress and progress.attempt == self._attempt and not (progress.parts or progress.obsolete):
                self._folder.remove(PROGRESS)  # it has no information
        except (StorageError, OAuthError):
            log.warning("Parts of this attempt may remain in %s. No file lists them.", self._folder, exc_info=True)
