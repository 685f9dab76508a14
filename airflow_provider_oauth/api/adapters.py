"""The requests adapters, with their open sockets, that all hooks of a process share."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import lru_cache

from requests.adapters import HTTPAdapter
from requests_toolbelt.adapters.socket_options import TCPKeepAliveAdapter


@dataclass(frozen=True)
class KeepAlive:
    """When TCP probes keep an idle connection alive.

    :param idle: seconds without traffic before the first probe
    :param count: number of unanswered probes after which the connection is closed
    :param interval: seconds between two probes
    """

    idle: int
    count: int
    interval: int


def shared_adapter(keep_alive: KeepAlive | None) -> HTTPAdapter:
    """Return the adapter of this process for these options.

    The stock operator creates a new hook for every page. With an adapter of its own, each would open new connections.

    :param keep_alive: when idle connections are kept alive; None for never
    """
    return _adapter(os.getpid(), keep_alive)


@lru_cache(maxsize=16)
def _adapter(pid: int, keep_alive: KeepAlive | None) -> HTTPAdapter:
    """Return a new adapter. A child process has another ``pid``, so it does not use the sockets of its parent."""
    return HTTPAdapter() if keep_alive is None else TCPKeepAliveAdapter(**asdict(keep_alive))
