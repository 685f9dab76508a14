"""Mixins for the operators and the sensor. This module imports little, because DAG files import it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError
from airflow_provider_oauth.hooks.templates import HiddenField, RendersValues
from airflow_provider_oauth.runtime.teams import check_team
from airflow_provider_oauth.runtime.ui_urls import connection_page_url

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from airflow.sdk import BaseOperator, Context

    from airflow_provider_oauth.hooks.oauth import OAuthHook


class OAuthConnectionLink(BaseOperatorLink):
    """A button on a task's page in Airflow that opens the page of the task's connection."""

    name = "OAuth connection"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the URL of the connection's page; "" if ``[api] base_url`` is not set."""
        return connection_page_url(operator.oauth_conn_id)  # type: ignore[attr-defined]


class ReportsFailure:
    """Adds a link to the connection's page to an operator, and logs the page's URL if the task fails.

    The operator's ``execute`` must run within ``reporting_failure``.
    """

    oauth_conn_id: str
    log: Any
    operator_extra_links: Collection[BaseOperatorLink] = (OAuthConnectionLink(),)

    @contextmanager
    def reporting_failure(self) -> Iterator[None]:
        """Log the URL of the connection's page before an ``OAuthError`` fails the task."""
        try:
            check_team(self.oauth_conn_id)  # here, because it is not known in the triggerer
            yield
        except OAuthError:
            url = connection_page_url(self.oauth_conn_id)
            action = f"open {url}" if url else f"run: airflow oauth show {self.oauth_conn_id}"
            text = "The task failed while it used connection %r. To see the state of the connection, %s"
            self.log.error(text, self.oauth_conn_id, action)
            raise

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Continue after a deferral, as Airflow's operators do."""
        with self.reporting_failure():
            return super().resume_execution(next_method, next_kwargs, context)  # type: ignore[misc]


class OAuthTask(RendersValues, ReportsFailure):
    """Lets the operator and the sensor of the HTTP provider use the hook of an OAuth 2.0 connection.

    This class has no ``__init__``, because Airflow requires that each operator defines its own.
    """

    scope: str | None
    method: str
    headers: Any = HiddenField()
    tcp_keep_alive: bool
    tcp_keep_alive_idle: int
    tcp_keep_alive_count: int
    tcp_keep_alive_interval: int

    request_kwargs: dict[str, Any]

    def json_to_defer(self) -> Any:
        """Return the member ``json`` of ``request_kwargs``, the only member that a deferred request supports.

        :raises ConfigurationError: if ``request_kwargs`` has other members
        """
        unknown = sorted(set(self.request_kwargs) - {"json"})
        if unknown:
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: a deferred task supports only json in request_kwargs, not "
                f"{', '.join(unknown)}. Remove the others, or set deferrable=False."
            )
        return self.request_kwargs.get("json")

    @cached_property
    def hook(self) -> OAuthHook:
        """The hook for the connection's type.

        :raises ConfigurationError: if the connection is not of an OAuth 2.0 type
        """
        from airflow_provider_oauth.hooks.lookup import hook_of

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
