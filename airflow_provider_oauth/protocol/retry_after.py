"""The ``Retry-After`` header (RFC 9110 section 10.2.3)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for (RFC 9110 section 10.2.3: seconds, or a date).

    :param value: the header's, "" for none
    :param now: what a date is compared with
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
