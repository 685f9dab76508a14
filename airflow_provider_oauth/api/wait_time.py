"""Reads from the headers of a response how long the API requires its clients to wait."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_oauth.protocol.retry_after import FIRST_EPOCH, NUMBER, retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

#: Pairs of headers: the end of a limit's period, and the number of requests that are left in the period. The end is a
#: number of seconds, a time as seconds or milliseconds since the epoch, or a date.
RESET_HEADERS = (
    ("RateLimit-Reset", "RateLimit-Remaining"),
    ("X-RateLimit-Reset", "X-RateLimit-Remaining"),
    ("X-Rate-Limit-Reset", "X-Rate-Limit-Remaining"),
    ("X-RateLimit-Reset-After", "X-RateLimit-Remaining"),  # Discord
)
#: The same header of BigCommerce, in milliseconds.
RESET_MILLISECONDS = "X-Rate-Limit-Time-Reset-Ms"
#: A parameter in the ``RateLimit`` header.
PARAMETER = re.compile(r"\b(limit|remaining|reset|[rt])\s*=\s*([0-9]+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class LimitHeaders:
    """The response headers that describe a rate limit, if they are not the usual ones.

    :param reset: the name of the header that specifies when the limit ends: a number of seconds, or a time
    :param remaining: the name of the header with the number of requests that are left; None if there is none
    :param unit: the unit of the number in ``reset``
    """

    reset: str
    remaining: str | None = None
    unit: Literal["seconds", "milliseconds"] = "seconds"


def requested_wait(
    headers: Mapping[str, str], now: datetime, limit_headers: LimitHeaders | None = None
) -> float | None:
    """Return how long the API requires its clients to wait.

    ``Retry-After`` takes precedence. Otherwise, the longest wait in the other headers is used. Limits that have
    requests left are ignored: GitHub, for example, sends the end of its hourly limit also with errors that have another
    reason.

    :param headers: the headers of the response, with case-insensitive names
    :param now: the current time, with a time zone
    :param limit_headers: other headers that the vendor sends; None if there are none
    :return: seconds; None if no header has a valid time, or only times in the past
    """
    if (wait := retry_after(headers.get("Retry-After", ""), now)) is not None:
        return wait or None
    waits = [_rate_limit(headers.get("RateLimit", ""))]
    waits += [_reset(headers.get(reset, ""), now) for reset, left in RESET_HEADERS if _is_used_up(headers, left)]
    waits.append((_reset(headers.get(RESET_MILLISECONDS, ""), now) or 0) / 1000)
    if limit_headers and _is_used_up(headers, limit_headers.remaining):
        waits.append(_vendor_reset(headers.get(limit_headers.reset, ""), limit_headers.unit, now))
    return max(filter(None, waits), default=None)


def _is_used_up(headers: Mapping[str, str], left: str | None) -> bool:
    """Return whether a limit has no requests left. If their number is unknown, it counts as 0."""
    try:
        return left is None or float(headers.get(left, "0")) <= 0
    except ValueError:
        return True


def _reset(value: str, now: datetime) -> float | None:
    """Return the wait in a header. Repeated headers are joined with commas, but dates contain a comma too."""
    if (wait := retry_after(value, now)) is not None:
        return wait
    return max(filter(None, (retry_after(each, now) for each in value.split(","))), default=None)


def _vendor_reset(value: str, unit: str, now: datetime) -> float | None:
    """Return the wait in a vendor's header. In a number of milliseconds, a time since the epoch is recognized too."""
    if unit == "milliseconds" and NUMBER.fullmatch(value.strip()) and float(value) < FIRST_EPOCH:
        return float(value) / 1000
    return _reset(value, now)


def _rate_limit(value: str) -> float | None:
    """Return the wait in a ``RateLimit`` header (draft-ietf-httpapi-ratelimit-headers).

    In version 07 of the draft it describes one limit: ``limit=100, remaining=0, reset=5``. Later versions have a list
    of limits: ``"burst";r=0;t=5, "daily";r=80;t=3600``, where ``r`` is what remains, and ``t`` the seconds to wait.
    """
    if re.search(r"\breset\s*=", value, re.IGNORECASE):
        limits = [value]
    else:
        limits = re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", value)  # not at commas in quoted names
    waits = []
    for limit in limits:
        unquoted = re.sub(r'"[^"]*"', "", limit)
        found = {name.lower(): int(number) for name, number in PARAMETER.findall(unquoted) if len(number) < 16}
        if not found.get("r", found.get("remaining", 0)):
            waits.append(float(found.get("t", found.get("reset", 0))))
    return max(filter(None, waits), default=None)
