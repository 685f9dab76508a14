"""Reads a list page by page, and checks that no page is missing or repeated."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract.body import value_at, with_values
from airflow_provider_oauth.extract.completeness import incomplete, looks_paginated, requested_size
from airflow_provider_oauth.extract.page import Page
from airflow_provider_oauth.extract.paginators import OffsetPaginator, PageNumberPaginator, PaginatorOptions
from airflow_provider_oauth.extract.records_path import records_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import requests

    from airflow_provider_oauth.extract.paginators import ParamIn
    from airflow_provider_oauth.extract.request import ListRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PageRequest:
    """The request for one page.

    :param url: the URL of the page; None for the list's endpoint
    :param query: query parameters
    :param headers: headers
    :param json: JSON body; None if there is none
    :param data: another body; None if there is none
    """

    url: str | None = None
    query: Mapping[str, Any] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)
    data: Any = field(default=None, repr=False)

    @classmethod
    def first(cls, request: ListRequest, conn_id: str) -> PageRequest:
        """Return the request for the first page, without the paginator's parameters.

        :raises ConfigurationError: if two parameters exclude each other
        """
        data = request.data or None
        if request.method == "GET":
            given, data = [name for name in ("request_params", "data") if getattr(request, name)], None
            query = request.request_params or request.data or {}
        else:
            given = [name for name in ("data", "json") if getattr(request, name)]
            query = request.request_params or {}
        if len(given) > 1:
            raise ConfigurationError(
                f"Connection {conn_id!r}: a {request.method} request cannot have both {given[0]} and {given[1]}. "
                "Remove one of them."
            )
        return cls(None, _present(query), _present(request.headers or {}), request.json, data)

    def params(self, param_in: ParamIn, names: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters that a paginator may change.

        :param param_in: where the paginator puts its parameters
        :param names: the names of the parameters of the first page
        """
        if param_in == "query":
            return self.query
        if param_in == "header":
            return self.headers
        found = {name: value_at(self._body, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def changed(self, param_in: ParamIn, values: Mapping[str, Any]) -> PageRequest:
        """Return the request with other parameters.

        :raises ValueError: if the body has no such place
        """
        if param_in == "query":
            return replace(self, query={**values, **self.query, **values})
        if param_in == "header":
            return replace(self, headers={**self.headers, **{name: str(value) for name, value in values.items()}})
        body = with_values(self._body, values)
        return replace(self, data=body) if self.data is not None else replace(self, json=body)

    @property
    def _body(self) -> Any:
        return self.json if self.data is None else self.data


class PageReader:
    """Reads the pages of a list. At most two pages are in memory at a time.

    :param send: sends the request for a page
    :param request: the list
    :param conn_id: the connection ID, for errors
    :raises ConfigurationError: if ``records_path`` is invalid
    """

    def __init__(
        self, send: Callable[[PageRequest], requests.Response], request: ListRequest, conn_id: str = ""
    ) -> None:
        try:
            records_paths(request.records_path)
        except ValueError as error:
            raise ConfigurationError(f"Connection {conn_id!r}: {error}") from None
        self._send = send
        self._request = request
        self._paginator = request.paginator
        self._conn_id = conn_id
        #: The numbers of pages and rows that were read.
        self.pages = self.rows = 0
        #: The total number of rows according to the API; None if it did not say.
        self.total: int | None = None
        #: Whether the only page says nothing about pages, so that the paginator may be wrong.
        self.is_paging_absent = False

    def __iter__(self) -> Iterator[Page]:
        """Yield the pages.

        :raises ConfigurationError: if a parameter of the list is invalid
        :raises ApiError: if a page is invalid, repeated, or unexpectedly the last one
        """
        request = PageRequest.first(self._request, self._conn_id)
        if self._paginator:
            request = self._with_first_params(request)
        requested: set[int] = set()
        previous: Page | None = None
        while True:
            page = self._read(request, previous)
            if page is not None:
                yield page
                self.pages, self.rows = self.pages + 1, self.rows + page.count
            following = self._next_request(request, page) if page else None
            if page is None or following is None:
                if last := page or previous:
                    self._check_end(request, last)
                return
            requested.add(hash(repr(_parts(request))))
            if hash(repr(_parts(following))) in requested:
                raise page.error(
                    "leads to a page that was already read, so the list would never end. Check the paginator"
                )
            request, previous = following, page

    @property
    def _param_in(self) -> ParamIn:
        return getattr(self._paginator, "param_in", "query")

    def _with_first_params(self, request: PageRequest) -> PageRequest:
        first = self._paginator.first_params if self._paginator else {}
        # The caller's parameters take precedence, for example another page size.
        return self._changed(request, {**first, **request.params(self._param_in, first)})

    def _changed(self, request: PageRequest, values: Mapping[str, Any]) -> PageRequest:
        try:
            return request.changed(self._param_in, values)
        except ValueError as error:
            raise ConfigurationError(
                f"Connection {self._conn_id!r}: the paginator cannot set its parameters in the body, because {error}. "
                "Correct the parameter's path, or add the place to json."
            ) from None

    def _read(self, request: PageRequest, previous: Page | None) -> Page | None:
        """Return the page; None if there is none, because the page before was the last one."""
        options = self._paginator if isinstance(self._paginator, PaginatorOptions) else PaginatorOptions()
        try:
            response = self._send(request)
        except ApiError as error:
            if previous and error.status_code in options.stop_on:
                return None
            raise
        page = Page(
            response,
            self._request.records_path,
            self._conn_id,
            self._request.allow_nan,
            number=self.pages + 1,
            rows_before=self.rows,
            first_page_count=previous.first_count if previous else None,
        )
        paginator = self._paginator
        if not previous or not page.count or not isinstance(paginator, (PageNumberPaginator, OffsetPaginator)):
            return page
        if page.sliced.lines == previous.sliced.lines:
            if paginator.repeats_last_page:
                return None
            raise page.error(
                f"has the same rows as the previous page, so the API seems to ignore the parameter "
                f"{paginator.param!r}. Set param of the paginator to the parameter that the API uses. If the API "
                "returns the last page again for pages after the end, set repeats_last_page=True"
            )
        return page

    def _next_request(self, request: PageRequest, page: Page) -> PageRequest | None:
        if self._paginator is None:
            return None
        names = self._paginator.first_params
        following = self._paginator.next_page(page, request.params(self._param_in, names))
        if isinstance(following, str):
            return replace(request, url=_absolute(page.response.url, following), query={})
        return None if following is None else self._changed(request, following)

    def _check_end(self, request: PageRequest, page: Page) -> None:
        """Check that ``page`` is the last one.

        :raises ApiError: if the first page has no sign of a next page, but looks as if there were more rows
        """
        paginator = self._paginator
        if paginator is None:
            if sign := looks_paginated(page):
                log.warning(
                    "Connection %r: the response looks like the first page of a longer list, because it has %s. Only "
                    "this page was read, because no paginator is set. If rows are missing, set paginator=%s.",
                    self._conn_id, sign.found, sign.paginator,
                )  # fmt: skip
        elif isinstance(paginator, PaginatorOptions) and page.number == 1 and paginator.is_absent(page):
            self.is_paging_absent = True
            size = requested_size(request.query, request.data if request.json is None else request.json)
            if not paginator.optional and (problem := incomplete(page, size, paginator.may_be_absent)):
                raise page.error(problem)
            log.info("Connection %r: the list has one page, which has no sign of a next page.", self._conn_id)
        if isinstance(paginator, (PageNumberPaginator, OffsetPaginator)):
            self.total = paginator.total_of(page)
        if self.total is not None and self.total != self.rows:
            log.warning(
                "Connection %r: %d rows were read, but according to the API the list has %d. Rows may have been added "
                "or deleted while the list was read.",
                self._conn_id, self.rows, self.total,
            )  # fmt: skip


def _absolute(base: str, link: str) -> str:
    """Return the URL of a link. A link to the same host over http is changed to https."""
    url = urljoin(base, link)
    old, new = urlsplit(base), urlsplit(url)
    is_downgrade = old.scheme == "https" and new.scheme == "http" and old.hostname == new.hostname
    return urlunsplit(new._replace(scheme="https")) if is_downgrade and new.port in (None, old.port) else url


def _parts(request: PageRequest) -> tuple[Any, ...]:
    return (request.url, request.query, request.headers, request.json, request.data)


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
