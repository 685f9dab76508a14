"""Masks secrets in Airflow's logs, and unmasks tokens that have expired.

Airflow compiles all masked texts into one pattern whenever a secret is added, and searches every log line for it. A
triggerer runs for weeks: if all its earlier tokens stayed masked, its logging would become slower with every renewal.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from urllib.parse import quote, quote_plus

from airflow.sdk.log import mask_secret

from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.runtime.compat import unmask

#: Minimum time that a secret stays masked. A request that contains it may still be running, the server may accept a
#: replaced refresh token again, and the clocks of this host and the server can differ.
MIN_MASKED = timedelta(minutes=10)

_clock = Clock()
#: The masked secrets, and when each can be unmasked; None if that is not known.
_masked: dict[str, datetime | None] = {}
_lock = threading.Lock()


def mask(secret: str, until: datetime | None = None) -> None:
    """Mask ``secret`` in Airflow's logs, as it is and as it is written in URLs.

    :param secret: a token or a password
    :param until: when it expires or was replaced; None if that is not known
    """
    now = _clock.now()
    if until is not None:
        until = max(until, now + MIN_MASKED)
    if _masked.get(secret, ...) == until:
        return
    with _lock:
        if secret not in _masked:
            _unmask_expired(now)
            for form in _forms(secret):
                mask_secret(form)
        _masked[secret] = until


def reset() -> None:
    """Reset this module in a child process, which inherits the lock in an unknown state."""
    global _lock
    _lock = threading.Lock()
    _masked.clear()


def _unmask_expired(now: datetime) -> None:
    expired = [secret for secret, until in _masked.items() if until and until < now]
    for secret in expired:
        del _masked[secret]
    if expired:
        unmask(form for secret in expired for form in _forms(secret))


def _forms(secret: str) -> list[str]:
    return list(dict.fromkeys((secret, quote(secret, safe=""), quote_plus(secret))))
