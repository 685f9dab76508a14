"""Reads a list page by page, and checks that no page is missing or repeated."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.api.recovery import RequestCounts
from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract.completeness import (
    doubt,
    error_of,
    is_number_of_page,
    is_usual_size,
    looks_paginated,
)
from airflow_provider_oauth.extract.error_rules import follow_rule
from airflow_provider_oauth.extract.members import requested_size
from airflow_provider_oauth.extract.page_request import PageRequest, absolute_url, parts_of
from airflow_provider_oauth.extract.paginators import (
    OffsetPaginator,
    PageNumberPaginator,
    PaginatorOptions,
    SinglePagePaginator,
)
from airflow_provider_oauth.extract.request import check_list
from airflow_provider_oauth.extract.sequence import COUNTING, PageSequence
from airflow_provider_oauth.extract.start import Start, start_of
from airflow_provider_oauth.extract.streamed_page import page_of, row_format_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import requests

    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.paginators import Paginator, ParamIn
    from airflow_provider_oauth.extract.request import ListRequest

log = logging.getLogger(__name__)

#: Statuses of errors that some APIs return for pages after the last one.
BEYOND_END = (400, 404, 416, 422)
#: Maximum number of consecutive pages without rows.
MAX_EMPTY_PAGES = 1000


class PageReader:
    """Reads the pages of a list. At most two pages are in memory at a time.

    :param send: sends the request for a page
    :param request: the list
    :param conn_id: the connection ID, for errors
    :param counts: counts the responses that are ignored
    :raises ConfigurationError: if ``records_path`` is invalid, or two parameters exclude each other
    """

    def __init__(
        self,
        send: Callable[[PageRequest], requests.Response],
        request: ListRequest,
        conn_id: str = "",
        counts: RequestCounts | None = None,
    ) -> None:
        check_list(request, conn_id)
        row_format_of(request, conn_id)
        self._send = send
        self._request = request
        self._paginator = request.paginator
        self._conn_id = conn_id
        self.counts = counts or RequestCounts()
        #: The numbers of pages and rows that were read.
        self.pages = self.rows = 0
        #: The total number of rows according to the API; None if the API does not send it.
        self.total: int | None = None
        self._start = Start()
        self._empty_pages = 0
        self._sequence = PageSequence(request.paginator, conn_id)
        self._options = self._paginator if isinstance(self._paginator, PaginatorOptions) else PaginatorOptions()
        #: Whether the list has one page, which does not contain what the paginator looks for.
        self.is_paging_absent = False

    def __iter__(self) -> Iterator[Page]:
        """Yield the pages.

        :raises ConfigurationError: if a parameter of the list is invalid
        :raises ApiError: if a page is invalid, repeated, or unexpectedly the last one
        """
        request = PageRequest.first(self._request)
        if self._paginator:
            request = self._with_first_params(request)
            self._start = self._start_of(self._paginator, request)
        requested: set[int] = set()
        previous: Page | None = None
        while True:
            page = self._read(request, previous)
            if page is None:
                if previous:
                    self._check_stop(request, previous)
                return
            with closing(page):
                self.total = self._options.total_of(page) or self.total
                yield page
                if page.is_empty:
                    _check_error(page)  # after yield, so that a vendor's operator can raise its own error first
                self._count(page)
                self._sequence.check(page, previous)
                following = self._next_request(request, page)
            if following is None:
                self._check_end(request, page)
                return
            if parts_of(following) == parts_of(request) and self._options.repeats_last_page:
                if previous and page.count and page.has_same_rows(previous):
                    raise page.error(
                        "has the same rows as the previous page, and leads to itself, so the API seems to ignore the "
                        "parameter for the next page. Correct the paginator"
                    )
                return self._check_total()
            requested.add(hash(repr(parts_of(request))))
            if hash(repr(parts_of(following))) in requested:
                raise page.error(
                    "leads to a page that was already read, so the list would never end. Check the paginator. If the "
                    "last page of this API contains a link to itself, set repeats_last_page=True"
                )
            request, previous = following, page

    @property
    def expected(self) -> int | None:
        """The number of rows to read according to the API; None if it is unknown."""
        return self._start.remaining(self.total)

    def _start_of(self, paginator: Paginator, first: PageRequest) -> Start:
        params = first.params(self._param_in, {getattr(paginator, "param", ""): None})
        others = (first.query, first.data if first.json is None else first.json)
        return start_of(paginator, params, *others, endpoint=self._request.endpoint)

    def _count(self, page: Page) -> None:
        """Add a page to the numbers of pages and rows.

        :raises ApiError: if too many consecutive pages have no rows
        """
        self.pages, self.rows = self.pages + 1, self.rows + page.count
        self._empty_pages = 0 if page.count else self._empty_pages + 1
        if self._empty_pages >= MAX_EMPTY_PAGES:
            raise page.error(
                f"is the last of {MAX_EMPTY_PAGES} consecutive pages without rows, so the list may never end. If a "
                "page without rows is the end of this list, set empty_page_ends=True in the paginator. Otherwise, set "
                "more"
            )

    @property
    def _param_in(self) -> ParamIn:
        return getattr(self._paginator, "param_in", "query")

    def _with_first_params(self, request: PageRequest) -> PageRequest:
        first = self._paginator.first_params if self._paginator else {}
        # The caller's parameters take precedence, for example another page size.
        given = request.params(self._param_in, first)
        if isinstance(self._paginator, COUNTING):
            self._check_numbers({name: given[name] for name in first if name in given})
        return self._changed(request, {**first, **given})

    def _check_numbers(self, params: Mapping[str, Any]) -> None:
        """Check that the caller's page, offset and page size are numbers.

        :raises ConfigurationError: if one is not
        """
        for name, value in params.items():
            if not str(value).strip().isdecimal():
                raise ConfigurationError(
                    f"Connection {self._conn_id!r}: the parameter {name!r} is {value!r}, but "
                    f"{type(self._paginator).__name__} counts with it. Set it to an integer, or remove it."
                )

    def _changed(self, request: PageRequest, values: Mapping[str, Any]) -> PageRequest:
        try:
            return request.changed(self._param_in, values)
        except ValueError as error:
            raise ConfigurationError(
                f"Connection {self._conn_id!r}: the paginator cannot set its parameters in the body, because {error}. "
                "Correct the parameter's path, or add the missing object or array to json."
            ) from None

    def _read(self, request: PageRequest, previous: Page | None) -> Page | None:
        """Return the page; None if the previous page was the last one."""
        try:
            response = self._send(request)
        except ApiError as error:
            if previous and error.status_code in self._options.stop_on:
                return None
            if error.rule is not None and error.rule.action in ("ignore", "stop"):
                follow_rule(error, self._conn_id, self.counts, is_first_page=previous is None)
                return None
            if self._paginator and previous and error.status_code in BEYOND_END:
                error.args = (f"{error} {_problem_beyond_end(error.status_code)}",)
            raise
        page = page_of(
            response,
            self._request,
            self._conn_id,
            number=self.pages + 1,
            rows_before=self.rows + (self._start.rows_before or 0),
            first_page_count=previous.first_count if previous else None,
        )
        if not page.is_empty:
            _check_error(page)
        return page if self._is_new(page, previous) else None

    def _is_new(self, page: Page, previous: Page | None) -> bool:
        """Return whether ``page`` has other rows than the previous page.

        :raises ApiError: if it has the same rows, unless ``repeats_last_page`` is true
        """
        paginator = self._paginator
        if not previous or not isinstance(paginator, COUNTING):
            return True
        if not page.has_same_rows(previous) or page.is_empty:
            return True
        page.close()
        if paginator.repeats_last_page:
            return False
        raise page.error(
            "has the same rows as the previous page, so the API seems to ignore the parameter "
            f"{paginator.param!r}. Set param of the paginator to the parameter that the API uses. If the API returns "
            "the last page again for pages after the end, set repeats_last_page=True"
        )

    def _next_request(self, request: PageRequest, page: Page) -> PageRequest | None:
        if self._paginator is None:
            return None
        names = self._paginator.first_params
        following = self._paginator.next_page(page, request.params(self._param_in, names))
        if isinstance(following, str):
            try:
                return replace(request, url=absolute_url(page.response.url, following), query={})
            except ValueError:  # such as an invalid port
                raise page.error("has a link to the next page that is not a URL. Check the paginator") from None
        return None if following is None else self._changed(request, following)

    def _check_end(self, request: PageRequest, page: Page) -> None:
        """Check that ``page`` is the last one.

        :raises ApiError: if the list has one page, which does not contain what the paginator looks for, and seems to be
            incomplete
        """
        size = requested_size(
            request.query, request.data if request.json is None else request.json, url=page.response.url or ""
        )
        if self._paginator is None:
            self._check_single(page, size)
            return
        self._sequence.check_end(page, request.params(self._param_in, self._paginator.first_params))
        if not isinstance(self._paginator, PaginatorOptions) or isinstance(self._paginator, SinglePagePaginator):
            pass
        elif page.number == 1 and self._options.is_absent(page):
            self._check_absent(page, size)
        elif (self.total is None or self.expected == self.rows) and not self._options.optional:
            self._check_last(page, size)
        self._check_total()

    def _check_last(self, page: Page, size: int | None) -> None:
        """Log a warning if something on the last page contradicts the paginator."""
        counts_rows = isinstance(self._paginator, (PageNumberPaginator, OffsetPaginator))
        if (sign := looks_paginated(page)) and (counts_rows or not sign.is_weak):
            self._warn_of_sign(sign.found)
        elif page.number == 1 and page.count == size and (source := _number_of_page(self._paginator)):
            log.warning(
                "Connection %r: the list ended after its first page, which has as many rows as were requested, %d. The "
                "paginator uses %r, which seems to describe only this page, not the whole list. If rows are missing, "
                "correct the paginator.",
                self._conn_id, page.count, source,
            )  # fmt: skip

    def _check_single(self, page: Page, size: int | None) -> None:
        """Log a warning if the only response of a list without a paginator looks like the first of several pages."""
        if sign := looks_paginated(page):
            log.warning(
                "Connection %r: the response looks like the first page of a longer list, because it has %s. Only this "
                "page was read, because no paginator is set. If rows are missing, set paginator=%s.",
                self._conn_id, sign.found, sign.paginator,
            )  # fmt: skip
        elif page.count and page.count == size:
            log.warning(
                "Connection %r: the response has as many rows as were requested, %d. Only this page was read, because "
                "no paginator is set. If rows are missing, set paginator. If this is the whole list, set "
                "paginator=SinglePagePaginator().",
                self._conn_id, size,
            )  # fmt: skip
        elif is_usual_size(page.count):
            log.warning(
                "Connection %r: the response has %d rows, which can be a full page, and no paginator is set. If rows "
                "are missing, set paginator. If this is the whole list, set paginator=SinglePagePaginator().",
                self._conn_id, page.count,
            )  # fmt: skip

    def _check_absent(self, page: Page, size: int | None) -> None:
        """Check whether rows are missing after the only page, which has no sign of a next page.

        :raises ApiError: if the list seems to have more pages
        """
        self.is_paging_absent = True
        problem = None if self._options.optional else doubt(page, size, self._options.may_be_absent)
        if problem and problem.is_error:
            raise page.error(problem.problem)
        if problem:
            log.warning("Connection %r: rows may be missing: the response %s.", self._conn_id, problem.problem)
        else:
            log.info("Connection %r: the list has one page, which has no sign of a next page.", self._conn_id)

    def _check_stop(self, request: PageRequest, page: Page) -> None:
        """Check that ``page`` is the last one, after the next request failed or returned the same rows.

        :param request: the next request
        :param page: the last page that was read
        :raises ApiError: if there are more rows according to the API
        """
        if self._paginator:
            self._sequence.check_stop(page, request.params(self._param_in, self._paginator.first_params))
        if self.expected is not None and self.rows < self.expected:
            raise page.error(
                f"is the last page that could be read. {self.rows} rows were read, but according to the API there are "
                f"{self.expected}. The API may limit how many rows can be read: split the list with a filter"
            )
        if self._options.total is None and (sign := looks_paginated(page)):
            self._warn_of_sign(sign.found)
        self._check_total()

    def _warn_of_sign(self, found: str) -> None:
        log.warning(
            "Connection %r: the list ended after %d rows, but its last page has %s, so there may be more rows. "
            "Check the paginator.",
            self._conn_id, self.rows, found,
        )  # fmt: skip

    def _check_total(self) -> None:
        if self.expected is not None and self.expected != self.rows:
            log.warning(
                "Connection %r: %d rows were read, but according to the API there are %d. If no rows were added or "
                "deleted while the list was read, check the paginator.",
                self._conn_id, self.rows, self.expected,
            )  # fmt: skip
        elif self.total is not None and self._start.param:
            log.info(
                "Connection %r: %d rows were read. This number is not compared with the API's total of %d, because "
                "the parameter %r may skip rows at the start of the list.",
                self._conn_id, self.rows, self.total, self._start.param,
            )  # fmt: skip


def _number_of_page(paginator: Paginator | None) -> str | None:
    """Return the source that ends the list, if it has a name that is usual for a number about one page."""
    source: str | None = None
    if isinstance(paginator, (PageNumberPaginator, OffsetPaginator)) and paginator.more is None:
        source = getattr(paginator, "last", None) or paginator.total
    return source if source and is_number_of_page(source) else None


def _check_error(page: Page) -> None:
    if member := error_of(page):
        raise page.error(
            f"has the member {member}, which reports an error, so this is not an empty list. To see the response, run: "
            "airflow oauth request CONN_ID ENDPOINT"
        )


def _problem_beyond_end(status: int | None) -> str:
    return (
        f"If the API responds with this status to requests for pages after the last one, set stop_on=({status},) in "
        "the paginator. If the API limits how many pages can be read, split the list with a filter instead."
    )
