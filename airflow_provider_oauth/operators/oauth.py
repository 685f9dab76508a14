"""The operators for APIs behind OAuth 2.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.triggers.http import HttpResponseSerializer

from airflow_provider_oauth.exceptions import from_event
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.hooks.task import OAuthTask
from airflow_provider_oauth.operators.extract import ExtractOperator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import Context

    from airflow_provider_oauth.extract.paginators import Paginator
    from airflow_provider_oauth.hooks.oauth import OAuthHook

#: Seconds for which a request is sent again that was answered 429, where neither task nor connection says.
RATE_LIMIT_TIMEOUT = 300.0


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

    def execute(self, context: Context) -> Any:
        """Call the endpoint; in the triggerer if ``deferrable``, else here."""
        with self.reporting_failure():
            return super().execute(context)

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


class OAuthExtractOperator(ExtractOperator):
    """Reads a list of an API behind OAuth 2.0, page by page, into a file, in bounded memory.

    All pages go over one connection, and one is in memory at a time. All parameters of ``ExtractOperator`` too:
    ``path``, ``xcom_fields``, ``oauth_conn_id``, ``scope``.

    :param endpoint: relative to the API's base URL (templated)
    :param paginator: how the API hands out the list, one of ``paging``; None: as a whole
    :param data: query parameters; they win over the paginator's (templated)
    :param headers: for every request (templated)
    :param records_path: where the rows are in an answer, as JMESPath; None: it is an array, or has a single one
    :param rate_limit_timeout: seconds for which a request is repeated after 429 (Too Many Requests); None: the value of
        the connection's type, otherwise 300
    """

    template_fields: Sequence[str] = ("endpoint", "data", "headers", *ExtractOperator.template_fields)

    def __init__(
        self,
        *,
        endpoint: str,
        paginator: Paginator | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        records_path: str | None = None,
        rate_limit_timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint
        self.paginator = paginator
        self.data = data
        self.headers = headers
        self.records_path = records_path
        self.rate_limit_timeout = rate_limit_timeout

    def make_hook(self) -> OAuthHook:
        """Return the hook of the connection's own type, with some patience."""
        hook = super().make_hook()
        if self.rate_limit_timeout is None:
            hook.rate_limit_timeout = hook.rate_limit_timeout or RATE_LIMIT_TIMEOUT
        return hook

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the one list that was named."""
        yield ListRequest(
            endpoint=self.endpoint,
            data=self.data or {},
            headers=self.headers or {},
            paginator=self.paginator,
            records_path=self.records_path,
        )
