"""The time that the headers of a response require to wait."""

from __future__ import annotations

from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth.api.wait_time import LimitHeaders, requested_wait
from tests.fake_clock import START

EPOCH = int(START.timestamp())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "30"}, 30),
        ({"retry-after": "30.5"}, 30.5),
        ({"Retry-After": "Thu, 01 Jan 2026 00:01:30 GMT"}, 90),
        ({"Retry-After": str(EPOCH + 7)}, 7),
        ({"Retry-After": "0"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "3", "X-RateLimit-Reset": "60"}, 3),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "60"}, 60),
        ({"RateLimit": "limit=100, remaining=0, reset=5"}, 5),
        ({"RateLimit": "limit=100, remaining=50, reset=5"}, None),
        ({"RateLimit": '"default";r=0;t=30'}, 30),
        ({"RateLimit": '"burst";r=0;t=5, "daily";r=80;t=3600'}, 5),
        ({"RateLimit": '"burst";r=0;t=5, "daily";r=0;t=3600'}, 3600),
        ({"RateLimit": '"a, r=0;t=9";r=5;t=5'}, None),
        ({"RateLimit": "quota;t=1"}, 1),
        ({"RateLimit": '"default";r=0'}, None),
        ({"RateLimit": '"default";r=0;t=' + "9" * 400}, None),
        ({"RateLimit-Reset": "50"}, 50),
        ({"RateLimit-Reset": str(EPOCH + 60)}, 60),
        ({"RateLimit-Reset": "50", "RateLimit-Remaining": "0"}, 50),
        ({"RateLimit-Reset": "50", "RateLimit-Remaining": "7"}, None),
        ({"RateLimit-Reset": "5, 50"}, 50),
        ({"X-RateLimit-Reset": f"{EPOCH + 60}.5"}, 60.5),
        ({"X-RateLimit-Reset": str((EPOCH + 60) * 1000)}, 60),
        ({"X-RateLimit-Reset": "2026-01-01T00:01Z"}, 60),
        ({"X-RateLimit-Reset": str(EPOCH - 60)}, None),
        ({"X-RateLimit-Reset": str(EPOCH + 60), "X-RateLimit-Remaining": "4999"}, None),
        ({"X-RateLimit-Reset": "60", "X-RateLimit-Remaining": "many"}, 60),
        ({"x-rate-limit-reset": str(EPOCH + 60)}, 60),
        ({"X-RateLimit-Reset-After": "64.57"}, 64.57),
        ({"X-Rate-Limit-Time-Reset-Ms": "15000"}, 15),
    ],
)
def test_the_wait_is_read_from_every_known_header(headers: dict[str, Any], seconds: float | None) -> None:
    assert requested_wait(CaseInsensitiveDict(headers), START) == seconds


SECONDS = LimitHeaders(reset="X-Limit-Ends", remaining="X-Limit-Left")
MILLISECONDS = LimitHeaders(reset="X-Limit-Ms", unit="milliseconds")


@pytest.mark.parametrize(
    ("limit_headers", "headers", "seconds"),
    [
        (SECONDS, {"x-limit-ends": "30"}, 30),
        (SECONDS, {"X-Limit-Ends": "30", "X-Limit-Left": "0"}, 30),
        (SECONDS, {"X-Limit-Ends": "30", "X-Limit-Left": "1"}, None),
        (SECONDS, {"X-Limit-Ends": str(EPOCH + 9)}, 9),
        (SECONDS, {"X-Limit-Ends": "2026-01-01T00:00:20Z"}, 20),
        (SECONDS, {"X-Limit-Ends": "soon"}, None),
        (SECONDS, {"X-Limit-Ends": "30", "Retry-After": "5"}, 5),
        (SECONDS, {"X-Limit-Ends": "30", "X-RateLimit-Reset": "60"}, 60),
        (SECONDS, {"X-RateLimit-Reset": "60"}, 60),
        (MILLISECONDS, {"X-Limit-Ms": "1500"}, 1.5),
        (MILLISECONDS, {"X-Limit-Ms": "0"}, None),
        (MILLISECONDS, {"X-Limit-Ms": str((EPOCH + 9) * 1000)}, 9),
        (MILLISECONDS, {"X-Limit-Ms": "Thu, 01 Jan 2026 00:01:30 GMT"}, 90),
        (None, {"X-Limit-Ms": "1500"}, None),
    ],
)
def test_a_vendors_own_headers_are_read(
    limit_headers: LimitHeaders | None, headers: dict[str, str], seconds: float | None
) -> None:
    assert requested_wait(CaseInsensitiveDict(headers), START, limit_headers) == seconds
