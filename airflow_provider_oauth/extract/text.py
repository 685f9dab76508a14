"""Decodes the body of a response to UTF-8."""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from email.message import Message
from typing import TYPE_CHECKING

from airflow_provider_oauth.extract.rows import InvalidPage

if TYPE_CHECKING:
    from collections.abc import Mapping

GZIP_MAGIC = b"\x1f\x8b"


def has_length(headers: Mapping[str, str]) -> bool:
    """Return whether a response has a length or an end mark, without which a broken connection looks like its end.

    :param headers: the headers of the response, with names in any case
    """
    return "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()


def utf8(body: bytes, content_type: str) -> bytes:
    """Return the body of a response in valid UTF-8, without a byte order mark.

    The encoding is that of the byte order mark, otherwise the ``charset`` of the content type, otherwise UTF-8, which
    is the encoding of JSON (RFC 8259 section 8.1). ``requests`` would assume ISO-8859-1 for ``text/html``.

    :param body: the body; it may be compressed with gzip, as files of some APIs are
    :param content_type: the ``Content-Type`` header; "" if there is none
    :raises InvalidPage: if the body is not in this encoding, or its gzip data is incomplete or damaged
    """
    body = decompressed(body)
    name = encoding(body, content_type)
    try:
        text = body.decode(name)
        return body if name == "utf-8" else text.encode()
    except UnicodeError as error:
        place = f" at byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        raise InvalidPage(f"is not valid {name}{place}. Check the charset in its Content-Type") from None


def encoding(start: bytes, content_type: str) -> str:
    """Return the name of the encoding of a response.

    :param start: the body, or at least its first four bytes
    :param content_type: the ``Content-Type`` header; "" if there is none
    :raises InvalidPage: if Python does not know the charset
    """
    detected = json.detect_encoding(start)
    if detected != "utf-8":  # a byte order mark, or JSON in UTF-16 or UTF-32
        return detected
    message = Message()
    message["Content-Type"] = content_type
    charset = message.get_content_charset("utf-8")
    try:
        "".encode(charset)  # raises an error also for codecs that do not encode text, such as hex
        return codecs.lookup(charset).name
    except (LookupError, ValueError):
        raise InvalidPage(f"has the charset {charset!r}, which is unknown. Check the endpoint") from None


def decompressed(body: bytes) -> bytes:
    """Return ``body``, decompressed if its content is gzip.

    :raises InvalidPage: if the compressed data is incomplete or damaged
    """
    if not body.startswith(GZIP_MAGIC):
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        raise InvalidPage("is not valid gzip: the data is incomplete or damaged. Run the task again") from None
