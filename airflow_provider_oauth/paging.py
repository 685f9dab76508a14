"""How an API hands out a long list: one frozen value a way, for ``OAuthHook.paginate`` and ``OAuthExtractOperator``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin

import jmespath
from jmespath.exceptions import JMESPathTypeError

from airflow_provider_oauth.exceptions import ApiError

if TYPE_CHECKING:
    import requests

#: What comes next: changed query parameters, a whole URL, or nothing more.
Following = Mapping[str, Any] | str | None


@dataclass(frozen=True)
class Page:
    """One page of a list.

    :param response: what the API answered
    :param rows_path: where the rows are, as JMESPath; None: the answer is an array, or has a single one
    """

    response: requests.Response = field(repr=False)
    rows_path: str | None = None

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
        if self.rows_path:
            try:
                found = jmespath.search(self.rows_path, found)
            except JMESPathTypeError:  # a function that does not fit what is there, which its text quotes
                found = None
        elif isinstance(found, dict):
            lists = [value for value in found.values() if isinstance(value, list)]
            found = lists[0] if len(lists) == 1 else None
        if not isinstance(found, list):
            where = f"no array at {self.rows_path!r}" if self.rows_path else "not one array; say which (rows)"
            raise self.error(f"has {where}")
        return found

    def error(self, problem: str) -> ApiError:
        """Return the error that says what is wrong with this page."""
        url = (self.response.url or "").partition("?")[0]
        return ApiError(f"{self.response.status_code}: the answer of {url} {problem}.", self.response.status_code)


class Paginator(Protocol):
    """A way to hand out a list. ``OAuthHook.paginate`` takes any object with these two."""

    @property
    def first(self) -> Mapping[str, Any]:
        """The query parameters of the first page."""

    def following(self, page: Page, sent: Mapping[str, Any]) -> Following:
        """Return what the page after ``page`` takes, which was asked for by the parameters ``sent``."""


@dataclass(frozen=True)
class PageNumber:
    """Pages by number, until one is empty, or has fewer rows than were asked for.

    :param param: the parameter for the number
    :param start: the first page's number
    :param size_param: the parameter for the number of rows a page, if there is one
    :param size: how many to ask for; a page with fewer is the last one
    :param last: where the answer says how many pages there are, as JMESPath, if it does
    """

    param: str = "page"
    start: int = 1
    size_param: str | None = None
    size: int | None = None
    last: str | None = None

    @property
    def first(self) -> Mapping[str, Any]:
        """The query parameters of the first page."""
        size = {self.size_param: self.size} if self.size_param and self.size else {}
        return {self.param: self.start, **size}

    def following(self, page: Page, sent: Mapping[str, Any]) -> Following:
        """Return the number of the next page."""
        number = int(sent[self.param])
        pages = jmespath.search(self.last, page.content) if self.last else None
        if isinstance(pages, int):
            done = number - self.start + 1 >= pages
        else:
            size = sent.get(self.size_param, self.size) if self.size_param else self.size
            done = not page.rows or (size is not None and len(page.rows) < int(size))
        return None if done else {self.param: number + 1}


@dataclass(frozen=True)
class Offset:
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
        total = jmespath.search(self.total, page.content) if self.total else None
        # Some say 0 or -1 where they do not know.
        done = offset >= total if isinstance(total, int) and total > 0 else len(page.rows) < int(sent[self.size_param])
        return None if done or not page.rows else {self.param: offset}


@dataclass(frozen=True)
class Cursor:
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
        mark = jmespath.search(self.path, page.content)
        return None if mark in (None, "", False) else {self.param: mark}


@dataclass(frozen=True)
class NextUrl:
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
        url = jmespath.search(self.path, page.content)
        return str(url) if url else None


@dataclass(frozen=True)
class LinkHeader:
    """Pages by the ``Link`` header (RFC 8288), its relation ``next``."""

    @property
    def first(self) -> Mapping[str, Any]:
        """The query parameters of the first page: none."""
        return {}

    def following(self, page: Page, sent: Mapping[str, Any]) -> Following:
        """Return the URL of the next page."""
        return page.response.links.get("next", {}).get("url")


@dataclass(frozen=True)
class HeaderJson:
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
    rows: str | None = None,
) -> Iterator[Page]:
    """Yield the pages of a list; no more than two are in memory at a time.

    :param get: asks for a page, by URL (None for the list's own) and query parameters
    :param paginator: how the list is handed out; None: as a whole
    :param params: the caller's query parameters, which win over the paginator's
    :param rows: where the rows are, as JMESPath; None: the answer is an array, or has a single one
    :raises ApiError: if a page is not what it should be, or comes again: an API that does not know the paginator's
        parameter would give its first page for ever
    """
    url: str | None = None
    sent = {**(paginator.first if paginator else {}), **params}
    before: Page | None = None
    while True:
        page = Page(get(url, sent), rows)
        if before and _same(before, page):
            raise page.error("is the same as for the page before it; check the paginator's parameter")
        before = page
        yield page
        following = paginator.following(page, sent) if paginator else None
        if following is None:
            return
        asked = url, sent
        if isinstance(following, str):
            url, sent = urljoin(page.response.url, following), {}
        else:
            sent = {**sent, **following}
        if (url, sent) == asked:  # its content may differ all the same, by a timestamp
            raise page.error("names itself as the next one")


def _same(before: Page, page: Page) -> bool:
    """Tell whether two pages have the same rows, and some; the rest of an answer may have a timestamp."""
    try:
        return bool(page.rows) and page.rows == before.rows
    except ApiError:  # it has no rows that anybody has asked for
        return page.response.content == before.response.content
