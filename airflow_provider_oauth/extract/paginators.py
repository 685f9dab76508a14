"""How an API hands out a long list: one frozen value a way, for ``OAuthHook.paginate`` and ``OAuthExtractOperator``."""

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

#: What comes next: changed query parameters, a whole URL, or nothing more.
Following = Mapping[str, Any] | str | None


@dataclass(frozen=True)
class Page:
    """One page of a list.

    :param response: what the API answered
    :param records_path: where the rows are, as JMESPath; None: the answer is an array, or has a single one
    :param conn_id: the connection, for errors
    """

    response: requests.Response = field(repr=False)
    records_path: str | None = None
    conn_id: str = ""

    @cached_property
    def content(self) -> Any:
        """The answer, decoded.

        :raises ApiError: if it is not JSON
        """
        try:
            return self.response.json()
        except (ValueError, RecursionError):
            raise self.error("has no JSON in it") from None

    @cached_property
    def rows(self) -> list[Any]:
        """The rows of this page.

        :raises ApiError: if there are none where they should be
        """
        found = self.content
        if self.records_path:
            found = self.search(self.records_path)
        elif isinstance(found, dict):
            lists = [value for value in found.values() if isinstance(value, list)]
            found = lists[0] if len(lists) == 1 else None
        if not isinstance(found, list):
            where = f"no array at {self.records_path!r}" if self.records_path else "not one array; set records_path"
            raise self.error(f"has {where}")
        return found

    def search(self, path: str) -> Any:
        """Return what is at a JMESPath.

        :raises ApiError: if it is none, or does not fit the answer
        """
        try:
            return jmespath.search(path, self.content)
        except JMESPathError:  # its text quotes the answer
            raise self.error(f"does not fit {path!r}, or that is not JMESPath") from None

    def error(self, problem: str) -> ApiError:
        """Return the error that says what is wrong with this page."""
        url = redact_url(self.response.url or "")
        status = self.response.status_code
        return ApiError(f"{status}: the answer of {url} (connection {self.conn_id!r}) {problem}.", status)


class Paginator(Protocol):
    """A way to hand out a list. ``OAuthHook.paginate`` takes any object with these two."""

    @property
    def first(self) -> Mapping[str, Any]:
        """The query parameters of the first page."""

    def following(self, page: Page, sent: Mapping[str, Any]) -> Following:
        """Return what the page after ``page`` takes, which was asked for by the parameters ``sent``."""


@dataclass(frozen=True)
class PageNumberPaginator:
    """Pages by number, until one is empty, or has fewer rows than were asked for.

    :param param: the parameter for the number
    :param start: the first page's number
    :param size_param: the parameter for the number of rows a page, if there is one
    :param size: how many to ask for; a page with fewer is the last one
    :param last: where the answer says how many pages there are, as JMESPath, if it does
    :param may_be_whole: whether the API may ignore all that and give the whole list: then the same page again is the
        end, and no error
    """

    param: str = "page"
    start: int = 1
    size_param: str | None = None
    size: int | None = None
    last: str | None = None
    may_be_whole: bool = False

    @property
    def first(self) -> Mapping[str, Any]:
        """The query parameters of the first page."""
        size = {self.size_param: self.size} if self.size_param and self.size else {}
        return {self.param: self.start, **size}

    def following(self, page: Page, sent: Mapping[str, Any]) -> Following:
        """Return the number of the next page."""
        number = int(sent[self.param])
        pages = _count(page.search(self.last)) if self.last else None
        if pages is not None:
            done = number - self.start + 1 >= pages
        else:
            size = sent.get(self.size_param, self.size) if self.size_param else self.size
            done = not page.rows or (size is not None and len(page.rows) < int(size))
        return None if done else {self.param: number + 1}


@dataclass(frozen=True)
class OffsetPaginator:
    """Pages by the number of rows before them.

    :param param: the parameter for that
    :param size_param: the parameter for the number of rows a page
    :param size: how many to ask for; without ``total`` a page with fewer is the last one
    :param total: where the answer says how many rows there are, as JMESPath, if it does
    """

    param: str = "offset"
    size_param: str = "limit"
    size: int = 100
    total: str | None = None

    @property
    def first(self) -> Mapping[str, Any]:
        """The query parameters of the first page."""
        return {self.param: 0, self.size_param: self.size}

    def following(self, page: Page, sent: Mapping[str, Any]) -> Following:
        """Return the next page's offset: by the rows that came, which may be fewer than were asked for."""
        offset = int(sent[self.param]) + len(page.rows)
        total = _count(page.search(self.total)) if self.total else None
        done = offset >= total if total is not None else len(page.rows) < int(sent[self.size_param])
        return None if done or not page.rows else {self.param: offset}


@dataclass(frozen=True)
class CursorPaginator:
    """Pages by a mark that each answer has for the next.

    :param path: where the mark is, as JMESPath; the last page has none
    :param param: the parameter that takes it
    """

    path: str = "next"
    param: str = "cursor"

    @property
    def first(self) -> Mapping[str, Any]:
        """The query parameters of the first page: none."""
        return {}

    def following(self, page: Page, sent: Mapping[str, Any]) -> Following:
        """Return the mark of the next page."""
        mark = page.search(self.path)
        return None if mark in (None, "", False) else {self.param: mark}


@dataclass(frozen=True)
class JsonLinkPaginator:
    """Pages by the URL of the next one, whole or relative. It must be of the API's own origin.

    :param path: where the URL is, as JMESPath; the last page has none
    """

    path: str = "next"

    @property
    def first(self) -> Mapping[str, Any]:
        """The query parameters of the first page: none."""
        return {}

    def following(self, page: Page, sent: Mapping[str, Any]) -> Following:
        """Return the URL of the next page."""
        url = page.search(self.path)
        return str(url) if url else None


@dataclass(frozen=True)
class HeaderLinkPaginator:
    """Pages by the ``Link`` header (RFC 8288), its relation ``next``."""

    @property
    def first(self) -> Mapping[str, Any]:
        """The query parameters of the first page: none."""
        return {}

    def following(self, page: Page, sent: Mapping[str, Any]) -> Following:
        """Return the URL of the next page."""
        return page.response.links.get("next", {}).get("url")


@dataclass(frozen=True)
class HeaderJsonPaginator:
    """Pages by number, by what a response header says in JSON (JustLogin's ``x-pagination``).

    :param header: its name
    :param param: the parameter for the page's number
    :param page: the member with this page's number
    :param has_next: the member that says whether there is another page
    """

    header: str = "x-pagination"
    param: str = "page"
    page: str = "CurrentPage"
    has_next: str = "HasNext"

    @property
    def first(self) -> Mapping[str, Any]:
        """The query parameters of the first page."""
        return {self.param: 1}

    def following(self, page: Page, sent: Mapping[str, Any]) -> Following:
        """Return the number of the next page.

        :raises ApiError: if the header is not there, or not what it should be: rows might be missed
        """
        try:
            told = json.loads(page.response.headers.get(self.header, ""))
            return {self.param: int(told[self.page]) + 1} if told[self.has_next] else None
        except (ValueError, KeyError, TypeError):
            raise page.error(f"has no {self.header} header that says whether there are more pages") from None


def pages(
    get: Callable[[str | None, Mapping[str, Any]], requests.Response],
    paginator: Paginator | None,
    params: Mapping[str, Any],
    records_path: str | None = None,
    conn_id: str = "",
) -> Iterator[Page]:
    """Yield the pages of a list; no more than two are in memory at a time.

    :param get: asks for a page, by URL (None for the list's own) and query parameters
    :param paginator: how the list is handed out; None: as a whole
    :param params: the caller's query parameters, which win over the paginator's
    :param records_path: where the rows are, as JMESPath; None: the answer is an array, or has a single one
    :param conn_id: the connection, for errors
    :raises ConfigurationError: if ``records_path`` is not where rows are, but chooses among them
    :raises ApiError: if a page is not what it should be, or comes again: an API that does not know the paginator's
        parameter would give its first page for ever
    """
    _check_records_path(conn_id, records_path)
    url: str | None = None
    sent = {**(paginator.first if paginator else {}), **params}
    before: Page | None = None
    asked: set[str] = set()
    while True:
        page = Page(get(url, sent), records_path, conn_id)
        if (
            before
            and isinstance(paginator, (PageNumberPaginator, OffsetPaginator))
            and page.rows
            and page.rows == before.rows
        ):
            if isinstance(paginator, PageNumberPaginator) and paginator.may_be_whole:
                return
            raise page.error("is the same as for the page before it; check the paginator's parameter")
        before = page
        yield page
        following = paginator.following(page, sent) if paginator else None
        if following is None:
            return
        asked.add(repr((url, sent)))
        if isinstance(following, str):
            url, sent = urljoin(page.response.url, following), {}
        else:
            sent = {**sent, **following}
        if repr((url, sent)) in asked:
            raise page.error("names a page as the next one that was read before")


def _count(value: Any) -> int | None:
    """Return a number of rows or pages; None if it is none. Some say 0 or -1 where they do not know."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _check_records_path(conn_id: str, path: str | None) -> None:
    """Refuse a path that chooses among rows: pages are counted by all of theirs."""
    try:
        nodes = [jmespath.compile(path).parsed] if path else []
    except JMESPathError as error:
        raise ConfigurationError(f"Connection {conn_id!r}: records_path is not JMESPath: {error}") from None
    while nodes:
        node = nodes.pop()
        if node["type"] in ("projection", "filter_projection", "value_projection", "flatten"):
            raise ConfigurationError(
                f"Connection {conn_id!r}: records_path is {path!r}, which selects some of the rows. The paginator "
                f"counts rows, so it would miss pages. Set it to the path of the whole array, and filter afterwards."
            )
        nodes += node["children"]
