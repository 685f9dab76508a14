"""Writes files that contain secrets of the sandbox."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read. An existing file or link is replaced, not opened.

    :param path: the path of the file
    :param text: its content
    """
    descriptor, part = tempfile.mkstemp(dir=path.parent)  # with mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    os.replace(part, path)
