"""Operators for APIs with OAuth 2.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.triggers.http import HttpResponseSerializer

from airflow_provider_oauth.exceptions import from_event
from airflow_provider_oauth.hooks.task import OAuthTask
from airflow_provider_oauth.hooks.templates import HiddenField

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context


class OAuthHttpOperator(OAuthTask, HttpOperator):
    """Calls an endpoint of an API with an OAuth 2.0 token. In all other respects it is an ``HttpOperator``.

    :param oauth_conn_id: ID of a connection of type OAuth 2.0 API or of a vendor's type (templated)
    :param scope: scopes to request, separated by spaces; None for the connection's scopes. Not for the grant types
        authorization_code and refresh_token (templated)
    :param endpoint: path relative to the API base URL (templated)
    :param method: HTTP method; default POST, as in ``HttpOperator``
    :param data: query parameters of a GET request, body of other requests (templated)
    :param headers: headers of the request (templated)
    :param kwargs: all other parameters of ``HttpOperator``: pagination_function, response_check, response_filter,
        extra_options, log_response, deferrable, retry_args and others
    :return: the text of the response, or the result of ``response_filter``
    :raises ConfigurationError: if a field of the connection or a parameter is invalid
    :raises ApiError: if the API responds with an error status, or does not respond
    :raises OAuthError: if no valid token can be obtained; refused credentials fail the task without retries
    """

    conn_id_field = "oauth_conn_id"
    template_fields: Sequence[str] = ("endpoint", "data", "headers", "oauth_conn_id", "scope")
    data: Any = HiddenField()

    def __init__(self, *, oauth_conn_id: str = "oauth_default", scope: str | None = None, **kwargs: Any) -> None:
        super().__init__(http_conn_id=oauth_conn_id, **kwargs)
        self.oauth_conn_id = oauth_conn_id
        self.scope = scope

    def execute(self, context: Context) -> Any:
        """Call the endpoint in the worker, or in the triggerer if ``deferrable``."""
        with self.reporting_failure():
            return super().execute(context)

    def execute_async(self, context: Context) -> None:
        """Get a token, and defer the request to the triggerer.

        The triggerer gets the token for the request itself. The worker gets one first, so that refused credentials fail
        the task before it is deferred. If a task fails within seconds after its deferral, Airflow 3.3.2 may treat it as
        lost, and retry it.
        """
        self.json_to_defer()
        self.hook.get_token()
        self._defer_request(**self._merge_next_page_parameters({}))

    def execute_complete(  # type: ignore[override]  # HttpOperator stores responses, which Airflow cannot serialize
        self, context: Context, event: dict[str, Any], paginated_responses: list[dict[str, Any]] | None = None
    ) -> Any:
        """Process the response of the trigger's event, or raise its error."""
        if event["status"] == "error":
            raise from_event(event["error"])
        response = HttpResponseSerializer.deserialize(event["response"])
        if not self.pagination_function:
            return self.process_response(context=context, response=response)
        pages = [*(paginated_responses or []), event["response"]]
        next_page = self.pagination_function(response)
        if not next_page:
            return self.process_response(context, [HttpResponseSerializer.deserialize(page) for page in pages])
        return self._defer_request(**self._merge_next_page_parameters(next_page), kwargs={"paginated_responses": pages})

    def _defer_request(self, *, kwargs: dict[str, Any] | None = None, **request: Any) -> None:
        from airflow_provider_oauth.triggers.oauth import OAuthHttpTrigger

        self.defer(
            trigger=OAuthHttpTrigger(oauth_conn_id=self.oauth_conn_id, method=self.method, scope=self.scope, **request),
            method_name="execute_complete",
            kwargs=kwargs,
        )
