"""The ``requests`` adapters that all hooks of a process share, so that they reuse open TCP connections."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from requests.adapters import DEFAULT_POOLSIZE
from requests_toolbelt.adapters.socket_options import TCPKeepAliveAdapter

from airflow_provider_oauth.protocol.client_key_adapter import ClientKeyAdapter
from airflow_provider_oauth.protocol.tls_files import file_versions

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter


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


class PoolAdapter(ClientKeyAdapter):
    """Remembers the connection pool of each origin, so that the URL of each request need not be parsed."""

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return the connection pool for a request.

        :param request: the request
        :param verify: whether to check the server's certificate, or the path of a CA bundle
        :param proxies: the proxies
        :param cert: the client certificate
        """
        cert = tuple(cert) if isinstance(cert, list) else cert
        if proxies:
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        url = request.url or ""
        key = (url[: url.find("/", len("https://"))], verify, cert, file_versions(cert) if cert else None)
        pool = self._pools.get(key)
        if pool is None:
            if cert:  # the pools of earlier versions of the files are not used again
                for earlier in [each for each in list(self._pools) if each[:3] == key[:3]]:
                    self._pools.pop(earlier, None)
            pool = self._pools[key] = super().get_connection_with_tls_context(request, verify, proxies, cert)
        return pool

    def close(self) -> None:
        """Close all idle connections."""
        self._pools.clear()  # urllib3 closes a pool when nothing refers to it any more
        super().close()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool manager."""
        self._pools: dict[Any, Any] = {}
        super().init_poolmanager(*args, **kwargs)


class KeepAliveAdapter(PoolAdapter, TCPKeepAliveAdapter):  # type: ignore[misc]
    """A ``PoolAdapter`` with TCP keep-alive."""


def shared_adapter(keep_alive: KeepAlive | None, concurrency: int = 1, passphrase: str | None = None) -> HTTPAdapter:
    """Return the adapter that all hooks of this process with these options share.

    ``HttpOperator`` creates a new hook for each page of a list. If each hook had its own adapter, each page would need
    a new TCP connection.

    :param keep_alive: the options of TCP keep-alive; None turns it off
    :param concurrency: maximum number of requests at a time that one hook sends
    :param passphrase: the passphrase of the client certificate's key; None if it is not encrypted
    """
    return _adapter(os.getpid(), keep_alive, max(concurrency, DEFAULT_POOLSIZE), passphrase)


@lru_cache(maxsize=16)
def _adapter(pid: int, keep_alive: KeepAlive | None, size: int, passphrase: str | None) -> HTTPAdapter:
    """Return the adapter of a process. A child process has a different ``pid``, so it uses no socket of its parent."""
    adapter = PoolAdapter if keep_alive is None else partial(KeepAliveAdapter, **asdict(keep_alive))
    return adapter(pool_maxsize=size, passphrase=passphrase)
