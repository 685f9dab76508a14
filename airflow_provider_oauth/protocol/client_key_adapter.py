"""A requests adapter for client certificates whose keys are encrypted, or whose files are replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter

from airflow_provider_oauth.protocol.tls_files import NO_PASSPHRASE, file_versions

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests


class ClientKeyAdapter(HTTPAdapter):
    """Decrypts the key of the client certificate, and reads the certificate again after its files were replaced.

    A TCP connection keeps the certificate with which it was opened. So after a file was replaced, requests are sent
    over new connections.

    :param passphrase: the passphrase of the key; None if it is not encrypted
    :param kwargs: the parameters of ``HTTPAdapter``
    """

    def __init__(self, *, passphrase: str | None = None, **kwargs: Any) -> None:
        self._passphrase = passphrase or NO_PASSPHRASE
        super().__init__(**kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool manager."""
        super().init_poolmanager(*args, **kwargs)
        _distinguish_versions(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pool manager for ``proxy``."""
        if proxy in self.proxy_manager:
            return self.proxy_manager[proxy]
        return _distinguish_versions(super().proxy_manager_for(proxy, **kwargs))

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Return the options of the connection pool for a request, with the passphrase.

        :param request: the request
        :param verify: whether to check the server's certificate, or the path of a CA bundle
        :param cert: the client certificate
        """
        host, options = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {**options, "key_password": self._passphrase}


def _distinguish_versions(manager: Any) -> Any:
    """Let a pool manager of urllib3 create a new pool after a file of the client certificate was replaced."""
    manager.key_fn_by_scheme = {scheme: _with_versions(key) for scheme, key in manager.key_fn_by_scheme.items()}
    return manager


def _with_versions(key_of: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def key(context: dict[str, Any]) -> Any:
        files = [context[name] for name in ("cert_file", "key_file") if context.get(name)]
        return (key_of(context), file_versions(tuple(files))) if files else key_of(context)

    return key
