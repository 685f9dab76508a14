"""Reads, writes, lists and deletes the files of a folder in any storage that Airflow supports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from airflow_provider_oauth.extract.storage import LOCAL, new_file, storage_errors

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


class Folder:
    """The files of a folder.

    Every method raises a ``StorageError`` if the storage fails.

    :param target: the folder, which need not exist
    :param private: whether only the owner may read local files
    """

    def __init__(self, target: ObjectStoragePath, *, private: bool) -> None:
        self._target = target
        self._private = private
        # Airflow's file system would import the storages of all providers.
        self._fs: Any = LocalFileSystem() if target.protocol in LOCAL else target.fs

    def __str__(self) -> str:
        return str(self._target)

    def file(self, name: str) -> ObjectStoragePath:
        """Return a file of the folder."""
        return self._target / name

    def read(self, name: str) -> bytes | None:
        """Return the content of a file as it is now; None if there is no such file."""
        with storage_errors():
            self._forget_listing()
            try:
                content: bytes = self._fs.cat_file(self.file(name).path)
            except FileNotFoundError:
                return None
            return content

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file. After an error, the old file is still there."""
        with new_file(self.file(name), private=self._private) as file:
            file.write(content)

    def sizes(self) -> dict[str, int]:
        """Return the sizes of all files by name, in bytes."""
        with storage_errors():
            self._forget_listing()
            try:
                entries = self._fs.ls(self._target.path, detail=True)
            except FileNotFoundError:
                return {}
            return {each["name"].rpartition("/")[2]: each["size"] for each in entries if each["type"] == "file"}

    def remove(self, name: str) -> None:
        """Delete a file, if there is one."""
        with storage_errors():
            try:
                self._fs.rm_file(self.file(name).path)
            except FileNotFoundError:
                pass
            finally:
                self._forget_listing()

    def _forget_listing(self) -> None:
        """Clear the cached list of files, because other processes change the folder."""
        self._fs.invalidate_cache(self._target.path)
