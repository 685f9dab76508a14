"""Reads the settings of a hook from its connection."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_oauth.api.policy import ApiAccess
from airflow_provider_oauth.api.rate_limit import RateLimiter
from airflow_provider_oauth.api.sender import ApiSender
from airflow_provider_oauth.connection import preset_of, read_connection, vendor_of
from airflow_provider_oauth.hooks.repetition import RepeatsRequests
from airflow_provider_oauth.presets import OAUTH
from airflow_provider_oauth.runtime.token_sources import token_source

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from airflow.sdk import Connection

    from airflow_provider_oauth.api.rate_limit import Budget
    from airflow_provider_oauth.api.recovery import RecoveryPolicy
    from airflow_provider_oauth.presets import Preset
    from airflow_provider_oauth.presets.vendor import Vendor
    from airflow_provider_oauth.protocol.config import OAuthConfig


class ReadsConnection(RepeatsRequests, BaseHook):
    """Reads the connection of a hook once, when the hook first needs it.

    The hook sets ``oauth_conn_id`` and ``scope``.
    """

    oauth_conn_id: str
    scope: str | None
    preset: Preset = OAUTH

    @cached_property
    def _connection(self) -> Connection:
        return self.get_connection(self.oauth_conn_id)

    @cached_property
    def _preset(self) -> Preset:
        """The preset of the connection's type. It can differ from ``preset``, the preset of the hook's class."""
        return preset_of(self._connection, self.preset)

    @cached_property
    def config(self) -> OAuthConfig:
        """The settings of the connection.

        :raises ConfigurationError: if a field of the connection is missing or invalid
        """
        config = read_connection(self._connection, self._preset)
        log_warnings(self, config)
        return config

    @cached_property
    def vendor(self) -> Vendor:
        """The description of the API: that of the connection's vendor, otherwise that of its preset.

        :raises ConfigurationError: if a field of the connection is missing or invalid
        """
        return vendor_of(self.config.vendor, self._preset)

    @cached_property
    def budget(self) -> Budget | None:
        """The credits that this hook may spend; None for unlimited. Default: the vendor's budget."""
        return self.preset.api.budget or self.vendor.budget

    @property
    def _vendors(self) -> Iterator[Vendor]:
        yield self.preset.api
        yield self.vendor  # only now, because it needs the connection

    @cached_property
    def _rate_limiter(self) -> RateLimiter:
        """The rate limiter that all sessions of this hook share."""
        return RateLimiter(self.budget)

    def _sender(self, policy: RecoveryPolicy, stop: threading.Event | None = None) -> ApiSender:
        return ApiSender(self._rate_limiter, policy, self.oauth_conn_id, self.counts, stop)

    @property
    def access(self) -> ApiAccess:
        """Provides the token, headers and parameters that the connection adds to requests to its API."""
        return ApiAccess(token_source(self.config), self.scope)

    @cached_property
    def _list_access(self) -> ApiAccess:
        """As ``access``, but for all lists of this hook, whose rows must belong to the same account."""
        return ApiAccess(token_source(self.config), self.scope, one_account=True)


def log_warnings(hook: BaseHook, config: OAuthConfig) -> None:
    """Log the warnings about the connection's fields, for example about fields that are ignored."""
    for warning in config.warnings:
        hook.log.warning("Connection %r: %s", config.conn_id, warning)
