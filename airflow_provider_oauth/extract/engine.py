"""Reads a list page by page, and checks that no page is missing or repeated."""

from __future__ import annotations

from contextlib import closing, suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider_oauth.api.recovery import RequestCounts
from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.extract.completeness import error_of
from airflow_provider_oauth.extract.error_rules import follow_rule
from airflow_provider_oauth.extract.list_end import ListEnd
from airflow_provider_oauth.extract.page_request import PageRequest, parts_of
from airflow_provider_oauth.extract.page_steps import Once, PageSteps, requested_size_of
from airflow_provider_oauth.extract.paginator_options import PaginatorOptions
from airflow_provider_oauth.extract.position import NO_SECRETS
from airflow_provider_oauth.extract.request import check_list
from airflow_provider_oauth.extract.resuming import Resuming
from airflow_provider_oauth.extract.sequence import COUNTING, PageSequence
from airflow_provider_oauth.extract.streamed_page import page_of, row_format_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    import requests

    from airflow_provider_oauth.extract.ahead import Lookahead
    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.position import Position, Secrets
    from airflow_provider_oauth.extract.request import ListRequest


#: Statuses of errors that some APIs return for pages after the last one.
BEYOND_END = (400, 404, 416, 422)
#: Maximum number of consecutive pages without rows.
MAX_EMPTY_PAGES = 1000


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
    :param secrets: the secrets that must not be part of a stored position
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
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        check_list(request, conn_id)
        row_format_of(request, conn_id)
        self._send = send
        self._request = request
        self._paginator = request.paginator
        self._conn_id = conn_id
        self._lookahead = lookahead
        self._limit = limit
        self._steps = PageSteps(request, conn_id)
        self._resuming = Resuming(position, secrets)
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
        request = self._steps.first()
        self.list_counts.start = self._steps.start(request)
        request = self._resuming.first_request(request, self._steps.changed)
        requested: set[int] = set()
        previous: Page | None = None
        while True:
            page = self._read(request, previous)
            if page is None:
                if previous:
                    self._end.check_stop(previous, self._steps.params(request))
                else:
                    self._end.check_total()
                return
            with closing(page):
                self.list_counts.total = self._options.total_of(page) or self.list_counts.total
                next_request = Once(partial(self._steps.following, request, page))
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
                self._end.check(page, self._steps.params(request), requested_size_of(request, page))
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

    def _look_ahead(self, lookahead: Lookahead, following: PageRequest, page: Page) -> None:
        """Send the requests ahead that will probably follow ``page``."""
        pages = None if self._limit is None else self._pages_left(self._limit, page)
        if pages == 0 or lookahead.advance(following):
            return
        further, is_end_known = self._steps.further(following, page)
        lookahead.expect(following, islice(further, pages and pages - 1), is_end_known=is_end_known)

    def _pages_left(self, limit: int, page: Page) -> int | None:
        """Return how many pages after ``page`` have the rows up to ``limit``; None if it has no rows."""
        left = limit - self.list_counts.rows - page.count
        return max(-(-left // page.count), 0) if page.count else None  # rounded up

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
