"""Writes a file that appears complete or not at all: local, in an object store, or in any other storage of Airflow."""

from __future__ import annotations

import io
import logging
import os
import secrets
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_oauth.extract.compression import compressed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

#: Bytes of a part of an upload. S3 allows 10,000 parts, so a file can have 156 GiB. About four parts are in memory.
PART_SIZE = 16 * 2**20
#: Protocols of storages that can stream an upload and publish it at the end.
STREAMING = ("s3", "s3a", "gs", "gcs")
#: The classes of open files of these storages whose ``commit`` publishes the file and whose ``discard`` leaves nothing.
#: Their subclasses can differ: that of Google's zonal buckets publishes the file while it is written.
STREAMING_FILES = (("s3fs.core", "S3File"), ("gcsfs.core", "GCSFile"))
#: Protocols of storages in which an uploaded file becomes visible only when it is complete.
ATOMIC_UPLOAD = ("s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "az", "wasb", "wasbs")
LOCAL = ("", "file", "local")


class Writer(Protocol):
    """A file to write to."""

    def write(self, data: bytes, /) -> int:
        """Write all bytes, and return their number."""


class IncompleteFile(OSError):
    """The storage reported success but does not have all bytes."""


class CountedFile(io.RawIOBase):
    """Writes to another file and counts the bytes.

    After ``abandon`` it writes nothing, because a compressor writes its remaining data when it is deleted.

    :param file: the file to write to; None to only count
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self.size = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any, /) -> int:
        """Write all bytes, and return their number."""
        length = memoryview(data).nbytes
        if self._file is not None:
            self._file.write(data)
        self.size += length
        return length

    def abandon(self) -> None:
        """Ignore all further writes."""
        self._file = None


@contextmanager
def new_file(target: ObjectStoragePath | None, *, private: bool = False) -> Iterator[Writer]:
    """Yield a file that replaces ``target`` if no exception is raised. Otherwise ``target`` stays as it was.

    The file is compressed if the name of ``target`` ends with ``.gz`` or ``.zst``.

    :param target: where to store the file; None to store nothing
    :param private: whether only the owner may read a local file
    :raises OSError: if the file cannot be stored completely; storages raise other exceptions too
    """
    with _stored(target, private) as file, compressed(file, "" if target is None else target.path) as writer:
        yield writer


@contextmanager
def _stored(target: ObjectStoragePath | None, private: bool) -> Iterator[CountedFile]:
    if target is None:
        yield CountedFile(None)
    elif target.protocol in LOCAL:
        with _local_file(Path(target.path), 0o600 if private else 0o666) as file:
            yield file
    elif target.protocol in STREAMING and (upload := _opened_upload(target.fs, target.path)):
        with _streamed_file(target.fs, upload) as file:
            yield file
    else:
        with _uploaded_file(target) as file:
            yield file


@contextmanager
def _local_file(path: Path, mode: int) -> Iterator[CountedFile]:
    if path.exists() and not path.is_file():
        raise OSError(f"{path} exists and is not a file")  # such as /dev/null, which must not be replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{secrets.token_hex(16)}.part")
    # Not mkstemp, which always sets mode 0600. The kernel applies the umask and the access control list of the folder
    # to this mode. Python can read the umask only by changing it, for all threads.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(part, flags, mode), "wb", buffering=2**20) as stored:
            yield from _writing(stored)
            stored.flush()
            os.fsync(stored.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _writing(stored: Any) -> Iterator[CountedFile]:
    file = CountedFile(stored)
    try:
        yield file
    except BaseException:
        file.abandon()
        raise


def _opened_upload(fs: Any, path: str) -> Any:
    """Return a streaming upload that becomes visible when it is committed; None if this storage has none."""
    upload = fs.open(path, "wb", block_size=PART_SIZE, autocommit=False)
    with suppress(ValueError):
        # All tasks of this process share ``fs``. The end of somebody's transaction would commit this upload.
        fs.transaction.files.remove(upload)
    if (type(upload).__module__, type(upload).__qualname__) in STREAMING_FILES:
        return upload
    upload.closed = True  # otherwise it would publish an empty file when it is deleted
    return None


@contextmanager
def _streamed_file(fs: Any, upload: Any) -> Iterator[CountedFile]:
    try:
        file = None
        for file in _writing(upload):
            yield file
        upload.close()  # uploads the last part; without this, commit would publish the file without its end
        upload.commit()
    except BaseException:
        upload.closed = True  # otherwise its deletion would start a new upload
        _discard(upload)
        raise
    finally:
        fs.invalidate_cache(fs._parent(upload.path))
    _check_size(fs, upload.path, file.size if file else 0)


def _discard(upload: Any) -> None:
    try:
        upload.discard()
    except Exception:
        log.warning(
            "The unfinished upload to %s could not be removed. Its parts occupy storage until the bucket's lifecycle "
            "rule for unfinished uploads (AbortIncompleteMultipartUpload) removes them.",
            upload.path,
            exc_info=True,
        )


@contextmanager
def _uploaded_file(target: ObjectStoragePath) -> Iterator[CountedFile]:
    """Yield a local temporary file, which is then uploaded. It needs as much space as the compressed file."""
    with tempfile.TemporaryDirectory(prefix="oauth-extract-") as folder:
        local = Path(folder, "rows")
        with local.open("xb", buffering=2**20) as stored:
            yield from _writing(stored)
        upload = _upload if target.protocol in ATOMIC_UPLOAD else _upload_and_rename
        upload(target.fs, local, target.path)


def _upload(fs: Any, local: Path, path: str) -> None:
    fs.put_file(str(local), path)
    fs.invalidate_cache(fs._parent(path))
    _check_size(fs, path, local.stat().st_size)


def _upload_and_rename(fs: Any, local: Path, path: str) -> None:
    """Upload the file under another name, so that an existing file stays if this fails."""
    folder = fs._parent(path)
    part = f"{folder.rstrip('/')}/.{secrets.token_hex(16)}.part"
    fs.makedirs(folder, exist_ok=True)
    try:
        _upload(fs, local, part)
        try:
            fs.mv(part, path)
        except Exception:
            if not fs.exists(path):
                raise
            fs.rm_file(path)  # SMB and WebHDFS do not rename to an existing name
            fs.mv(part, path)
        fs.invalidate_cache(folder)
        _check_size(fs, path, local.stat().st_size)
    finally:
        with suppress(Exception):
            if fs.exists(part):
                fs.rm_file(part)


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
