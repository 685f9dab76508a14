"""Checks at the end of a list that no rows are missing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.completeness import doubt, is_number_of_page, is_usual_size, looks_paginated
from airflow_provider_oauth.extract.paginators import (
    OffsetPaginator,
    PageNumberPaginator,
    PaginatorOptions,
    SinglePagePaginator,
)
from airflow_provider_oauth.extract.start import Start

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.paginators import Paginator
    from airflow_provider_oauth.extract.sequence import PageSequence

log = logging.getLogger(__name__)


@dataclass
class ListCounts:
    """Counts what was read of a list so far.

    :param pages: the number of pages
    :param rows: the number of rows
    :param total: the number of rows of the whole list according to the API; None if the API does not send it
    :param start: how many rows before the first page are skipped
    :param is_paging_absent: whether the list has one page, which does not contain what the paginator looks for
    :param first_count: the number of rows on the first page; None before it was read
    :param ended_by_rule: whether an error rule ignored a response or ended the list
    """

    pages: int = 0
    rows: int = 0
    total: int | None = None
    start: Start = Start()
    is_paging_absent: bool = False
    first_count: int | None = None
    ended_by_rule: bool = False

    @property
    def expected(self) -> int | None:
        """The number of rows to read according to the API; None if it is unknown."""
        return self.start.remaining(self.total)


class ListEnd:
    """Checks the end of a list.

    :param paginator: the paginator of the list; None if there is none
    :param sequence: compares pages with previous ones
    :param counts: what was read; it is updated by the reader
    :param conn_id: the connection ID, for the log
    """

    def __init__(self, paginator: Paginator | None, sequence: PageSequence, counts: ListCounts, conn_id: str) -> None:
        self._paginator = paginator
        self._options = paginator if isinstance(paginator, PaginatorOptions) else PaginatorOptions()
        self._sequence = sequence
        self._counts = counts
        self._conn_id = conn_id

    def check(self, page: Page, params: Mapping[str, Any], size: int | None) -> None:
        """Check that ``page`` is the last one.

        :param page: the page
        :param params: the parameters of its request that the paginator may change
        :param size: the number of rows that was requested; None if the request does not name it
        :raises ApiError: if the list has one page, which does not contain what the paginator looks for, and seems to be
            incomplete
        """
        if self._paginator is None:
            self._check_single(page, size)
            return
        self._sequence.check_end(page, params)
        if not isinstance(self._paginator, PaginatorOptions) or isinstance(self._paginator, SinglePagePaginator):
            pass
        elif page.number == 1 and self._options.is_absent(page):
            self._check_absent(page, size)
        elif (self._counts.total is None or self._counts.expected == self._counts.rows) and not self._options.optional:
            self._check_last(page, size)
        self.check_total()

    def check_stop(self, page: Page, params: Mapping[str, Any]) -> None:
        """Check that ``page`` is the last one, after the next request failed or returned the same rows.

        :param page: the last page that was read
        :param params: the parameters of the next request that the paginator may change
        :raises ApiError: if there are more rows according to the API
        """
        counts = self._counts
        self._sequence.check_stop(page, params)
        if counts.expected is not None and counts.rows < counts.expected:
            raise page.error(
                f"is the last page that could be read. {counts.rows} rows were read, but according to the API there "
                f"are {counts.expected}. The API may limit how many rows can be read: split the list with a filter"
            )
        if self._options.total is None and (sign := looks_paginated(page)):
            self._warn_of_sign(sign.found)
        self.check_total()

    def check_total(self) -> None:
        """Log a warning if the number of rows differs from the API's."""
        counts = self._counts
        if counts.expected is not None and counts.expected != counts.rows:
            log.warning(
                "Connection %r: %d rows were read, but according to the API there are %d. If no rows were added or "
                "deleted while the list was read, check the paginator.",
                self._conn_id, counts.rows, counts.expected,
            )  # fmt: skip
        elif counts.total is not None and counts.start.param:
            log.info(
                "Connection %r: %d rows were read. This number is not compared with the API's total of %d, because "
                "the parameter %r may skip rows at the start of the list.",
                self._conn_id, counts.rows, counts.total, counts.start.param,
            )  # fmt: skip

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
        self._counts.is_paging_absent = True
        problem = None if self._options.optional else doubt(page, size, self._options.may_be_absent)
        if problem and problem.is_error:
            raise page.error(problem.problem)
        if problem:
            log.warning("Connection %r: rows may be missing: the response %s.", self._conn_id, problem.problem)
        else:
            log.info("Connection %r: the list has one page, which has no sign of a next page.", self._conn_id)

    def _warn_of_sign(self, found: str) -> None:
        log.warning(
            "Connection %r: the list ended after %d rows, but its last page has %s, so there may be more rows. "
            "Check the paginator.",
            self._conn_id, self._counts.rows, found,
        )  # fmt: skip


def _number_of_page(paginator: Paginator | None) -> str | None:
    """Return the source that ends the list, if it has a name that is usual for a number about one page."""
    source: str | None = None
    if isinstance(paginator, (PageNumberPaginator, OffsetPaginator)) and paginator.more is None:
        source = getattr(paginator, "last", None) or paginator.total
    return source if source and is_number_of_page(source) else None
