"""Compares each page of a list with the previous one, to detect repeated rows, missing rows and wrong arrays."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.completeness import reported_error, starts_later
from airflow_provider_oauth.extract.paginator_options import PaginatorOptions
from airflow_provider_oauth.extract.paginators import HeaderJsonPaginator, OffsetPaginator, PageNumberPaginator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.paginators import Paginator

log = logging.getLogger(__name__)

#: Keys of a single object, which a list does not have.
ID_KEYS = frozenset(("id", "ID", "Id", "_id", "uuid", "guid"))
#: The paginators that request pages by a number, so that a repeated page means that other rows are missing.
COUNTING = (PageNumberPaginator, OffsetPaginator, HeaderJsonPaginator)
#: Maximum number of consecutive pages with the same rows.
MAX_SAME_PAGES = 10


class PageSequence:
    """Checks the pages of a list one after the other.

    :param paginator: the paginator of the list; None if there is none
    :param conn_id: the connection ID, for the log
    """

    def __init__(self, paginator: Paginator | None, conn_id: str) -> None:
        self._paginator = paginator
        self._conn_id = conn_id
        self._rows_at: tuple[str, ...] | None = None
        self._same_pages = 1
        self._has_error = False
        #: The number of the last page according to the API; None if it is unknown.
        self.last: int | None = None
        #: The numbers of the pages with rows, by a hash of these.
        self._numbers: dict[int, int] = {}
        self._is_repeated = False

    def check(self, page: Page, previous: Page | None) -> None:
        """Check a page. A page without rows is only checked for a missing body.

        :param page: the page
        :param previous: the page before; None if ``page`` is the first one
        :raises ApiError: if its rows are in another array than those of the previous pages, or if too many pages have
            the same rows
        """
        if isinstance(self._paginator, PageNumberPaginator) and self._paginator.last:
            self.last = self._paginator.count_of(page, "last") or self.last
        if page.count:
            self._check_earlier_pages(page)
        if page.count and previous:
            self._check_repetition(page, previous)
        elif isinstance(self._paginator, COUNTING) and page.number == 1:
            self._check_start(page)
        if page.has_only_rows:
            return
        if page.is_blank:
            self._check_blank(page)
        elif page.count:
            self._check_place(page)
            self._check_partial_error(page)

    def check_end(self, page: Page, params: Mapping[str, Any]) -> None:
        """Check that the last page is not a page without rows in the middle of the list.

        :param page: the last page
        :param params: the parameters of its request
        :raises ApiError: if there are more pages according to the previous ones
        """
        number = self._number(params)
        if number is None or page.count or number >= (self.last or 0) or self._has_sign(page):
            return
        raise page.error(
            f"has no rows, but it is page {number} of {self.last} according to the previous pages, so rows would be "
            "missing. Run the task again. If a page without rows is the end of this list, set empty_page_ends=True in "
            "the paginator"
        )

    def check_stop(self, page: Page, params: Mapping[str, Any]) -> None:
        """Check that the request that failed was not for a page that the list has.

        :param page: the last page that was read
        :param params: the parameters of the request that failed
        :raises ApiError: if there are more pages according to the previous ones
        """
        number = self._number(params)
        if number is None or number > (self.last or 0) or self._has_sign(page):
            return
        raise page.error(
            f"is the last page that could be read: the request for page {number} of {self.last} failed, or returned "
            "the same rows. The API may limit how many pages can be read: split the list with a filter"
        )

    def _number(self, params: Mapping[str, Any]) -> int | None:
        """Return the number of a page, counted from 1; None if the API did not name the last page.

        :param params: the parameters of the request for the page
        """
        paginator = self._paginator
        if self.last is None or not isinstance(paginator, PageNumberPaginator):
            return None
        return int(params[paginator.param]) - int(paginator.start) + 1

    def _has_sign(self, page: Page) -> bool:
        """Return whether the page itself says whether there are more pages."""
        return isinstance(self._paginator, PaginatorOptions) and self._paginator.has_more(page) is not None

    def _check_earlier_pages(self, page: Page) -> None:
        """Check that no earlier page has the same rows as ``page``.

        :raises ApiError: if one has, and pages are requested by number or offset, so that other rows are missing
        """
        number = self._numbers.setdefault(page.fingerprint, page.number)
        if number == page.number:
            return
        if isinstance(self._paginator, COUNTING) and not self._paginator.optional:
            raise page.error(
                f"is page {page.number} of the list and has the same rows as page {number}, so other rows are missing. "
                "Run the task again, and check the paginator. If the list really contains these rows twice, set "
                "optional=True in the paginator"
            )
        if not self._is_repeated:
            self._is_repeated = True
            log.warning(
                "Connection %r: page %d has the same rows as page %d. These rows are read twice, and others may be "
                "missing. Further repeated pages are not logged.",
                self._conn_id, page.number, number,
            )  # fmt: skip

    def _check_repetition(self, page: Page, previous: Page) -> None:
        if page.has_same_rows(previous):
            self._same_pages += 1
            if self._same_pages >= MAX_SAME_PAGES:
                raise page.error(
                    f"has the same rows as the previous {MAX_SAME_PAGES - 1} pages, so the API seems to ignore the "
                    "parameter for the next page. Correct the paginator"
                )
            return
        self._same_pages = 1
        is_by_offset = isinstance(self._paginator, OffsetPaginator) and not page.has_only_rows
        if is_by_offset and page.sliced.lines[0] == previous.sliced.lines[-1]:
            log.warning(
                "Connection %r: page %d begins with the last row of the previous page, so rows may be duplicated. If "
                "the API counts rows from 1, set start=1 in the paginator.",
                self._conn_id, page.number,
            )  # fmt: skip

    def _check_start(self, page: Page) -> None:
        if found := starts_later(page):
            log.warning(
                "Connection %r: the first page that was read has %s, so the list may have pages before it. If the API "
                "counts from 0, set start=0 in the paginator.",
                self._conn_id, found,
            )  # fmt: skip

    def _check_blank(self, page: Page) -> None:
        if page.response.status_code == 200:
            log.warning(
                "Connection %r: the response for page %d has status 200 and no body. It counts as a page without rows. "
                "If rows are missing, run the task again.",
                self._conn_id, page.number,
            )  # fmt: skip

    def _check_place(self, page: Page) -> None:
        at = page.sliced.at
        if self._rows_at is None:
            self._rows_at = at
            self._check_only_array(page)
        if at != self._rows_at:
            raise page.error(
                f"has its array at {_path(at)}, but the previous pages have it at {_path(self._rows_at)}. Set "
                "records_path to the path of the rows"
            )

    def _check_only_array(self, page: Page) -> None:
        if page.records_path is not None or page.sliced.lines[0].startswith((b"{", b"[")):
            return
        document = page.without_rows
        if isinstance(document, dict) and ID_KEYS.intersection(document):  # the response is probably one row
            log.warning(
                "Connection %r: the rows are in %s, the only array of the response, and they are not objects. If this "
                "array is a field of a single row, set records_path='@'. Otherwise set records_path to its path.",
                self._conn_id, _path(page.sliced.at),
            )  # fmt: skip

    def _check_partial_error(self, page: Page) -> None:
        if self._has_error or not (member := reported_error(page)):
            return
        self._has_error = True
        log.warning(
            "Connection %r: page %d has rows, but also the member %s, which reports an error. Rows or fields may be "
            "missing. To see the response, run: airflow oauth request CONN_ID ENDPOINT",
            self._conn_id, page.number, member,
        )  # fmt: skip


def _path(keys: tuple[str, ...]) -> str:
    return repr(".".join(keys) or "@")
