"""Reads the files that a connection names: private keys, and tokens that another system renews.

A user who can edit connections can choose the path and the server that receives the content. So only files below
``[oauth] file_folder`` can be read, and the error does not tell why a file cannot be read.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

#: Maximum size of a file in bytes.
MAX_FILE_SIZE = 64 * 1024
#: How often a path is resolved and opened. Kubernetes replaces a symbolic link in the path when it updates the files,
#: and deletes the folder that the link pointed to.
ATTEMPTS = 3
#: ``O_NONBLOCK`` is for pipes and devices: opening them could block. ``O_NOFOLLOW`` refuses a symbolic link that
#: replaced a file or folder after the path was resolved.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC


def read_client_file(config: OAuthConfig, field: str) -> bytes:
    """Return the content of the file that a field of the connection names.

    It blocks, so it must not be called on an event loop.

    :param config: the connection
    :param field: name of the field, for example ``private_key_file``
    :raises ConfigurationError: if ``[oauth] file_folder`` is not set, or if the file is not below it or cannot be read
    """
    if not os.path.isabs(config.file_folder):
        raise config.error(
            field,
            "cannot be used, because the setting [oauth] file_folder of this Airflow installation is "
            f"{'not an absolute path' if config.file_folder else 'not set'}. Ask an administrator to set it to the "
            "folder of such files",
        )
    path = getattr(config, field)
    for _ in range(ATTEMPTS):
        content = _content(config.file_folder, path)
        if content is not None:
            return content
    raise config.error(
        field,
        "is not the absolute path of a file below [oauth] file_folder that this process can read, of at most "
        f"{MAX_FILE_SIZE // 1024} kB. Check the path, and that the file exists on every host that requests tokens",
    )


def _content(folder: str, path: str) -> bytes | None:
    """Return the content of a file; None if it is not below ``folder``, too large or unreadable."""
    try:
        real_folder = os.path.realpath(folder)
        if not any(_is_below(path, each) for each in (folder, real_folder)):
            # Resolving the links of any other path could mount a network file system, or wait for one.
            return None
        folder = real_folder
        parts = os.path.relpath(os.path.realpath(path), folder).split(os.sep)
        if os.pardir in parts:
            return None
        descriptor = _opened(folder, parts)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(MAX_FILE_SIZE + 1)
        finally:
            os.close(descriptor)
    except (OSError, ValueError):  # a null character or a surrogate in the path is a ValueError
        return None
    return content if len(content) <= MAX_FILE_SIZE else None


def _is_below(path: str, folder: str) -> bool:
    """Return whether the text of ``path`` is an absolute path below ``folder``. This does not use the file system."""
    return os.path.isabs(path) and os.pardir not in os.path.relpath(path, folder).split(os.sep)


def _opened(folder: str, parts: list[str]) -> int:
    """Return a file descriptor of the file below ``folder`` whose path consists of ``parts``, without following links.

    :raises OSError: if it cannot be opened, or if one of the parts is a symbolic link
    """
    descriptor = os.open(folder, _FLAGS)
    for part in parts:
        parent = descriptor
        try:
            descriptor = os.open(part, _FLAGS, dir_fd=parent)
        finally:
            os.close(parent)
    return descriptor
