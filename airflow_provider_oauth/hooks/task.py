"""What the operator and the sensor have in common. Light: DAG files import it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_oauth.hooks.oauth import OAuthHook


class OAuthTask:
    """A task of the HTTP provider, on a connection of ours: to be mixed into its operator and its sensor.

    Not their ``__init__``: Airflow wraps an operator's own, and cannot do without.
    """

    oauth_conn_id: str
    scope: str | None
    method: str
    tcp_keep_alive: bool
    tcp_keep_alive_idle: int
    tcp_keep_alive_count: int
    tcp_keep_alive_interval: int

    request_kwargs: dict[str, Any]

    def json_to_defer(self) -> Any:
        """Return the one of ``request_kwargs`` that a trigger can send.

        :raises ConfigurationError: if there are others
        """
        unknown = sorted(set(self.request_kwargs) - {"json"})
        if unknown:
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: a deferred request takes of request_kwargs only json, not "
                f"{', '.join(unknown)}. Leave deferrable out."
            )
        return self.request_kwargs.get("json")

    @cached_property
    def hook(self) -> OAuthHook:
        """The hook of the connection's own type.

        :raises ConfigurationError: if the connection is of a type that knows nothing of OAuth
        """
        from airflow_provider_oauth.hooks.oauth import hook_of

        return hook_of(
            self.oauth_conn_id,
            self.scope,
            method=self.method,
            auth_type=getattr(self, "auth_type", None),
            tcp_keep_alive=self.tcp_keep_alive,
            tcp_keep_alive_idle=self.tcp_keep_alive_idle,
            tcp_keep_alive_count=self.tcp_keep_alive_count,
            tcp_keep_alive_interval=self.tcp_keep_alive_interval,
        )
