"""Paginators for lists that an API splits into pages, for ``OAuthHook.paginate`` and ``OAuthExtractOperator``.

A paginator reads from each page how to request the next one: from a member of the response, given as a JMESPath, or
from a header, given as ``header:`` and its name, for example ``header:X-Next-Page``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.link_header import OTHER_RELATIONS, link_to, links
from airflow_provider_oauth.extract.paginator_options import (
    NextPage,
    Paginator,
    PaginatorOptions,
    ParamIn,
    is_true,
)
from airflow_provider_oauth.extract.remaining import checked, kind_of, next_value, rows_remain
from airflow_provider_oauth.extract.sources import ABSENT, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_oauth.extract.page import Page

__all__ = [
    "CursorPaginator",
    "HeaderJsonPaginator",
    "HeaderLinkPaginator",
    "JsonLinkPaginator",
    "NextPage",
    "OffsetPaginator",
    "PageNumberPaginator",
    "Paginator",
    "PaginatorOptions",
    "ParamIn",
]


@dataclass(frozen=True)
class PageNumberPaginator(PaginatorOptions):
    """Pages that are requested by their number.

    Without ``last`` and ``total``, an empty page is the last page. If ``size`` is set, a page with fewer rows than the
    first page is the last page too. If the first page itself has fewer rows than requested, but a multiple of 5, the
    second page is requested too, because the API may limit the page size.

    :param param: name of the page number
    :param start: number of the first page
    :param size_param: name of the page size, if the API has one
    :param size: number of rows to request per page
    :param last: where the response has the number of pages: JMESPath, or ``header:`` and a name, such as
        ``header:X-WP-TotalPages``
    :param param_in: where the parameters are sent: in the ``query``, in a ``header``, or in the ``body``, where
        ``param`` is a path such as ``page.number``
    """

    param: str = "page"
    start: int = 1
    size_param: str | None = None
    size: int | None = None
    last: str | None = None
    param_in: ParamIn = "query"

    counts_rows: ClassVar[bool] = True

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the fields that are JMESPaths or headers, besides ``more`` and ``total``."""
        return ("last",)

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The parameters of the first page."""
        size = {self.size_param: self.size} if self.size_param and self.size else {}
        return {self.param: self.start, **size}

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return the parameter with the number of the next page."""
        number = int(params[self.param])
        more = self.has_more(page)
        if more is None and (last := self.count_of(page, "last")) is not None:
            more = number - int(self.start) + 1 < last
        if more is None:
            size = params.get(self.size_param, self.size) if self.size_param else self.size
            more = rows_remain(page, size, self.total_of(page))
        return {self.param: number + 1} if more else None

    def values_ahead(self, page: Page, params: Mapping[str, Any]) -> Iterable[int]:
        """Return the numbers of the pages after the next one."""
        first = int(params[self.param]) + 1
        pages = self.count_of(page, "last")
        if pages is None and page.count and (total := self.total_of(page)) is not None:
            pages = -(-total // page.count)  # rounded up
        return count(first) if pages is None else range(first, self.start + pages)


@dataclass(frozen=True)
class OffsetPaginator(PaginatorOptions):
    """Pages that are requested by an offset, the number of rows before the page.

    Without ``total``, the last page is detected in the same way as by :class:`PageNumberPaginator`.

    :param param: name of the offset
    :param size_param: name of the page size
    :param size: number of rows to request per page
    :param param_in: where the parameters are sent: in the ``query``, in a ``header``, or in the ``body``, where
        ``param`` is a path such as ``page.offset``
    :param start: the offset of the first page; some APIs count from 1
    :param text_param: name of the query parameter whose text is a query in a language such as SQL, for example
        ``query`` of QuickBooks. Offset and page size are then added to this text: ``… STARTPOSITION 1 MAXRESULTS 100``
        for the names ``STARTPOSITION`` and ``MAXRESULTS``. Otherwise they are parameters
    """

    param: str = "offset"
    size_param: str = "limit"
    size: int = 100
    param_in: ParamIn = "query"
    start: int = 0
    text_param: str | None = None

    counts_rows: ClassVar[bool] = True

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The parameters of the first page."""
        return {self.param: self.start, self.size_param: self.size}

    def sent_query(self, query: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the query parameters to send: with ``text_param``, offset and page size are in its text.

        :raises ConfigurationError: if the text is missing, or contains an offset or a page size
        """
        if self.text_param is None or self.param not in query:
            return query
        text = query.get(self.text_param)
        names = (self.param, self.size_param)
        if not isinstance(text, str) or re.search(rf"\b({'|'.join(map(re.escape, names))})\b", text, re.IGNORECASE):
            raise ConfigurationError(
                f"OffsetPaginator adds {' and '.join(names)} to the parameter {self.text_param!r}. Set this "
                "parameter in request_params to a query without them."
            )
        added = " ".join(f"{name} {query[name]}" for name in names)
        others = {name: value for name, value in query.items() if name not in names}
        return {**others, self.text_param: f"{text.rstrip()} {added}"}

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return the offset of the next page: this offset plus the rows received, which can be fewer than requested."""
        more = self.has_more(page)
        if more is None:
            more = rows_remain(page, params[self.size_param], self.total_of(page))
        return {self.param: int(params[self.param]) + page.count} if more else None

    def values_ahead(self, page: Page, params: Mapping[str, Any]) -> Iterable[int]:
        """Return the offsets of the pages after the next one, if these have as many rows as ``page``."""
        if not page.count:
            return ()
        first, total = int(params[self.param]) + page.count, self.total_of(page)
        return count(first, page.count) if total is None else range(first, self.start + total, page.count)


@dataclass(frozen=True)
class CursorPaginator(PaginatorOptions):
    """Pages with a cursor: each response contains the value to send in the request for the next page.

    :param path: where the response has the cursor: JMESPath, or ``header:`` and a name, such as ``header:X-Next-Page``.
        ``data[-1].id`` is the ID of the last row. On the last page the cursor is absent, null or empty, or ``more`` is
        false
    :param param: name of the cursor in the request
    :param param_in: where the cursor is sent: in the ``query``, in a ``header``, or in the ``body``, where ``param`` is
        a path such as ``variables.after``
    :param sole_param: whether the cursor is the only query parameter of the requests after the first one, because the
        API refuses others
    """

    path: str = "next"
    param: str = "cursor"
    param_in: ParamIn = "query"
    sole_param: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the fields that are JMESPaths or headers, besides ``more`` and ``total``."""
        return ("path",)

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The parameters of the first page: none."""
        return {}

    def sent_query(self, query: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the query parameters to send: with ``sole_param``, only the cursor after the first page."""
        return {self.param: query[self.param]} if self.sole_param and self.param in query else query

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return the cursor of the next page.

        :raises ApiError: if ``more`` is true and there is no cursor, or if the value is not a cursor, because rows
            would be missed
        """
        cursor = next_value(self, page, self.path, "cursor")
        if cursor is True or (self.param_in != "body" and isinstance(cursor, (dict, list))):
            raise page.error(
                f"has {kind_of(cursor)} at {self.path!r}, where the paginator looks for a cursor. Set path to the "
                "cursor"
            )
        return None if cursor is None else {self.param: cursor}

    def is_absent(self, page: Page) -> bool:
        """Return whether ``page`` contains nothing about a next page."""
        return self.has_more(page) is None and read(page, self.path) is ABSENT


@dataclass(frozen=True)
class JsonLinkPaginator(PaginatorOptions):
    """Pages with a link to the next page in the JSON of the response, absolute or relative.

    A link to another origin than the API's is refused, because the request contains the token.

    :param path: where the response has the link: JMESPath, or ``header:`` and a name. On the last page the link is
        absent, null or empty, or ``more`` is false
    """

    path: str = "next"

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the fields that are JMESPaths or headers, besides ``more`` and ``total``."""
        return ("path",)

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The parameters of the first page: none."""
        return {}

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return the URL of the next page.

        :raises ApiError: if ``more`` is true and there is no link, or if the value is not text, because rows would be
            missed
        """
        url = next_value(self, page, self.path, "link")
        if not (url is None or isinstance(url, str)):
            raise page.error(
                f"has {kind_of(url)} at {self.path!r}, where the paginator looks for a link. Set path to the link"
            )
        return url

    def is_absent(self, page: Page) -> bool:
        """Return whether ``page`` contains nothing about a next page."""
        return self.has_more(page) is None and read(page, self.path) is ABSENT


@dataclass(frozen=True)
class HeaderLinkPaginator(PaginatorOptions):
    """Pages with a link to the next page in the ``Link`` header (RFC 8288).

    Many APIs, such as GitHub's, send no ``Link`` header if the list has only one page.

    :param rel: the relation of the link
    """

    rel: str = "next"

    may_be_absent: ClassVar[bool] = True

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The parameters of the first page: none."""
        return {}

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return the URL of the next page.

        :raises ApiError: if ``more`` is true and there is no link, because rows would be missed
        """
        url: str | None = checked(self, page, link_to(page.response, self.rel), "link")
        return url

    def is_absent(self, page: Page) -> bool:
        """Return whether ``page`` contains nothing about a next page."""
        return self.has_more(page) is None and not {self.rel.lower(), *OTHER_RELATIONS} & set(links(page.response))


@dataclass(frozen=True)
class HeaderJsonPaginator(PaginatorOptions):
    """Pages that are requested by their number. A response header contains JSON with the number of the current page.

    :param header: name of that header, such as ``x-pagination`` of JustLogin
    :param param: query parameter of the page number
    :param page: member of the JSON with the number of the current page
    :param has_next: member of the JSON that is true if there is another page
    :param last: member of the JSON with the number of pages, if there is no ``has_next``
    """

    header: str = "x-pagination"
    param: str = "page"
    page: str = "CurrentPage"
    has_next: str = "HasNext"
    last: str | None = None

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The parameters of the first page."""
        return {self.param: 1}

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return the number of the next page.

        :raises ApiError: if the header is missing or invalid, because rows would be missed
        """
        header = page.response.headers.get(self.header, "")
        more = self.has_more(page)
        if more is False or (not header and (self.optional or page.is_blank)):
            return None
        try:
            paging = json.loads(header)
            number = int(paging[self.page])
            self._check_number(page, number, params)
            if more is None:
                more = number < int(paging[self.last]) if self.last else is_true(paging[self.has_next])
            return {self.param: number + 1} if more else None
        except (ValueError, KeyError, TypeError, OverflowError):
            raise page.error(
                f"has no valid {self.header} header, so it is unknown whether there are more pages. Check the endpoint "
                "and the paginator"
            ) from None

    def values_ahead(self, page: Page, params: Mapping[str, Any]) -> Iterable[int]:
        """Return the numbers of the pages after the next one."""
        first = int(params[self.param]) + 1
        try:
            last = int(json.loads(page.response.headers[self.header])[self.last]) if self.last else None
        except (ValueError, KeyError, TypeError, OverflowError):
            return ()
        return count(first) if last is None else range(first, last + 1)

    def _check_number(self, page: Page, number: int, params: Mapping[str, Any]) -> None:
        """Check that the API returned the page that was requested.

        :raises ApiError: if it returned another one, because rows would be missed
        """
        requested = str(params[self.param])
        if requested != str(number):
            raise page.error(
                f"is page {number} according to its {self.header} header, but page {requested} was requested. Check "
                "param and page of the paginator"
            )


@dataclass(frozen=True)
class SinglePagePaginator(PaginatorOptions):
    """Lists that the API returns in one response.

    Use it if the vendor has another default paginator, or if a complete list causes the warning that it may have more
    rows.
    """

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The parameters of the first page: none."""
        return {}

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return None, because there is no next page."""
        return None
