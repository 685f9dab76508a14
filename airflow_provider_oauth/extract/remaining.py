"""Determines whether there are pages after a page, and with which value to request the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.completeness import looks_paginated
from airflow_provider_oauth.extract.sources import ABSENT, read

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.paginator_options import PaginatorOptions

#: Page sizes are multiples of this number.
ROUND = 5


def next_value(paginator: PaginatorOptions, page: Page, source: str, kind: str) -> Any:
    """Return the value with which to request the next page; None if there is none.

    :param source: where the page has the value
    :param kind: what the value is, for errors
    :raises ApiError: if there are more pages according to ``more``, but no value
    """
    value = read(page, source)
    return checked(paginator, page, None if value is ABSENT or not value else value, kind)


def kind_of(value: Any) -> str:
    """Return what a JSON value is, for errors."""
    return {dict: "an object", list: "an array", bool: "true"}.get(type(value), "a number")


def checked(paginator: PaginatorOptions, page: Page, value: Any, kind: str) -> Any:
    """Return ``value``; None if there are no more pages according to ``more``.

    :raises ApiError: if there are more pages according to ``more``, but no value
    """
    more = paginator.has_more(page)
    if more and value is None:
        raise page.error(
            f"has no {kind} for the next page, but according to {paginator.more!r} there are more pages. Correct the "
            "paginator"
        )
    return None if more is False else value


def rows_remain(page: Page, size: Any, total: int | None) -> bool:
    """Return whether there are pages after ``page``, according to the numbers of rows.

    :param size: the number of rows that was requested; None if it is unknown
    :param total: the total number of rows; None if it is unknown
    """
    if not page.count:
        return False
    if total is not None:
        return page.rows_before + page.count < total
    if size is None or page.count >= min(int(size), page.first_count if page.number > 1 else int(size)):
        return True  # if the size is unknown, only an empty page is the end
    # The API may return fewer rows than requested, because it limits the page size.
    return (page.number == 1 and not page.count % ROUND) or looks_paginated(page) is not None
