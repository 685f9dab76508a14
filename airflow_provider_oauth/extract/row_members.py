"""Splits a row into its members, whose values stay as the API wrote them."""

from __future__ import annotations

import json

import msgspec
from msgspec import Raw

from airflow_provider_oauth.extract.rows import InvalidPage
from airflow_provider_oauth.extract.slicers import TextSlicer

DECODER = msgspec.json.Decoder(dict[str, Raw])
SLICER = TextSlicer(allow_nan=False)


class RepeatedKey(ValueError):
    """The row contains a key twice."""


def row_members(line: bytes) -> dict[str, bytes] | None:
    """Return the members of a row; None if it is not an object.

    :param line: the row in valid JSON
    :raises RepeatedKey: if it contains a key twice, because a dict can contain only one of the values
    :raises InvalidPage: if it is nested too deeply, or contains NaN or Infinity
    """
    if not line.startswith(b"{"):
        return None
    try:
        members, count = _members(line), json.loads(line, object_pairs_hook=len, parse_int=len, parse_float=len)
    except RecursionError:
        raise InvalidPage(
            "has a row that is nested too deeply for Python. Request fewer nested objects, or write the rows to a "
            "JSON Lines file without exclude"
        ) from None
    except ValueError:
        raise InvalidPage(
            "has a row with NaN or Infinity, which JSON does not have. Change transform_row so that it returns None "
            "instead"
        ) from None
    if count != len(members):
        raise RepeatedKey
    return members


def _members(line: bytes) -> dict[str, bytes]:
    try:
        return {name: bytes(value) for name, value in DECODER.decode(line).items()}
    except (msgspec.DecodeError, RecursionError):  # msgspec rejects some valid JSON, see slice_rows
        return {name: value.encode() for name, value in (SLICER.members(line.decode()) or {}).items()}
