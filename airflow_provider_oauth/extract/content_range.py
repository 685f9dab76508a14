"""Reads the header ``Content-Range`` as APIs use it for lists: ``0-24/573`` is rows 0 to 24 of 573.

PostgREST sends it with the status 206 for a part of a list. Others send a unit too, such as ``items 0-24/573``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.page import Page

_RANGE = re.compile(r"(?:(?P<unit>[\w-]+)[ =]+)?(?:(?P<first>\d+)-(?P<last>\d+)|\*)/(?P<total>\d+|\*)")


def total_of_range(value: str) -> int | None:
    """Return the total number of rows in a ``Content-Range`` header; None if it has none.

    :param value: the value of the header
    """
    found = _RANGE.fullmatch(value.strip())
    # A range of bytes is a part of a file (RFC 9110 section 14.4).
    return int(found["total"]) if found and found["unit"] != "bytes" and found["total"] != "*" else None


def sign_in_range(page: Page) -> str | None:
    """Return the sign, in the range or status of ``page``, that there are rows after it; None if there is none."""
    value = page.response.headers.get("Content-Range", "").strip()
    found = _RANGE.fullmatch(value)
    if not page.count or (found and found["unit"] == "bytes"):
        return None
    total = total_of_range(value)
    if total is None:  # PostgREST sends 0-24/* for complete lists too
        return "the status 206 (Partial Content)" if page.response.status_code == 206 else None
    if not found or not found["last"] or page.rows_before + page.count >= total:
        return None
    first, last = int(found["first"]), int(found["last"])
    is_last = last >= total - (0 if first == 1 else 1)  # most APIs count from 0
    return None if is_last else f"the header Content-Range: {value} (rows {first} to {last} of {total})"
