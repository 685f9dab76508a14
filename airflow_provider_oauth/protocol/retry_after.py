"""Parses times in response headers: the ``Retry-After`` header (RFC 9110 section 10.2.3), and similar ones."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Numbers from here on are seconds since the epoch. APIs send either less than 100,000 seconds or a time after 2001.
FIRST_EPOCH = 1e9
#: Numbers from here on are milliseconds since the epoch.
FIRST_EPOCH_MILLISECONDS = 1e11
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
#: A date of ISO 8601, which some APIs send without seconds.
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\dT.*")


def retry_after(value: str, now: datetime) -> float | None:
    """Return the delay in a ``Retry-After`` header, which is a number of seconds or a date.

    Some APIs send decimals, such as ``30.5``, a time as seconds or milliseconds since the epoch, or a date of ISO 8601.

    :param value: value of the header; "" if there is none
    :param now: the current time, with a time zone; dates are relative to it
    :return: seconds; None if the header is missing or invalid
    """
    value = value.strip()
    if NUMBER.fullmatch(value):
        return _delay(float(value), now)
    try:
        date = datetime.fromisoformat(value) if ISO_DATE.fullmatch(value) else parsedate_to_datetime(value)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - now).total_seconds())
    except (ValueError, OverflowError):
        return None


def _delay(number: float, now: datetime) -> float | None:
    if not math.isfinite(number):
        return None
    if number < FIRST_EPOCH:
        return number
    seconds = number / 1000 if number >= FIRST_EPOCH_MILLISECONDS else number
    return max(0.0, seconds - now.timestamp())
