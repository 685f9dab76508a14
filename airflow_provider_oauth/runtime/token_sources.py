"""One token source a connection and process, for the synchronous and the asynchronous hook."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import conf

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from airflow_provider_oauth.runtime.masking import forget_all, mask
from airflow_provider_oauth.runtime.ui_urls import connection_page_url
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from airflow_provider_oauth.tokens.host_lock import HostLock
from airflow_provider_oauth.tokens.source import TokenSource

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

_sources: dict[str, tuple[str, TokenSource]] = {}
_one_thread = threading.Lock()


def _forget() -> None:
    """Start anew in a child process: it inherits locks in a state that it could not use."""
    global _one_thread
    _one_thread = threading.Lock()
    _sources.clear()
    forget_all()


os.register_at_fork(after_in_child=_forget)


def token_source(config: OAuthConfig) -> TokenSource:
    """Return this process's source of tokens for a connection; another one if the connection has changed."""
    with _one_thread:
        known = _sources.get(config.conn_id)
        if known is None or known[0] != config.version:
            for secret in config.secrets:
                mask(secret)
            source = TokenSource(
                config,
                endpoint=TokenEndpoint(config),
                store=VariableTokenStore(config),
                lock=host_lock(config.conn_id),
                mask=mask,
                page=connection_page_url(config.conn_id),
            )
            _sources[config.conn_id] = known = (config.version, source)
        return known[1]


def host_lock(conn_id: str) -> HostLock:
    """Return the lock of this host: in ``[oauth] lock_folder``, otherwise in a folder of this user.

    :raises ConfigurationError: if the setting is a relative path, which names another folder in each process
    """
    configured = conf.get("oauth", "lock_folder", fallback="")
    if configured:
        if not Path(configured).is_absolute():
            raise ConfigurationError(
                f"Connection {conn_id!r}: [oauth] lock_folder is {configured!r}. Set it to an absolute path, so that "
                f"every Airflow process of this host uses the same folder."
            )
        return HostLock(Path(configured), conn_id, shared=True)
    return HostLock(Path(tempfile.gettempdir()) / f"airflow-oauth-{os.getuid()}", conn_id)
