"""Reads the settings of a hook from its connection."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_oauth.api.policy import ApiAccess
from airflow_provider_oauth.api.rate_limit import RateLimiter
from airflow_provider_oauth.api.recovery import RecoveryPolicy, RequestCounts
from airflow_provider_oauth.api.sender import ApiSender
from airflow_provider_oauth.connection import preset_of, read_connection, vendor_of
from airflow_provider_oauth.extract.error_rules import DEFAULT_RULES
from airflow_provider_oauth.presets import OAUTH
from airflow_provider_oauth.runtime.token_sources import token_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Connection

    from airflow_provider_oauth.api.rate_limit import Budget
    from airflow_provider_oauth.extract.error_rules import ErrorRule
    from airflow_provider_oauth.presets import Preset
    from airflow_provider_oauth.presets.vendor import Vendor
    from airflow_provider_oauth.protocol.config import OAuthConfig

#: Defaults of ``rate_limit_timeout`` and ``retry_timeout``, in seconds, if a list is read: starting again would cost
#: more than waiting.
LIST_RATE_LIMIT_TIMEOUT, LIST_RETRY_TIMEOUT = 300.0, 120.0


class ReadsConnection(BaseHook):
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
        """What is the same for all requests to the API: from the connection's vendor, or its preset.

        :raises ConfigurationError: if a field of the connection is missing or invalid
        """
        return vendor_of(self.config.vendor, self._preset)

    @cached_property
    def budget(self) -> Budget | None:
        """The credits that this hook may spend; None for unlimited. Default: the vendor's budget."""
        return self.preset.api.budget or self.vendor.budget

    #: Rules for the API's responses. They are tried before those of the vendor's preset and the default ones.
    error_rules: Sequence[ErrorRule] = ()
    #: Whether a request of any method can be retried without harm. None: only if a list is read.
    repeatable: bool | None = None

    @property
    def rate_limit_timeout(self) -> float:
        """How long a request waits for limits of the API, for example after status 429, in seconds.

        Default: the vendor's value, otherwise 0, or 300 if a list is read.
        """
        return self._timeout("rate_limit_timeout", 0)

    @rate_limit_timeout.setter
    def rate_limit_timeout(self, seconds: float) -> None:
        self._timeouts["rate_limit_timeout"] = seconds

    @property
    def retry_timeout(self) -> float:
        """How long a request is retried after status 502, 503 or 504 or a broken connection, in seconds.

        Default: the vendor's value, otherwise 0, or 120 if a list is read.
        """
        return self._timeout("retry_timeout", 0)

    @retry_timeout.setter
    def retry_timeout(self, seconds: float) -> None:
        self._timeouts["retry_timeout"] = seconds

    def _timeout(self, name: str, default: float) -> float:
        value = self._timeouts.get(name)
        vendors = getattr(self.preset.api, name) or getattr(self.vendor, name) if value is None else 0
        return float(vendors or default) if value is None else value

    @cached_property
    def _timeouts(self) -> dict[str, float]:
        """The timeouts that were set on this hook."""
        return {}

    def recovery_policy(self, *, in_list: bool) -> RecoveryPolicy:
        """Return when requests of this hook are repeated.

        :param in_list: whether the requests read a list. Then repeating them is safe, and saves the pages before
        """
        defaults = (LIST_RATE_LIMIT_TIMEOUT, LIST_RETRY_TIMEOUT) if in_list else (0, 0)
        return RecoveryPolicy(
            rules=(*self.error_rules, *(self.preset.api.error_rules or self.vendor.error_rules), *DEFAULT_RULES),
            rate_limit_timeout=self._timeout("rate_limit_timeout", defaults[0]),
            retry_timeout=self._timeout("retry_timeout", defaults[1]),
            repeatable=in_list if self.repeatable is None else self.repeatable,
        )

    @cached_property
    def counts(self) -> RequestCounts:
        """Counts how often requests of this hook waited for limits or were repeated."""
        return RequestCounts()

    @cached_property
    def _rate_limiter(self) -> RateLimiter:
        """The rate limiter that all sessions of this hook share."""
        return RateLimiter(self.budget)

    def _sender(self, *, in_list: bool) -> ApiSender:
        return ApiSender(self._rate_limiter, self.recovery_policy(in_list=in_list), self.oauth_conn_id, self.counts)

    @property
    def access(self) -> ApiAccess:
        """Provides the token, headers and parameters that the connection adds to requests to its API."""
        return ApiAccess(token_source(self.config), self.scope)


def log_warnings(hook: BaseHook, config: OAuthConfig) -> None:
    """Log the warnings about the connection's fields, for example about fields that are ignored."""
    for warning in config.warnings:
        hook.log.warning("Connection %r: %s", config.conn_id, warning)
