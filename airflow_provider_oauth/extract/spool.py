"""Stores the body of a response in a temporary file while it arrives, so that large responses need little memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tempfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import requests
import urllib3

from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.extract.text import GZIP_MAGIC, has_length
from airflow_provider_oauth.protocol.redaction import redact_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Bytes to read at a time.
CHUNK_SIZE = 2**16
#: The headers of requests whose responses are stored. With other encodings, missing data could not be detected.
HEADERS = {"Accept-Encoding": "gzip"}


class SpooledResponse(requests.Response):
    """A response whose body is in a temporary file, complete and not compressed.

    :param response: the response; its body was read
    :param body: the temporary file
    :param digest: a hash of the body as it was sent
    :param has_end: whether the response had a length or an end mark, so that no bytes can be missing
    """

    def __init__(self, response: requests.Response, body: IO[bytes], digest: bytes, *, has_end: bool) -> None:
        super().__init__()
        vars(self).update(vars(response))
        self._body = body
        self.digest = digest
        self.has_end = has_end

    def open(self) -> io.BufferedReader:
        """Return a new reader of the body, from its start. Readers are independent of each other."""
        return io.BufferedReader(_Reader(self._body.fileno()), CHUNK_SIZE)

    @property
    def content(self) -> bytes:
        """The whole body, not compressed. It needs as much memory as the body has bytes."""
        with self.open() as reader:
            return reader.read()

    def read_small(self, size: int) -> bytes:
        """Return the body if it has at most ``size`` bytes; empty if it has more."""
        with self.open() as reader:
            body = reader.read(size + 1)
        return body if len(body) <= size else b""

    def close(self) -> None:
        """Delete the temporary file."""
        self._body.close()
        super().close()


class _Reader(io.RawIOBase):
    """Reads a file from its start without changing the file's own position.

    :param descriptor: the descriptor of the file; it is not closed
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read bytes into ``buffer``, and return their number."""
        size = os.preadv(self._descriptor, [buffer], self._position)
        self._position += size
        return size


def spooler(conn_id: str) -> Callable[..., requests.Response]:
    """Return a response hook for ``requests`` that stores the bodies of successful responses in temporary files.

    The hook reads the body while the request is being sent. Therefore the session repeats the request also if the
    connection breaks in the middle of the body.

    :param conn_id: the connection ID, for errors
    """

    def spool(response: requests.Response, **_: Any) -> requests.Response:
        if not 200 <= response.status_code < 300 or isinstance(response, SpooledResponse):
            return response
        coding = response.headers.get("Content-Encoding", "")
        try:
            if coding.strip().lower() in ("", "identity", "gzip", "x-gzip"):
                return _spooled(response)
            problem = (
                f"has the Content-Encoding {coding!r}, but the request accepts only gzip. Check the headers of the "
                "request"
            )
        except (gzip.BadGzipFile, EOFError, zlib.error):
            problem = "is not valid gzip: the data is incomplete or damaged. Run the task again"
        except OSError as error:
            if isinstance(error, requests.RequestException):
                raise
            problem = (
                f"cannot be stored in the temporary folder {tempfile.gettempdir()}: {error.strerror}. Free space "
                "there, or set the environment variable TMPDIR of the worker to another folder"
            )
        response.close()
        url = redact_url(response.url or "")
        raise ApiError(f"Connection {conn_id!r}: the response of {url} {problem}.", response.status_code) from None

    return spool


def _spooled(response: requests.Response) -> SpooledResponse:
    digest = hashlib.blake2b()
    has_end = has_length(response.headers)
    with _new_file() as body:
        for chunk in _chunks(response):
            digest.update(chunk)
            body.write(chunk)
        body.flush()
    while os.pread(body.fileno(), len(GZIP_MAGIC), 0) == GZIP_MAGIC:  # twice for a compressed file sent compressed
        with body, _new_file() as content:
            body.seek(0)
            shutil.copyfileobj(gzip.GzipFile(fileobj=body), content, CHUNK_SIZE)
            content.flush()
        body, has_end = content, True
    for _ in response.iter_content():  # nothing is left; this makes later calls of iter_content an error
        pass
    return SpooledResponse(response, body, digest.digest(), has_end=has_end or response.status_code == 204)


@contextmanager
def _new_file() -> Iterator[IO[bytes]]:
    """Yield a new temporary file, which is closed only if there is an error."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    try:
        yield file
    except BaseException:
        file.close()
        raise


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the body as it is sent. urllib3 would not report that compressed data is incomplete."""
    try:
        yield from response.raw.stream(CHUNK_SIZE, decode_content=False)
    except urllib3.exceptions.ProtocolError as error:
        raise requests.exceptions.ChunkedEncodingError(error, response=response) from error
    except (urllib3.exceptions.ReadTimeoutError, urllib3.exceptions.SSLError) as error:
        raise requests.exceptions.ConnectionError(error, response=response) from error
