"""Holds the token sources of this process, one per connection. All hooks of this process share them."""

from __future__ import annotations

import os
import tempfile
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import conf

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.metrics import no_report
from airflow_provider_oauth.runtime import masking, metrics
from airflow_provider_oauth.runtime.teams import check_team
from airflow_provider_oauth.runtime.ui_urls import connection_page_url
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from airflow_provider_oauth.tokens.dependencies import Dependencies
from airflow_provider_oauth.tokens.host_lock import HostLock
from airflow_provider_oauth.tokens.source import TokenSource

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
    from airflow_provider_oauth.protocol.metrics import Report
    from airflow_provider_oauth.protocol.token import Token

_sources: dict[str, tuple[str, TokenSource]] = {}
_lock = threading.Lock()


def _reset() -> None:
    """Reset this module and ``masking`` in a child process, which inherits locks in an unknown state."""
    global _lock
    _lock = threading.Lock()
    _sources.clear()
    masking.reset()


os.register_at_fork(after_in_child=_reset)


class LazyEndpoint:
    """The token endpoint of a connection. It is created when it is used.

    Most tasks find a valid token in the store, so they need not import the modules that request one.

    :param config: the settings of the connection
    :param report: reports the outcome of each attempt to send a token request
    """

    def __init__(self, config: OAuthConfig, report: Report) -> None:
        self._config = config
        self._report = report

    def grant(self, scope: str | None = None, *, retry: bool = True) -> Token:
        """See ``TokenEndpoint.grant``."""
        return self._endpoint.grant(scope, retry=retry)

    def refresh(self, refresh_token: str, access_token: str | None = None, *, retry: bool = True) -> Token:
        """See ``TokenEndpoint.refresh``."""
        return self._endpoint.refresh(refresh_token, access_token, retry=retry)

    def revoke(self, token: str, hint: str) -> bool:
        """See ``TokenEndpoint.revoke``."""
        return self._endpoint.revoke(token, hint)

    @cached_property
    def _endpoint(self) -> TokenEndpoint:
        return token_endpoint(self._config, self._report)


def token_endpoint(config: OAuthConfig, report: Report = no_report) -> TokenEndpoint:
    """Return the token endpoint of a connection. Before it sends an assertion, it masks it in logs.

    :param config: the settings of the connection
    :param report: reports the outcome of each attempt to send a token request
    """
    from airflow_provider_oauth.protocol.endpoint import TokenEndpoint

    return TokenEndpoint(config, report=report, mask=masking.mask)


def token_source(config: OAuthConfig) -> TokenSource:
    """Return the token source of a connection in this process; create a new one if the connection has changed.

    After this call, the secrets of the connection are masked in logs.

    :raises ConfigurationError: if the DAG of this task belongs to a team
    """
    check_team(config.conn_id)
    with _lock:
        known = _sources.get(config.conn_id)
        if known is None or known[0] != config.version:
            for secret in config.secrets:
                masking.mask(secret)
            metrics.prepare()
            report = metrics.reporter(config.conn_id)
            dependencies = Dependencies(
                config=config,
                endpoint=LazyEndpoint(config, report),
                store=VariableTokenStore(config),
                host_lock=host_lock(config.conn_id),
                mask=masking.mask,
                report=report,
                page=connection_page_url(config.conn_id),
            )
            _sources[config.conn_id] = known = (config.version, TokenSource(dependencies))
        return known[1]


def host_lock(conn_id: str) -> HostLock:
    """Return the lock that the processes of this host share for a connection.

    Its file is in ``[oauth] lock_folder`` or, if that is not set, in a temporary folder of this operating system user.

    :raises ConfigurationError: if the setting is a relative path, which is a different folder in each process
    """
    configured = conf.get("oauth", "lock_folder", fallback="")
    if configured:
        if not Path(configured).is_absolute():
            raise ConfigurationError(
                f"Connection {conn_id!r}: [oauth] lock_folder is {configured!r}, a relative path. Set it to an "
                f"absolute path, so that all Airflow processes on this host use the same folder."
            )
        return HostLock(Path(configured), conn_id, shared=True)
    return HostLock(Path(tempfile.gettempdir()) / f"airflow-oauth-{os.getuid()}", conn_id)
