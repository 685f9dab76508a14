"""A lock that lets one process of a host renew a connection's token at a time."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from airflow_provider_oauth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


class HostLock:
    """A lock file that the processes of one host share. The kernel drops it when its holder dies.

    :param folder: reached by every process of this host and by no other host; made when needed
    :param conn_id: the connection whose renewal it guards
    :param shared: whether processes of several users take it; else the folder must be this user's own
    """

    def __init__(self, folder: Path, conn_id: str, *, shared: bool = False) -> None:
        self._shared = shared
        self._conn_id = conn_id
        self._path = folder / f"{hashlib.sha256(conn_id.encode()).hexdigest()[:24]}.lock"
        self._lock: FileLock | None = None

    def acquire(self) -> bool:
        """Take the lock, without waiting; say whether we have it.

        :raises ConfigurationError: if the folder cannot be made or written
        """
        if self._lock:
            return True
        lock = FileLock(self._path, mode=0o600, thread_local=False)
        try:
            self._prepare()
            lock.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as error:
            raise ConfigurationError(
                f"Connection {self._conn_id!r}: the lock file {self._path} cannot be used ({error.strerror}). Set "
                f"[oauth] lock_folder to a folder of its own that every Airflow process of this host may write."
            ) from error
        self._lock = lock
        return True

    def release(self) -> None:
        """Let go of the lock, if it was taken."""
        if self._lock:
            self._lock.release()
            self._lock = None

    def _prepare(self) -> None:
        """Make the folder, and the file if others are to write it too.

        :raises OSError: if that is not possible, or somebody else could keep the lock from us
        """
        folder = self._path.parent
        folder.mkdir(mode=0o777 if self._shared else 0o700, parents=True, exist_ok=True)
        if not self._shared:
            status = folder.stat(follow_symlinks=False)
            if status.st_uid != os.getuid() or status.st_mode & 0o022:
                raise PermissionError(errno.EPERM, f"{folder} is open to other users")
        elif not self._path.exists():
            self._path.touch()
            self._path.chmod(0o666)
