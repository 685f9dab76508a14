"""Having Airflow mask our secrets in logs, and forget those that are worth nothing any more.

Airflow compiles all that it masks into one pattern, anew with each secret, and searches every line of every log for it.
A triggerer lives for weeks: if it kept each token that it ever had, its logging would get slower with every renewal.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from datetime import datetime, timedelta
from urllib.parse import quote, quote_plus

from airflow.sdk.log import mask_secret

from airflow_provider_oauth.protocol.clock import Clock

#: Shortest time for which a secret stays masked: a request that carries it may still be running, the server may accept
#: a replaced refresh token again, and the clocks of this host and the server differ.
AT_LEAST = timedelta(minutes=10)

_clock = Clock()
#: What is masked, and until when.
_masked: dict[str, datetime | None] = {}
_one_thread = threading.Lock()


def mask(secret: str, until: datetime | None = None) -> None:
    """Have ``secret`` masked, plain and as in a URL.

    :param secret: a token, a password, …
    :param until: when it expires or was replaced; None if that is not known
    """
    now = _clock.now()
    if until is not None:
        until = max(until, now + AT_LEAST)
    if _masked.get(secret, ...) == until:
        return
    with _one_thread:
        known = secret in _masked
        if not known:
            _forget_the_worthless(now)
            for form in _forms(secret):
                mask_secret(form)
        _masked[secret] = until


def forget_all() -> None:
    """Know nothing, as a new process. A child process inherits the lock in a state that it could not use."""
    global _one_thread
    _one_thread = threading.Lock()
    _masked.clear()


def _forget_the_worthless(now: datetime) -> None:
    worthless = [secret for secret, until in _masked.items() if until and until < now]
    for secret in worthless:
        del _masked[secret]
    # There is no public way. Where this one is gone, logging becomes slower, no more.
    with suppress(ImportError, AttributeError):
        from airflow.sdk._shared.secrets_masker import _secrets_masker

        patterns = {re.escape(form) for secret in worthless for form in _forms(secret)}
        _secrets_masker().patterns.difference_update(patterns)  # the next one that is masked recompiles the rest


def _forms(secret: str) -> list[str]:
    return list(dict.fromkeys((secret, quote(secret, safe=""), quote_plus(secret))))
