"""Compresses files whose names end with ``.gz`` or ``.zst``."""

from __future__ import annotations

import gzip
import io
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bytes that are collected before they are compressed, because compressing rows one by one takes twice the time.
BUFFER_SIZE = 2**17


@contextmanager
def compressed(file: Any, name: str) -> Iterator[Any]:
    """Yield a file that compresses what is written to it.

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
        yield file
        return
    buffer = io.BufferedWriter(compressor, BUFFER_SIZE)
    try:
        yield buffer
        buffer.close()
    except BaseException:
        file.abandon()
        raise
