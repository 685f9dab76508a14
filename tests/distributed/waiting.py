"""Waits for other processes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_until(condition: Callable[[], Any], message: str, timeout: float = 60) -> None:
    """Poll until the condition is true.

    :param condition: the condition
    :param message: the error after the timeout
    :param timeout: seconds
    """
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.1)
