"""Paginators for lists that an API splits into pages, for ``OAuthHook.paginate`` and ``OAuthExtractOperator``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin

import jmespath
from jmespath.exceptions import JMESPathError

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.protocol.redaction import redact_url

if TYPE_CHECKING:
    import requests

#: How to request the next page: changed query parameters, or a URL; None after the last page.
NextPage = Mapping[str, Any] | str | None


@dataclass(frozen=True)
class Page:
    """One page of a list.

    :param response: the response of the API
    :param records_path: JMESPath of the array of rows; None if the response is that array, or has exactly one array
    :param conn_id: the connection ID, for errors
    """

    response: requests.Response = field(repr=False)
    records_path: str | None = None
    conn_id: str = ""

    @cached_property
    def content(self) -> Any:
        """The decoded JSON of the response.

        :raises ApiError: if the response is not JSON
        """
        try:
            return self.response.json()
        except (ValueError, RecursionError):
            raise self.error("is not JSON. Check the endpoint") from None

    @cached_property
    def rows(self) -> list[Any]:
        """The rows of this page.

        :raises ApiError: if the response has no array at ``records_path``, or if it does not contain exactly one array
            and there is no ``records_path``
        """
        found = self.content
        if self.records_path:
            found = self.search(self.records_path)
            problem = f"has no array at {self.records_path!r}. Set records_path to the path of the rows"
        else:
            if isinstance(found, dict):
                lists = [value for value in found.values() if isinstance(value, list)]
                found = lists[0] if len(lists) == 1 else None
            problem = "does not contain exactly one array. Set records_path to the path of the rows"
        if not isinstance(found, list):
            raise self.error(problem)
        return found

    def search(self, path: str) -> Any:
        """Return the value at a JMESPath.

        :param path: a JMESPath, evaluated on ``content``
        :raises ApiError: if the path is invalid, or has a function that cannot be applied to the response
        """
        try:
            return jmespath.search(path, self.content)
        except JMESPathError:  # the text of this error quotes the response
            raise self.error(f"cannot be searched with the JMESPath {path!r}. Correct the JMESPath") from None

    def error(self, problem: str) -> ApiError:
        """Return an error about this page.

        :param problem: the rest of a sentence that begins with "The response", and what to do, without a final period
        """
        url = redact_url(self.response.url or "")
        return ApiError(
            f"Connection {self.conn_id!r}: the response of {url} {problem}.", status_code=self.response.status_code
        )


class Paginator(Protocol):
    """How an API splits a list into pages. ``OAuthHook.paginate`` accepts any object with these two members."""

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The query parameters of the first page."""

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return changed query parameters for the next page, or its URL; None if ``page`` is the last one.

        :param page: the page that was read
        :param params: the query parameters with which the page was requested
        """


@dataclass(frozen=True)
class PageNumberPaginator:
    """For APIs whose pages are requested by number. The last page is empty or has fewer rows than requested.

    :param param: query parameter of the page number
    :param start: number of the first page
    :param size_param: query parameter of the page size, if the API has one
    :param size: number of rows to request per page; a page with fewer rows is the last one
    :param last: JMESPath of the total number of pages, if the API sends it. It then decides which page is the last one,
        even if an earlier page is empty or short
    :param allow_unpaged: whether the API may ignore the parameters and always return the whole list. If true, a page
        with the same rows as the previous page ends the list. If false, such a page is an error
    """

    param: str = "page"
    start: int = 1
    size_param: str | None = None
    size: int | None = None
    last: str | None = None
    allow_unpaged: bool = False

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The query parameters of the first page."""
        size = {self.size_param: self.size} if self.size_param and self.size else {}
        return {self.param: self.start, **size}

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return the query parameter with the number of the next page."""
        number = int(params[self.param])
        count = _count(page.search(self.last)) if self.last else None
        if count is not None:
            done = number - self.start + 1 >= count
        else:
            size = params.get(self.size_param, self.size) if self.size_param else self.size
            done = not page.rows or (size is not None and len(page.rows) < int(size))
        return None if done else {self.param: number + 1}


@dataclass(frozen=True)
class OffsetPaginator:
    """For APIs whose pages are requested by offset: the number of rows in the list before the page.

    :param param: query parameter of the offset
    :param size_param: query parameter of the page size
    :param size: number of rows to request per page; without ``total``, a page with fewer rows is the last one
    :param total: JMESPath of the total number of rows, if the API sends it
    """

    param: str = "offset"
    size_param: str = "limit"
    size: int = 100
    total: str | None = None

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The query parameters of the first page."""
        return {self.param: 0, self.size_param: self.size}

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return the query parameter with the offset of the next page.

        The offset counts the rows that were received, because a page can have fewer rows than requested.
        """
        offset = int(params[self.param]) + len(page.rows)
        total = _count(page.search(self.total)) if self.total else None
        done = offset >= total if total is not None else len(page.rows) < int(params[self.size_param])
        return None if done or not page.rows else {self.param: offset}


@dataclass(frozen=True)
class CursorPaginator:
    """For APIs with a cursor: each response contains a value that is sent to request the next page.

    :param path: JMESPath of the cursor in the response; the last page has no cursor
    :param param: query parameter of the cursor
    """

    path: str = "next"
    param: str = "cursor"

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The query parameters of the first page: none."""
        return {}

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return the query parameter with the cursor of the next page."""
        cursor = page.search(self.path)
        return None if cursor in (None, "", False) else {self.param: cursor}


@dataclass(frozen=True)
class JsonLinkPaginator:
    """For APIs whose JSON response contains the URL of the next page, absolute or relative.

    A URL whose origin differs from the API's is refused, because the request contains the token.

    :param path: JMESPath of the URL in the response; the last page has no URL
    """

    path: str = "next"

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The query parameters of the first page: none."""
        return {}

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return the URL of the next page."""
        url = page.search(self.path)
        return str(url) if url else None


@dataclass(frozen=True)
class HeaderLinkPaginator:
    """For APIs that send the URL of the next page in the header ``Link``, with the relation ``next`` (RFC 8288)."""

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The query parameters of the first page: none."""
        return {}

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return the URL of the next page."""
        return page.response.links.get("next", {}).get("url")


@dataclass(frozen=True)
class HeaderJsonPaginator:
    """For APIs whose pages are requested by number, and that send JSON about the page in a response header.

    :param header: name of that header, such as ``x-pagination`` of JustLogin
    :param param: query parameter of the page number
    :param page: member of the JSON with the number of the current page
    :param has_next: member of the JSON that is true if there is another page
    """

    header: str = "x-pagination"
    param: str = "page"
    page: str = "CurrentPage"
    has_next: str = "HasNext"

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The query parameters of the first page."""
        return {self.param: 1}

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return the query parameter with the number of the next page.

        :raises ApiError: if the header is missing or invalid, because rows could be missed otherwise
        """
        try:
            paging = json.loads(page.response.headers.get(self.header, ""))
            return {self.param: int(paging[self.page]) + 1} if paging[self.has_next] else None
        except (ValueError, KeyError, TypeError):
            raise page.error(
                f"has no valid {self.header} header, so it is unknown whether there are more pages. Check the endpoint "
                "and the paginator"
            ) from None


def pages(
    get: Callable[[str | None, Mapping[str, Any]], requests.Response],
    paginator: Paginator | None,
    params: Mapping[str, Any],
    records_path: str | None = None,
    conn_id: str = "",
) -> Iterator[Page]:
    """Yield the pages of a list; at most two pages are in memory.

    :param get: sends a request to a URL (None for the list's endpoint) with query parameters
    :param paginator: how the API splits the list into pages; None if it does not
    :param params: the caller's query parameters; they take precedence over those of the paginator
    :param records_path: JMESPath of the array of rows; None if a response is that array, or has exactly one array
    :param conn_id: the connection ID, for errors
    :raises ConfigurationError: if ``records_path`` is invalid, or may not return the whole array of rows
    :raises ApiError: if a page is invalid, or if the API returns a page again, so that the list would never end
    """
    _check_records_path(conn_id, records_path)
    url: str | None = None
    sent = {**(paginator.first_params if paginator else {}), **params}
    previous: Page | None = None
    requested: set[str] = set()
    while True:
        page = Page(get(url, sent), records_path, conn_id)
        if previous and _is_whole_list_again(page, previous, paginator):
            return
        previous = page
        yield page
        following = paginator.next_page(page, sent) if paginator else None
        if following is None:
            return
        requested.add(repr((url, sent)))
        if isinstance(following, str):
            url, sent = urljoin(page.response.url, following), {}
        else:
            sent = {**sent, **following}
        if repr((url, sent)) in requested:
            raise page.error("leads to a page that was already read, so the list would never end. Check the paginator")


def _is_whole_list_again(page: Page, previous: Page, paginator: Paginator | None) -> bool:
    """Return whether an API that may ignore page numbers (``allow_unpaged``) returned its whole list again.

    :raises ApiError: if the paginator counts pages or rows without ``allow_unpaged``, and two pages have the same rows
    """
    if not isinstance(paginator, (PageNumberPaginator, OffsetPaginator)):
        return False
    if not page.rows or page.rows != previous.rows:
        return False
    if isinstance(paginator, PageNumberPaginator) and paginator.allow_unpaged:
        return True
    raise page.error(
        f"has the same rows as the previous page, so the API seems to ignore the query parameter {paginator.param!r}. "
        "Set param of the paginator to the parameter that the API uses"
    )


def _count(value: Any) -> int | None:
    """Return a number of rows or pages; None if the API does not know it, for which some APIs send 0 or -1."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _check_records_path(conn_id: str, path: str | None) -> None:
    """Refuse a path that may return fewer rows than the page has, because paginators count the rows."""
    try:
        nodes = [jmespath.compile(path).parsed] if path else []
    except JMESPathError as error:
        raise ConfigurationError(
            f"Connection {conn_id!r}: records_path is not a valid JMESPath. Example: data.items. ({error})"
        ) from None
    while nodes:
        node = nodes.pop()
        if node["type"] in ("projection", "filter_projection", "value_projection", "flatten"):
            raise ConfigurationError(
                f"Connection {conn_id!r}: records_path is {path!r}, which may not return every row of the array, so "
                "the paginator could count too few rows and miss pages. Set it to the path of the whole array, and "
                "filter the rows afterwards."
            )
        nodes += node["children"]
