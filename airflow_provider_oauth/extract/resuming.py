"""Continues a list at a stored position, and determines the positions to store."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_oauth.extract.list_end import ListCounts
from airflow_provider_oauth.extract.position import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from airflow_provider_oauth.exceptions import ApiError
    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.page_request import PageRequest
    from airflow_provider_oauth.extract.position import Secrets

#: Statuses with which APIs refuse an expired cursor or link.
EXPIRED = (400, 404, 410)
#: Statuses with which APIs refuse a link without its secret parameters.
UNAUTHORIZED = (401, 403)


class ResumeRefused(Exception):
    """The API does not return the page at which the reading should continue. The text is the reason."""


class Resuming:
    """Continues a list at a stored position.

    :param position: the position; None to start with the first page
    :param secrets: the secrets that must not be stored
    """

    def __init__(self, position: Position | None, secrets: Secrets) -> None:
        self._position = position
        self._secrets = secrets
        self._first_digest = position.first_digest if position else ""
        #: The numbers of pages and rows that were read so far. The reader updates them.
        self.counts = ListCounts()
        if position:
            self.counts = ListCounts(position.pages, position.rows, position.total, first_count=position.first_count)

    @property
    def last(self) -> int | None:
        """The number of the last page according to the API, as it is stored; None if it is unknown."""
        return self._position.last if self._position else None

    def first_request(
        self, request: PageRequest, changed: Callable[[PageRequest, Mapping[str, Any]], PageRequest]
    ) -> PageRequest:
        """Return the request to start with.

        :param request: the request for the first page of the list
        :param changed: sets parameters in a request
        :raises ResumeRefused: if the next page was not stored
        """
        if self._position is None:
            return request
        if self._position.is_withheld:
            raise ResumeRefused("The next page was not stored: its URL or cursor contains a secret, or is not JSON.")
        if self._position.url is not None:
            request = replace(request, url=self._position.url, query={})
        return replace(changed(request, self._position.values), values=self._position.values)

    def check_error(self, error: ApiError, stop_on: Collection[int]) -> None:
        """Check the error response to a request.

        :param stop_on: statuses that end the list. On the first page after resuming, such a status can also mean that
            the position is not valid any more
        :raises ResumeRefused: if the API refused the stored position
        """
        if not self._is_first_request or self._position is None:
            return
        refusals = (*EXPIRED, *stop_on, *(UNAUTHORIZED if self._position.is_shortened else ()))
        is_end = error.rule is not None and error.rule.action in ("ignore", "stop")
        if error.status_code in refusals or is_end:
            raise ResumeRefused(str(error)) from error

    def repeats_last_page(self, page: Page) -> bool:
        """Return whether the first page after resuming has the same rows as the page before."""
        if not self._is_first_request or self._position is None or not page.count:
            return False
        return page.digest == self._position.digest

    def check_page(self, page: Page) -> None:
        """Check that the first page after resuming is not the first page of the list.

        :raises ResumeRefused: if it is, because the API ignores the stored position
        """
        if self._is_first_request and self._position and page.count and page.digest == self._first_digest:
            raise ResumeRefused("The API returned the first page of the list again.")

    @property
    def _is_first_request(self) -> bool:
        return self._position is not None and self.counts.pages == self._position.pages

    def remember(self, page: Page) -> None:
        """Remember the first page of the list, to recognize it later."""
        if page.number == 1:
            self._first_digest = page.digest

    def position_after(self, page: Page, following: PageRequest, last: int | None) -> Position:
        """Return where to continue after a page.

        :param page: the page
        :param following: the request for the next page
        :param last: the number of the last page according to the API; None if it is unknown
        """
        url, is_shortened, sent = None, False, page.response.request
        if following.url is not None:
            url, is_shortened = self._secrets.removed(following.url, sent)
        values = dict(following.values)
        try:
            is_withheld = self._secrets.are_in(json.dumps([url, values], ensure_ascii=False), sent)
        except TypeError:  # a paginator of another package can set any value, and it would be stored as another one
            is_withheld = True
        return Position(
            url=None if is_withheld else url,
            values={} if is_withheld else values,
            is_shortened=is_shortened,
            is_withheld=is_withheld,
            pages=self.counts.pages,
            rows=self.counts.rows,
            first_count=self.counts.first_count or 0,
            total=self.counts.total,
            last=last,
            first_digest=self._first_digest,
            digest=page.digest,
        )
