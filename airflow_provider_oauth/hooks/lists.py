"""Reads lists page by page with the session of a hook.

The modules that only lists need are imported when a list is read, because most tasks send a single request.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_oauth.api.additions import normalized_url
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.hooks.settings import ReadsConnection
from airflow_provider_oauth.protocol.redaction import redact_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import requests

    from airflow_provider_oauth.api.rate_limit import Budget
    from airflow_provider_oauth.api.recovery import RecoveryPolicy
    from airflow_provider_oauth.api.requests_auth import OAuthSession
    from airflow_provider_oauth.extract.engine import PageReader
    from airflow_provider_oauth.extract.formats import ResponseFormat
    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.page_request import PageRequest
    from airflow_provider_oauth.extract.paginators import Paginator
    from airflow_provider_oauth.extract.position import Position
    from airflow_provider_oauth.extract.request import ListRequest

log = logging.getLogger(__name__)


class ReadsLists(ReadsConnection):
    """Reads lists of an API. The hook provides the session and the checks of responses."""

    method: str
    merged_extra: dict[str, Any]
    budget: Budget | None
    #: The vendor's paginator that is already in the log. A task can read thousands of lists.
    _logged_paginator: Paginator | None = None

    def _list_session(
        self, extra_options: dict[str, Any] | None, policy: RecoveryPolicy, concurrency: int, stop: threading.Event
    ) -> OAuthSession:
        """Return a session for the pages of a list, and set ``merged_extra``.

        :param extra_options: as in ``run``
        :param policy: when requests are repeated
        :param concurrency: maximum number of requests at a time
        :param stop: ends the waits of requests when it is set
        """
        raise NotImplementedError

    def _check(self, response: requests.Response, policy: RecoveryPolicy, *, in_list: bool) -> None:
        """Raise an error if a response is one."""
        raise NotImplementedError

    def _url(self, endpoint: str | None) -> str:
        """Return the URL of an endpoint that contains no names of callback values any more."""
        raise NotImplementedError

    def paginate(
        self,
        endpoint: str | None = None,
        paginator: Paginator | None = None,
        data: Any = None,
        headers: Mapping[str, str | None] | None = None,
        extra_options: dict[str, Any] | None = None,
        records_path: str | Sequence[str] | None = None,
        *,
        method: str | None = None,
        request_params: Mapping[str, Any] | None = None,
        json: Any = None,
        response_format: ResponseFormat = "json",
        allow_nan: bool = False,
        concurrency: int = 1,
    ) -> Iterator[Page]:
        """Yield the pages of a list in order. At most ``concurrency + 1`` pages are in memory at a time.

        :param endpoint: a path relative to the API's base URL
        :param paginator: how the API splits the list into pages, one of ``extract.paginators``; None if it does not
        :param data: query parameters of a GET request, body of other requests
        :param headers: headers of every request
        :param extra_options: as in ``run``
        :param records_path: path of the rows in a response, such as ``data.items`` or ``edges[].node``, or a list of
            paths: the first one that exists in the response is used; None if the response is the array of rows, or has
            exactly one array
        :param method: HTTP method; None for the method of the hook
        :param request_params: query parameters; they take precedence over those of the paginator
        :param json: JSON body
        :param response_format: format of the responses: ``"json"``, or ``JsonLinesFormat()`` or ``CsvFormat()`` of
            ``extract.formats``. The ``rows`` of their pages are iterators
        :param allow_nan: whether to replace NaN and Infinity, which JSON does not have, by null
        :param concurrency: maximum number of requests at a time, as in ``OAuthExtractOperator``
        :return: the pages, each with ``rows``, ``content`` and ``response``
        :raises ConfigurationError: if a field of the connection is missing or invalid, or parameters exclude each other
        :raises ApiError: if the API responds with an error status or does not respond, if a response has no rows at
            ``records_path``, or if pages seem to be missing
        :raises OAuthError: if there is no valid token and none can be obtained
        """
        from airflow_provider_oauth.extract.request import ListRequest

        request = ListRequest(
            endpoint=endpoint or "",
            method=method or self.method,
            request_params=request_params,
            json=json,
            data=data,
            headers=headers,
            paginator=paginator,
            records_path=records_path,
            response_format=response_format,
            allow_nan=allow_nan,
        )
        return iter(self.read_pages(request, extra_options, concurrency=concurrency))

    def list_url(self, request: ListRequest) -> str:
        """Return the URL of a list as it is sent, without its query."""
        return redact_url(normalized_url(self._url(self._list_access.current_endpoint(request.endpoint))))

    def callback_values(self) -> dict[str, str]:
        """Return the callback values and lookup values with which lists are read, by their names.

        :raises OAuthError: if such values are stored with the tokens, there is no valid token, and none can be obtained
        """
        return self._list_access.callback_values()

    def account_values(self) -> dict[str, str]:
        """Return the values that identify the account whose lists are read: callback, lookup and vendor values.

        :raises OAuthError: as for ``callback_values``
        """
        return {**self.config.account_values, **self.callback_values()}

    def read_pages(
        self,
        request: ListRequest,
        extra_options: dict[str, Any] | None = None,
        *,
        concurrency: int = 1,
        limit: int | None = None,
        position: Position | None = None,
    ) -> PageReader:
        """Return a reader of the pages of a list, which counts pages and rows.

        :param request: the list
        :param extra_options: as in ``run``
        :param concurrency: maximum number of requests at a time
        :param limit: maximum number of rows that the caller reads. Pages after these rows are not requested ahead; None
            for all rows
        :param position: where to continue the list, as ``PageReader.after_page`` got it; None for the first page
        :raises ConfigurationError: if a field of the connection is missing or invalid, or ``concurrency`` is invalid
        """
        from airflow_provider_oauth.extract.ahead import Lookahead
        from airflow_provider_oauth.extract.engine import PageReader
        from airflow_provider_oauth.extract.position import Secrets
        from airflow_provider_oauth.extract.request import check_concurrency
        from airflow_provider_oauth.hooks.page_requests import PageRequests

        check_concurrency(concurrency, self.oauth_conn_id)
        if concurrency > 1 and self.repeatable is False:
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: concurrency is {concurrency}, so pages are requested before it is "
                "certain that they are needed. With repeatable=False, requests may change data. Remove one of the two."
            )
        # Only once: a link to the next page is used as the API sent it.
        request = replace(request, endpoint=self._list_access.current_endpoint(request.endpoint) or "")
        if request.response_format == "json":  # the vendor's paths are those of JSON responses
            request = self._with_vendor_defaults(request)
        policy, stop = self.recovery_policy(in_list=True), threading.Event()
        session = self._list_session(extra_options, policy, concurrency, stop)
        options = {name: self.merged_extra[name] for name in ("timeout", "allow_redirects")}
        pages = PageRequests(session, request, self._url, options, self.oauth_conn_id)
        lookahead = None
        if concurrency > 1:
            has_budget = self.budget is not None
            lookahead = Lookahead(pages.prepare, concurrency, stop, self.oauth_conn_id, has_budget=has_budget)

        def send(page: PageRequest) -> requests.Response:
            response = lookahead.get(page) if lookahead else pages.prepare(page, is_ahead=False)()
            # Even if check_response is off: an error response is not a page.
            self._check(response, policy, in_list=True)
            return response

        return PageReader(
            send,
            request,
            self.oauth_conn_id,
            self.counts,
            lookahead=lookahead,
            limit=limit,
            position=position,
            secrets=Secrets(self.config.secret_params, self.config.secrets, self.config.header_name),
        )

    def _with_vendor_defaults(self, request: ListRequest) -> ListRequest:
        endpoint = request.endpoint
        url = endpoint if "://" in endpoint else f"{self.config.base_url}/{endpoint.lstrip('/')}"
        completed = self.vendor.with_defaults(request, urlsplit(url).path)
        if request.paginator is None and completed.paginator not in (None, self._logged_paginator):
            self._logged_paginator = completed.paginator
            log.info(
                "Connection %r: the vendor file of %s splits %s into pages with %s.",
                self.oauth_conn_id, self.vendor.label, request.endpoint, type(completed.paginator).__name__,
            )  # fmt: skip
        return completed
