"""Reads a list page by page, and checks that no page is missing or repeated."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.api.recovery import RequestCounts
from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract.completeness import error_of
from airflow_provider_oauth.extract.error_rules import follow_rule
from airflow_provider_oauth.extract.list_end import ListEnd
from airflow_provider_oauth.extract.members import requested_size
from airflow_provider_oauth.extract.page_request import PageRequest, absolute_url, parts_of
from airflow_provider_oauth.extract.paginator_options import PaginatorOptions
from airflow_provider_oauth.extract.request import check_list
from airflow_provider_oauth.extract.resuming import Resuming
from airflow_provider_oauth.extract.sequence import COUNTING, PageSequence
from airflow_provider_oauth.extract.start import Start, start_of
from airflow_provider_oauth.extract.streamed_page import page_of, row_format_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Mapping

    import requests

    from airflow_provider_oauth.extract.ahead import Lookahead
    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.paginators import Paginator, ParamIn
    from airflow_provider_oauth.extract.position import Position
    from airflow_provider_oauth.extract.request import ListRequest


#: Statuses of errors that some APIs return for pages after the last one.
BEYOND_END = (400, 404, 416, 422)
#: Maximum number of consecutive pages without rows.
MAX_EMPTY_PAGES = 1000


class _Once:
    """Computes the request for the next page when it is first needed, and at most once.

    :param compute: returns the request; None after the last page
    """

    def __init__(self, compute: Callable[[], PageRequest | None]) -> None:
        self._compute = compute
        self._error: Exception | None = None

    @cached_property
    def value(self) -> PageRequest | None:
        """The request; None if there is no next page, or if there was an error."""
        try:
            return self._compute()
        except Exception as error:
            self._error = error
            return None

    def get(self) -> PageRequest | None:
        """Return the request; None after the last page.

        :raises Exception: the error of the computation
        """
        value = self.value
        if self._error is not None:
            raise self._error
        return value


class PageReader:
    """Reads the pages of a list in order.

    Without ``lookahead``, at most two pages are in memory at a time.

    :param send: sends the request for a page
    :param request: the list
    :param conn_id: the connection ID, for errors
    :param counts: counts the responses that are ignored
    :param lookahead: sends requests ahead; None to send each request after the previous page was read
    :param limit: maximum number of rows that the caller reads. Pages after these rows are not requested ahead; None for
        all rows
    :param position: where to continue; None to start with the first page
    :param secret_params: the names of the parameters with secrets that the connection defines
    :raises ConfigurationError: if ``records_path`` is invalid, or two parameters exclude each other
    """

    #: Is called after each page that was read and checked, if there is a next page. It gets a function that returns
    #: where to continue.
    after_page: Callable[[Callable[[], Position]], None] | None = None

    def __init__(
        self,
        send: Callable[[PageRequest], requests.Response],
        request: ListRequest,
        conn_id: str = "",
        counts: RequestCounts | None = None,
        *,
        lookahead: Lookahead | None = None,
        limit: int | None = None,
        position: Position | None = None,
        secret_params: Collection[str] = (),
    ) -> None:
        check_list(request, conn_id)
        row_format_of(request, conn_id)
        self._send = send
        self._request = request
        self._paginator = request.paginator
        self._conn_id = conn_id
        self._lookahead = lookahead
        self._limit = limit
        self._resuming = Resuming(position, secret_params)
        #: The waits and repetitions of requests.
        self.counts = counts or RequestCounts()
        #: The numbers of pages and rows that were read so far.
        self.list_counts = self._resuming.counts
        self._empty_pages = 0
        self._sequence = PageSequence(request.paginator, conn_id)
        self._sequence.last = self._resuming.last
        self._end = ListEnd(request.paginator, self._sequence, self.list_counts, conn_id)
        self._options = self._paginator if isinstance(self._paginator, PaginatorOptions) else PaginatorOptions()

    def __iter__(self) -> Generator[Page]:
        """Yield the pages.

        :raises ConfigurationError: if a parameter of the list is invalid
        :raises ApiError: if a page is invalid, repeated, or unexpectedly the last one
        :raises ResumeRefused: if the API does not return the page at which the reading should continue
        """
        try:
            yield from self._pages()
        finally:
            if self._lookahead:
                self._lookahead.close()

    def _pages(self) -> Iterator[Page]:
        request = self._first_request()
        requested: set[int] = set()
        previous: Page | None = None
        while True:
            page = self._read(request, previous)
            if page is None:
                if previous:
                    self._end.check_stop(previous, self._params(request))
                return
            with closing(page):
                self.list_counts.total = self._options.total_of(page) or self.list_counts.total
                next_request = _Once(partial(self._next_request, request, page))
                if self._lookahead and (following := next_request.value):
                    with suppress(ApiError):  # it is raised after the page was yielded
                        self._look_ahead(self._lookahead, following, page)
                yield page
                if page.is_empty:
                    _check_error(page)  # after yield, so that a vendor's operator can raise its own error first
                self._count(page)
                self._sequence.check(page, previous)
                following = next_request.get()
            if following is None:
                self._check_end(request, page)
                return
            if following == request and self._options.repeats_last_page:
                _check_link_to_itself(page, previous)
                self._end.check_total()
                return
            requested.add(hash(repr(parts_of(request))))
            if hash(repr(parts_of(following))) in requested:
                raise page.error(
                    "leads to a page that was already read, so the list would never end. Check the paginator. If the "
                    "last page of this API contains a link to itself, set repeats_last_page=True"
                )
            if self.after_page:
                self._resuming.remember(page)
                self.after_page(partial(self._resuming.position_after, page, following, self._sequence.last))
            request, previous = following, page

    def _first_request(self) -> PageRequest:
        request = PageRequest.first(self._request)
        if self._paginator:
            request = self._with_first_params(request)
            self.list_counts.start = self._start_of(self._paginator, request)
        return self._resuming.first_request(request, self._changed)

    def _look_ahead(self, lookahead: Lookahead, following: PageRequest, page: Page) -> None:
        """Send the requests ahead that will probably follow ``page``."""
        pages = None if self._limit is None else self._pages_left(self._limit, page)
        if pages == 0 or lookahead.advance(following):
            return
        values = self._options.values_ahead(page, self._params(following))
        param = getattr(self._paginator, "param", "")
        further = (self._changed(following, {param: value}) for value in islice(values, pages and pages - 1))
        lookahead.expect(following, further, is_end_known=isinstance(values, range))

    def _pages_left(self, limit: int, page: Page) -> int | None:
        """Return how many pages after ``page`` have the rows up to ``limit``; None if it has no rows."""
        left = limit - self.list_counts.rows - page.count
        return max(-(-left // page.count), 0) if page.count else None  # rounded up

    def _start_of(self, paginator: Paginator, first: PageRequest) -> Start:
        params = first.params(self._param_in, {getattr(paginator, "param", ""): None})
        others = (first.query, first.data if first.json is None else first.json)
        return start_of(paginator, params, *others, endpoint=self._request.endpoint)

    def _count(self, page: Page) -> None:
        """Add a page to the numbers of pages and rows.

        :raises ApiError: if too many consecutive pages have no rows
        """
        counts = self.list_counts
        counts.pages, counts.rows = counts.pages + 1, counts.rows + page.count
        counts.first_count = page.count if counts.first_count is None else counts.first_count
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

    def _params(self, request: PageRequest) -> Mapping[str, Any]:
        """Return the parameters of a request that the paginator may change."""
        return request.params(self._param_in, self._paginator.first_params) if self._paginator else {}

    def _check_end(self, request: PageRequest, page: Page) -> None:
        body = request.data if request.json is None else request.json
        size = requested_size(request.query, body, url=page.response.url or "")
        self._end.check(page, self._params(request), size)

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
            self._resuming.check_error(error, self._options.stop_on)
            if previous and error.status_code in self._options.stop_on:
                return None
            if error.rule is not None and error.rule.action in ("ignore", "stop"):
                follow_rule(error, self._conn_id, self.counts, is_first_page=previous is None)
                self.list_counts.ended_by_rule = True
                return None
            if self._paginator and previous and error.status_code in BEYOND_END:
                error.args = (f"{error} {_problem_beyond_end(error.status_code)}",)
            raise
        page = page_of(
            response,
            self._request,
            self._conn_id,
            number=self.list_counts.pages + 1,
            rows_before=self.list_counts.rows + (self.list_counts.start.rows_before or 0),
            first_page_count=self.list_counts.first_count,
        )
        if not page.is_empty:
            _check_error(page)
        return page if self._is_new(page, previous) else None

    def _is_new(self, page: Page, previous: Page | None) -> bool:
        """Return whether ``page`` has other rows than the previous page.

        :raises ApiError: if it has the same rows, unless ``repeats_last_page`` is true
        """
        paginator = self._paginator
        if not isinstance(paginator, COUNTING):
            self._resuming.check_page(page)
            return True
        is_repeated = page.has_same_rows(previous) if previous else self._resuming.repeats_last_page(page)
        if not is_repeated or page.is_empty:
            self._resuming.check_page(page)
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
        following = self._paginator.next_page(page, self._params(request))
        if isinstance(following, str):
            try:
                return replace(request, url=absolute_url(page.response.url, following), query={}, values={})
            except ValueError:  # such as an invalid port
                raise page.error("has a link to the next page that is not a URL. Check the paginator") from None
        if following is None:
            return None
        return replace(self._changed(request, following), values={**request.values, **following})


def _check_link_to_itself(page: Page, previous: Page | None) -> None:
    """Check that a page with a link to itself is the last one.

    :raises ApiError: if it has the same rows as the previous page
    """
    if previous and page.count and page.has_same_rows(previous):
        raise page.error(
            "has the same rows as the previous page, and leads to itself, so the API seems to ignore the parameter for "
            "the next page. Correct the paginator"
        )


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
