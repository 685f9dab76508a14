"""Compresses files whose names end with ``.gz`` or ``.zst``."""

from __future__ import annotations

import gzip
import io
import sys
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: Bytes that are collected before they are compressed, because compressing rows one by one takes twice the time.
BUFFER_SIZE = 2**17


def compressor_of(file: Any, name: str) -> io.BufferedWriter | None:
    """Return a file that compresses what is written to it; None if the file is not compressed.

    :param file: the file to write the compressed data to; it is not closed
    :param name: the name of the file, whose suffix decides: ``.gz``, ``.zst``, or anything else for no compression
    """
    compressor: Any
    if name.endswith(".gz"):
        # Without name and time, so that the same rows result in the same bytes.
        compressor = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)
    elif name.endswith(".zst"):
        compressor = zstd.ZstdFile(file, "wb", level=3)
        compressor.write(b"")  # otherwise a file without rows would have no bytes, which is not valid
    else:
        return None
    return io.BufferedWriter(compressor, BUFFER_SIZE)
