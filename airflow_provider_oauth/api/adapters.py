"""The ``requests`` adapters that all hooks of a process share, so that they reuse open TCP connections."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import lru_cache, partial

from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter
from requests_toolbelt.adapters.socket_options import TCPKeepAliveAdapter


@dataclass(frozen=True)
class KeepAlive:
    """The options of TCP keep-alive.

    :param idle: seconds without traffic before the first probe
    :param count: number of unanswered probes after which the connection is closed
    :param interval: seconds between two probes
    """

    idle: int
    count: int
    interval: int


def shared_adapter(keep_alive: KeepAlive | None, concurrency: int = 1) -> HTTPAdapter:
    """Return the adapter that all hooks of this process with these options share.

    ``HttpOperator`` creates a new hook for each page of a list. If each hook had its own adapter, each page would need
    a new TCP connection.

    :param keep_alive: the options of TCP keep-alive; None turns it off
    :param concurrency: maximum number of requests at a time that one hook sends
    """
    return _adapter(os.getpid(), keep_alive, max(concurrency, DEFAULT_POOLSIZE))


@lru_cache(maxsize=16)
def _adapter(pid: int, keep_alive: KeepAlive | None, size: int) -> HTTPAdapter:
    """Return the adapter of a process. A child process has a different ``pid``, so it uses no socket of its parent."""
    adapter = HTTPAdapter if keep_alive is None else partial(TCPKeepAliveAdapter, **asdict(keep_alive))
    return adapter(pool_maxsize=size)
