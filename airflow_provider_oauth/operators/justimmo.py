"""Operators for Justimmo (real estate). API documentation: https://api-docs.justimmo.at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.operators.extract import WHOLE_RESPONSE, ExtractOperator
from airflow_provider_oauth.operators.parts import is_folder
from airflow_provider_oauth.presets.vendors import vendor

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
        """The headers with the tenant and the user. If a header is None, the connection's header is sent."""
        values = {"X-Justimmo-TenantId": self.tenant_id, "X-Justimmo-UserId": self.user_id}
        return {name: None if value in (None, "") else str(value) for name, value in values.items()}


class JustimmoCurrentUserOperator(_JustimmoOperator):
    """Fetches the IDs of the token's user and tenant: ``GET /oauth/user/current`` of https://api-docs.justimmo.at.

    Justimmo documents this endpoint. It needs a token of a user: grant type Authorization code or Refresh token.

    :param tenant_id: value of the header ``X-Justimmo-TenantId``; None for the value in the connection (templated)
    :param user_id: value of the header ``X-Justimmo-UserId``; None for the value in the connection (templated)
    :param oauth_conn_id: ID of a connection of type Justimmo (templated)
    :param path: file to write, with the user as its only row; see ``ExtractOperator`` (templated)
    :param xcom_fields: JMESPath of the fields to return; default ``@``, the whole response, or None if ``path`` is a
        folder of parts
    :return: the ``xcom_fields``, by default ``{"id": 1234, "tenant": {"id": 5678}}``
    :raises ApiError: if Justimmo responds with an error status, for example 403 for a token without a user
    :raises OAuthError: if no valid token can be obtained
    """

    def __init__(self, **kwargs: Any) -> None:
        default = None if is_folder(kwargs.get("path")) else "@"
        super().__init__(**{"xcom_fields": default, **kwargs})

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the request for the user."""
        yield ListRequest(endpoint="oauth/user/current", headers=self.headers, records_path=WHOLE_RESPONSE)

    def execute(self, context: Any) -> Any:
        """Fetch the user, and return its ``xcom_fields`` directly, not in a list of one element."""
        result = super().execute(context)
        return result[0] if isinstance(result, list) else result


class JustimmoListRealtiesOperator(_JustimmoOperator):
    """Fetches all pages of realties: ``GET /v1/realties``.

    Justimmo does not document this endpoint or its parameters; they are **known only from published client code**. API
    documentation: https://api-docs.justimmo.at.

    The rows are the response itself if it is an array, otherwise its member ``items`` or ``data``. A request that gets
    status 429 (Too Many Requests) is repeated for up to 300 s. According to published client code, about 10 requests
    per second are allowed.

    :param tenant_id: value of the header ``X-Justimmo-TenantId``; None for the value in the connection (templated)
    :param user_id: value of the header ``X-Justimmo-UserId``; None for the value in the connection (templated)
    :param data: more query parameters; Justimmo documents none (templated)
    :param oauth_conn_id: ID of a connection of type Justimmo (templated)
    :param path: file to write, in JSON Lines, CSV or Parquet; see ``ExtractOperator`` (templated)
    :param xcom_fields: JMESPath of the fields of each row to return; see ``ExtractOperator``
    :return: the ``xcom_fields`` of each row; without ``xcom_fields``, a dict with ``rows``, ``pages`` and ``path``
    :raises ApiError: if Justimmo responds with an error status, or a response contains no rows
    :raises OAuthError: if no valid token can be obtained
    """

    template_fields: Sequence[str] = ("data", *_JustimmoOperator.template_fields)

    def __init__(self, *, data: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data = data

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the request for realties."""
        request = ListRequest(endpoint="v1/realties", data=self.data or {}, headers=self.headers)
        yield vendor("justimmo").with_paginator(request, "realties")
