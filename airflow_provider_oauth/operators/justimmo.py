"""Operators for Justimmo (real estate). Pages: https://api-docs.justimmo.at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.paginators import OffsetPaginator
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.operators.extract import WHOLE_RESPONSE, ExtractOperator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_oauth.hooks.oauth import OAuthHook


class _JustimmoOperator(ExtractOperator):
    default_conn_name = "justimmo_default"
    template_fields: Sequence[str] = ("tenant_id", "user_id", *ExtractOperator.template_fields)

    def __init__(self, *, tenant_id: str | int | None = None, user_id: str | int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tenant_id = tenant_id
        self.user_id = user_id

    @property
    def headers(self) -> dict[str, str | None]:
        """The vendor's own headers; where they are None, those of the connection are sent."""
        values = {"X-Justimmo-TenantId": self.tenant_id, "X-Justimmo-UserId": self.user_id}
        return {name: None if value in (None, "") else str(value) for name, value in values.items()}


class JustimmoCurrentUserOperator(_JustimmoOperator):
    """Reads the user and the tenant that the token speaks for: ``GET /oauth/user/current``, documented.

    It takes a user's token: grant type Authorization code or Refresh token.

    :param tenant_id: sent as ``X-Justimmo-TenantId`` instead of the connection's (templated)
    :param user_id: sent as ``X-Justimmo-UserId`` instead of the connection's (templated)
    :param oauth_conn_id: the connection, of type Justimmo (templated)
    :param path: see ``ExtractOperator`` (templated)
    :return: ``{"id": …, "tenant": {"id": …}}``
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"xcom_fields": "@", **kwargs})

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the user."""
        yield ListRequest(endpoint="oauth/user/current", headers=self.headers, records_path=WHOLE_RESPONSE)

    def execute(self, context: Any) -> Any:
        """Return the user, the only row."""
        result = super().execute(context)
        return result[0] if isinstance(result, list) else result


class JustimmoListRealtiesOperator(_JustimmoOperator):
    """Lists realties: ``GET /v1/realties``. **Only seen in public clients**, not documented; so are its parameters.

    An answer may be an array, or have it as ``items`` or ``data``. A 429 (about 10 requests a second are said to be
    allowed) is waited out for up to five minutes.

    :param tenant_id: sent as ``X-Justimmo-TenantId`` instead of the connection's (templated)
    :param user_id: sent as ``X-Justimmo-UserId`` instead of the connection's (templated)
    :param data: more query parameters; none is documented (templated)
    :param oauth_conn_id: the connection, of type Justimmo (templated)
    :param path: see ``ExtractOperator`` (templated)
    :param xcom_fields: see ``ExtractOperator``
    :return: see ``ExtractOperator``
    """

    template_fields: Sequence[str] = ("data", *_JustimmoOperator.template_fields)

    def __init__(self, *, data: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data = data

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the list of realties."""
        yield ListRequest(
            endpoint="v1/realties",
            data=self.data or {},
            headers=self.headers,
            paginator=OffsetPaginator(size=100, total="pagination.total"),
            records_path="not_null(items, data, @)",
        )
