"""Writes a file that appears complete or not at all: local, in an object store, or in any other storage of Airflow."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import secrets
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_oauth.extract.compression import compressor_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

#: Size of each part of an upload, in bytes. S3 allows 10,000 parts, so a file can have 156 GiB. About four parts are in
#: memory.
PART_SIZE = 16 * 2**20
#: Bytes that are collected before they are written to a local file.
BUFFER_SIZE = 2**20
#: Protocols of storages that can stream an upload and publish it at the end.
STREAMING = ("s3", "s3a", "gs", "gcs")
#: The classes of open files of these storages whose ``commit`` publishes the file and whose ``discard`` leaves nothing.
#: Their subclasses can differ: that of Google's zonal buckets publishes the file while it is written.
STREAMING_FILES = (("s3fs.core", "S3File"), ("gcsfs.core", "GCSFile"))
#: Protocols of storages in which an uploaded file becomes visible only when it is complete.
ATOMIC_UPLOAD = ("s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "az", "wasb", "wasbs")
LOCAL = ("", "file", "local")


class StorageError(Exception):
    """The storage failed, or it reported success but does not have all bytes. The text is the reason."""


class IncompleteFile(OSError):
    """The storage reported success but does not have all bytes."""


class Destination(Protocol):
    """Where the bytes of a new file go."""

    def write(self, data: Any, /) -> object:
        """Write all bytes."""

    def publish(self) -> None:
        """Make the complete file visible under its name."""

    def discard(self) -> None:
        """Remove what was written. A file that was there before stays. Errors are logged or ignored."""


class NewFile:
    """A file to write to. It becomes visible when ``new_file`` ends.

    :param destination: where the bytes go
    :param name: the name of the file, whose suffix decides whether it is compressed
    """

    def __init__(self, destination: Destination, name: str) -> None:
        self._destination = _Guarded(destination)
        self._writer = compressor_of(self._destination, name) or self._destination

    @property
    def size(self) -> int:
        """The number of bytes in the storage, complete when the file is published."""
        return self._destination.size

    def write(self, data: bytes) -> None:
        """Write all bytes.

        :raises StorageError: if the storage fails
        """
        self._writer.write(data)

    def publish(self) -> None:
        """Make the file visible.

        :raises StorageError: if the storage fails
        """
        self._writer.close()
        self._destination.publish()

    def discard(self) -> None:
        """Remove what was written."""
        self._destination.discard()
        with suppress(Exception):  # a compressor writes its remaining data, which goes nowhere now
            self._writer.close()


class _Guarded:
    """Counts the bytes, and raises a ``StorageError`` for each exception of the destination.

    After ``discard`` it writes nothing, because a compressor writes its remaining data when it is deleted.
    """

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._is_open = True
        self.size = 0

    def write(self, data: Any, /) -> int:
        length = memoryview(data).nbytes
        if self._is_open:
            with storage_errors():
                self._destination.write(data)
            self.size += length
        return length

    def flush(self) -> None:
        """Do nothing: uploads are divided into parts of a fixed size."""

    def close(self) -> None:
        """Do nothing. ``publish`` and ``discard`` close the file."""

    def publish(self) -> None:
        with storage_errors():
            self._destination.publish()
        self._is_open = False

    def discard(self) -> None:
        self._is_open = False
        self._destination.discard()


@contextmanager
def storage_errors() -> Iterator[None]:
    """Convert exceptions of storages, which have no common class, to ``StorageError``."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        raise StorageError(f"{type(error).__name__}: {error}") from error


@contextmanager
def new_file(target: ObjectStoragePath | None, *, private: bool = False, exclusive: bool = False) -> Iterator[NewFile]:
    """Yield a file that replaces ``target`` if no exception is raised. Otherwise ``target`` stays as it was.

    The file is compressed if the name of ``target`` ends with ``.gz`` or ``.zst``.

    :param target: where to store the file; None to store nothing
    :param private: whether only the owner may read a local file
    :param exclusive: whether ``target`` must not exist. Local file systems and S3 (with s3fs 2025.7 or later) check
        this when they publish the file. In other storages, a file that appears at the same moment can be replaced
    :raises StorageError: if the storage fails, or does not have the complete file at the end
    """
    with storage_errors():
        file = NewFile(_destination(target, private, exclusive), target.path if target else "")
    try:
        yield file
        file.publish()
    except BaseException:
        file.discard()
        raise


def _destination(target: ObjectStoragePath | None, private: bool, exclusive: bool) -> Destination:
    if target is None:
        return _Nowhere()
    if target.protocol in LOCAL:
        return _LocalFile(Path(target.path), 0o600 if private else 0o666, exclusive)
    if target.protocol in STREAMING and (upload := _opened_upload(target.fs, target.path)):
        return _Stream(target.fs, upload, exclusive)
    return _Upload(target, exclusive)


class _Nowhere:
    def write(self, data: Any, /) -> None:
        """Ignore the bytes."""

    def publish(self) -> None:
        """Do nothing."""

    def discard(self) -> None:
        """Do nothing."""


class _LocalFile:
    """A temporary file in the same folder, which then replaces the file."""

    def __init__(self, path: Path, mode: int, exclusive: bool) -> None:
        if path.exists() and not path.is_file():
            raise OSError(f"{path} exists and is not a file")  # such as /dev/null, which must not be replaced
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._exclusive = exclusive
        self._part = path.with_name(f".{secrets.token_hex(16)}.part")
        # Not mkstemp, which always sets mode 0600. The kernel applies the umask and the access control list of the
        # folder to this mode. Python can read the umask only by changing it, for all threads.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self._part, flags, mode), "wb", buffering=BUFFER_SIZE)
        self.write = self._file.write

    def publish(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if self._exclusive:
            self._link()
        else:
            self._part.replace(self._path)

    def _link(self) -> None:
        """Publish the file, unless there is another file with its name."""
        try:
            self._path.hardlink_to(self._part)
        except FileExistsError:
            # A file server may have created the link and repeated the request because its response was lost.
            if not self._path.samefile(self._part):
                raise
        except OSError:  # a file system without hard links
            if self._path.exists():
                raise FileExistsError(f"{self._path} exists already") from None
            self._part.replace(self._path)
        self._part.unlink(missing_ok=True)

    def discard(self) -> None:
        with suppress(OSError):  # a full disk fails again when the buffer is written
            self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


def _opened_upload(fs: Any, path: str) -> Any:
    """Return a streaming upload that becomes visible when it is committed; None if this storage has none."""
    upload = fs.open(path, "wb", block_size=PART_SIZE, autocommit=False)
    with suppress(ValueError):
        # All tasks of this process share ``fs``. The end of another task's transaction would commit this upload.
        fs.transaction.files.remove(upload)
    if (type(upload).__module__, type(upload).__qualname__) in STREAMING_FILES:
        return upload
    upload.closed = True  # otherwise it would publish an empty file when it is deleted
    return None


class _Stream:
    """An upload in parts, which becomes visible when it is committed."""

    def __init__(self, fs: Any, upload: Any, exclusive: bool) -> None:
        self._fs = fs
        self._upload = upload
        self._exclusive = exclusive
        self._size = 0

    def write(self, data: Any, /) -> None:
        self._upload.write(data)
        self._size += memoryview(data).nbytes

    def publish(self) -> None:
        if getattr(self._upload, "mpu", True) is not None:
            self._upload.close()  # uploads the last part; without this, commit would publish the file without its end
        # Otherwise s3fs has not begun to upload parts, and commit sends the file in one request instead of three.
        if self._exclusive:
            self._commit_new()
        else:
            self._upload.commit()
        self._upload.closed = True  # otherwise its deletion would start a new upload
        self._fs.invalidate_cache(self._fs._parent(self._upload.path))
        _check_size(self._fs, self._upload.path, self._size)

    def _commit_new(self) -> None:
        """Commit the upload, unless there is a file with its name."""
        _check_absent(self._fs, self._upload.path)
        # s3fs 2025.7 and later then send If-None-Match. Versions before 2024.12 cannot open a file in this mode.
        self._upload.mode = "xb"
        try:
            self._upload.commit()
        except FileExistsError:
            if not self._is_committed():
                raise
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            self._upload.mode = "wb"  # this storage responds to If-None-Match with 501 Not Implemented
            self._upload.commit()

    def _is_committed(self) -> bool:
        """Return whether the existing file is this upload.

        This happens if the response to its commit was lost, and the request was repeated.
        """
        self._fs.invalidate_cache(self._fs._parent(self._upload.path))
        found = self._fs.info(self._upload.path).get("ETag", "").strip('"')
        # S3 does not document this value for all kinds of encryption. If it is different, the task fails.
        if not (parts := getattr(self._upload, "parts", None)):
            return bool(found == _md5(self._upload.buffer.getvalue()))
        tags = "".join(part["ETag"].strip('"') for part in parts)
        return bool(found == f"{_md5(bytes.fromhex(tags))}-{len(parts)}")

    def discard(self) -> None:
        self._upload.closed = True  # otherwise its deletion would start a new upload
        try:
            self._upload.discard()
        except Exception:
            log.warning(
                "The unfinished upload to %s could not be removed. Its parts occupy storage until a lifecycle rule of "
                "the bucket for unfinished uploads (AbortIncompleteMultipartUpload) removes them. Add such a rule.",
                self._upload.path,
                exc_info=True,
            )


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class _Upload:
    """A local temporary file, which is then uploaded. It needs as much space as the compressed file."""

    def __init__(self, target: ObjectStoragePath, exclusive: bool) -> None:
        self._target = target
        self._exclusive = exclusive
        self._folder = tempfile.TemporaryDirectory(prefix="oauth-extract-", ignore_cleanup_errors=True)
        self._local = Path(self._folder.name, "rows")
        self._file = self._local.open("xb", buffering=BUFFER_SIZE)
        self.write = self._file.write

    def publish(self) -> None:
        self._file.close()
        fs, path = self._target.fs, self._target.path
        if self._exclusive:
            _check_absent(fs, path)
        if self._target.protocol in ATOMIC_UPLOAD:
            _upload(fs, self._local, path)
        else:
            _upload_and_rename(fs, self._local, path, can_replace=not self._exclusive)
        self._folder.cleanup()

    def discard(self) -> None:
        with suppress(OSError):  # a full disk fails again when the buffer is written
            self._file.close()
        self._folder.cleanup()


def _upload(fs: Any, local: Path, path: str) -> None:
    fs.put_file(str(local), path)
    fs.invalidate_cache(fs._parent(path))
    _check_size(fs, path, local.stat().st_size)


def _upload_and_rename(fs: Any, local: Path, path: str, *, can_replace: bool) -> None:
    """Upload the file under another name, so that an existing file stays if this fails."""
    folder = fs._parent(path)
    part = f"{folder.rstrip('/')}/.{secrets.token_hex(16)}.part"
    fs.makedirs(folder, exist_ok=True)
    try:
        _upload(fs, local, part)
        try:
            fs.mv(part, path)
        except Exception:
            fs.invalidate_cache(folder)
            if not (can_replace and fs.exists(path) and fs.exists(part)):
                raise
            fs.rm_file(path)  # SMB and WebHDFS do not rename to an existing name
            fs.mv(part, path)
        fs.invalidate_cache(folder)
        _check_size(fs, path, local.stat().st_size)
    finally:
        with suppress(Exception):
            if fs.exists(part):
                fs.rm_file(part)


def _check_absent(fs: Any, path: str) -> None:
    """Check that there is no file with this name.

    :raises FileExistsError: if there is one
    """
    fs.invalidate_cache(fs._parent(path))
    try:
        fs.info(path)
    except FileNotFoundError:
        return
    raise FileExistsError(f"{path} exists already")


def _check_size(fs: Any, path: str, size: int) -> None:
    """Check that the storage has as many bytes as were written.

    :raises IncompleteFile: if it has not
    """
    try:
        found = fs.info(path)["size"]
    except FileNotFoundError:
        found = 0
    except Exception:  # for example, a role that may only write
        log.debug("The size of %s cannot be checked.", path, exc_info=True)
        return
    if found != size:
        raise IncompleteFile(f"{path} has {found} bytes, but {size} bytes were written")
