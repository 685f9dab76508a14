"""The operator for APIs behind OAuth 2.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.triggers.http import HttpResponseSerializer

from airflow_provider_oauth.exceptions import from_event
from airflow_provider_oauth.hooks.task import OAuthTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context


class OAuthHttpOperator(OAuthTask, HttpOperator):
    """Calls an endpoint of an API behind OAuth 2.0; a ``HttpOperator`` in all else, deferrable too.

    :param oauth_conn_id: the connection, of type OAuth 2.0 API or one made from it (templated)
    :param scope: a scope of its own instead of the connection's, separated by spaces; only for the client_credentials
        and password grants (templated)
    :param endpoint: relative to the API's base URL (templated)
    :param method: the HTTP method, POST unless given, as for ``HttpOperator``
    :param data: the query of a GET, the body of any other request (templated)
    :param headers: for this request (templated)
    :param kwargs: all other parameters of ``HttpOperator``: pagination_function, response_check, response_filter,
        extra_options, log_response, deferrable, retry_args, …
    :return: the response's text, or what ``response_filter`` makes of it
    :raises OAuthError: one of its subclasses, see ``exceptions``; wrong credentials fail the task without retries
    """

    conn_id_field = "oauth_conn_id"
    template_fields: Sequence[str] = ("endpoint", "data", "headers", "oauth_conn_id", "scope")

    def __init__(self, *, oauth_conn_id: str = "oauth_default", scope: str | None = None, **kwargs: Any) -> None:
        super().__init__(http_conn_id=oauth_conn_id, **kwargs)
        self.oauth_conn_id = oauth_conn_id
        self.scope = scope

    def execute_async(self, context: Context) -> None:
        """Defer to the triggerer, which takes the token itself.

        One is taken here first: refused credentials are to fail the task in its worker. What fails within seconds of
        being resumed, Airflow (3.3.2) may take for lost, and retry.
        """
        self.json_to_defer()
        self.hook.get_token()
        self._defer_request(**self._merge_next_page_parameters({}))

    def execute_complete(  # type: ignore[override]  # its pages are responses, which Airflow cannot keep
        self, context: Context, event: dict[str, Any], paginated_responses: list[dict[str, Any]] | None = None
    ) -> Any:
        """Go on with the response, or raise the error, that the trigger fired with."""
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
