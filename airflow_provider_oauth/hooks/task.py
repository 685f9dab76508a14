"""What the operators and the sensor have in common. Light: DAG files import it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError
from airflow_provider_oauth.runtime.ui_urls import connection_page_url

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from airflow.sdk import BaseOperator, Context

    from airflow_provider_oauth.hooks.oauth import OAuthHook


class OAuthConnectionLink(BaseOperatorLink):
    """A button of the task that opens the page of its connection."""

    name = "OAuth connection"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the URL of the connection's page; "" if Airflow's own URL is not configured."""
        return connection_page_url(operator.oauth_conn_id)  # type: ignore[attr-defined]


class ReportsFailure:
    """Mixin for operators: a link to the page of the connection, and a log line with its URL if the task fails.

    ``execute`` of the operator has to run within ``reporting_failure``.
    """

    oauth_conn_id: str
    log: Any
    operator_extra_links: Collection[BaseOperatorLink] = (OAuthConnectionLink(),)

    @contextmanager
    def reporting_failure(self) -> Iterator[None]:
        """Log the URL of the connection's page before an ``OAuthError`` fails the task."""
        try:
            yield
        except OAuthError:
            where = connection_page_url(self.oauth_conn_id)
            action = f"Open {where}" if where else f"Run: airflow oauth show {self.oauth_conn_id}"
            self.log.error("The task failed while it used connection %r. %s", self.oauth_conn_id, action)
            raise

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Continue after a deferral, as Airflow's operators do."""
        with self.reporting_failure():
            return super().resume_execution(next_method, next_kwargs, context)  # type: ignore[misc]


class OAuthTask(ReportsFailure):
    """A task of the HTTP provider, on a connection of ours: to be mixed into its operator and its sensor.

    Not their ``__init__``: Airflow wraps an operator's own, and cannot do without.
    """

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
