"""A lock that allows only one process of a host at a time to renew the token of a connection."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError

if TYPE_CHECKING:
    import filelock

#: The first version of filelock with which several users can share a lock file. Versions before 4.2.1, for example,
#: change the mode of another user's file, or delete it on release.
SHARED_SINCE = (4, 2, 5)


class HostLock:
    """A lock file that the processes of one host share. The kernel releases the lock if the process that holds it dies.

    :param folder: folder of the lock file. All processes of this host use it, and no other host does. It is created if
        it is missing
    :param conn_id: the connection whose renewal it guards
    :param shared: whether other users may write to the folder, so that their processes can take the lock too
    """

    def __init__(self, folder: Path, conn_id: str, *, shared: bool = False) -> None:
        self._shared = shared
        self._conn_id = conn_id
        self._path = folder / f"{hashlib.sha256(conn_id.encode()).hexdigest()[:24]}.lock"
        self._lock: filelock.FileLock | None = None

    def acquire(self) -> bool:
        """Take the lock without waiting; return whether this process has it.

        :raises ConfigurationError: if several users share the folder and the installed filelock does not support it
        :raises OAuthError: if the folder or the file cannot be used. Airflow retries the task, because the problem may
            be temporary or caused by another user
        """
        if self._lock:
            return True
        import filelock  # here and below only when it is used: a task with a valid token needs no lock

        try:
            lock = self._for_all_users() if self._make_folder() else self._for_one_user()
            self._check_file()
            lock.acquire(blocking=False)  # never follows a link
        except filelock.Timeout:
            return False
        except OSError as error:
            raise OAuthError(
                f"Connection {self._conn_id!r}: the lock file {self._path} cannot be used: {error.strerror or error}. "
                f"Set [oauth] lock_folder to a folder that all Airflow processes of this host can write to, and that "
                f"no other program uses."
            ) from error
        self._lock = lock
        return True

    def release(self) -> None:
        """Release the lock if this process has it."""
        if self._lock:
            self._lock.release()
            self._lock = None

    def _make_folder(self) -> bool:
        """Create the folder if it is missing; return whether other users can write to it.

        :raises OSError: if it cannot be created, or if other users can write to a folder that is not shared
        """
        folder = self._path.parent
        folder.mkdir(mode=0o777 if self._shared else 0o700, parents=True, exist_ok=True)
        status = folder.stat(follow_symlinks=self._shared)
        if status.st_uid != os.getuid():
            problem = f"{folder} belongs to another user"
        elif status.st_mode & 0o022:
            problem = f"other users can write to {folder}"
        else:
            return False
        if not self._shared:
            raise PermissionError(errno.EPERM, problem)
        return True

    def _for_one_user(self) -> filelock.FileLock:
        import filelock

        return filelock.FileLock(self._path, mode=0o600, thread_local=False)

    def _for_all_users(self) -> filelock.FileLock:
        """Return a lock on a file that every user can open."""
        import filelock

        if _version(filelock.__version__) < SHARED_SINCE:
            raise ConfigurationError(
                f"Connection {self._conn_id!r}: several users can write to {self._path.parent} ([oauth] lock_folder), "
                f"but filelock {filelock.__version__} cannot share a lock between users. Install filelock "
                f"{'.'.join(map(str, SHARED_SINCE))} or later. If all Airflow processes of this host run as the same "
                f"user, you can also set lock_folder to a folder to which only this user can write."
            )
        self._create()
        # There is no fallback, because on a file system without flock, filelock would treat the file that was just
        # created as a held lock.
        return filelock.FileLock(self._path, mode=0o666, thread_local=False, fallback_to_soft=False)

    def _create(self) -> None:
        """Create the lock file for all users, unless it exists.

        The file gets its name only after its mode is set, so that no other user finds a file that only its creator can
        open. A file that another user has put there is neither opened nor changed.
        """
        if os.path.lexists(self._path):
            return
        file, name = tempfile.mkstemp(prefix=".new-", dir=self._path.parent)  # O_CREAT | O_EXCL | O_NOFOLLOW
        try:
            os.fchmod(file, 0o666)
            with suppress(FileExistsError):  # another process was first
                os.link(name, self._path, follow_symlinks=False)
        finally:
            os.close(file)
            Path(name).unlink(missing_ok=True)

    def _check_file(self) -> None:
        """Raise ``OSError`` if the lock file exists, but is not a regular file."""
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(self._path.lstat().st_mode):
                raise FileExistsError(errno.EEXIST, "it is not a regular file")


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)[:3]))
