"""Parses the ``Retry-After`` header (RFC 9110 section 10.2.3)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after(value: str, now: datetime) -> float | None:
    """Return the delay in a ``Retry-After`` header, which is a number of seconds or a date.

    :param value: value of the header; "" if there is none
    :param now: the current time, with a time zone; dates are relative to it
    :return: seconds; None if the header is missing or invalid
    """
    value = value.strip()
    if value.isdecimal():
        return float(value) if math.isfinite(float(value)) else None
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())
