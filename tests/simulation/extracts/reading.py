"""Checks that the rows of a result are those of one consistent reading of the list."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.extracts.api import Api, Response


def problem_of(rows: Sequence[dict[str, Any]], run_id: str, since: str | None, api: Api) -> str | None:
    """Return what is wrong with the rows of a result; None if they are complete and in order.

    :param rows: the rows, each with the number of the page that it is from
    :param run_id: the run that has written them
    :param since: the value that the run sends
    """
    pages: list[Response] = []
    for number, group in groupby(rows, key=lambda row: row["page"]):
        page = api.responses[number - 1]
        if page.run_id != run_id:
            return f"page {number} is from {page.run_id}"
        if list(group) != _kept(page, since, api):
            return f"rows of page {number} are missing, repeated or in another order"
        pages.append(page)
    if not pages:
        return None if any(_is_end(page, "") for page in _of(run_id, api)) else "there is no row, and no empty list"
    return _broken_link(pages, run_id, since, api)


def _broken_link(pages: list[Response], run_id: str, since: str | None, api: Api) -> str | None:
    """Return where a page is missing between two pages, before the first one, or after the last one."""
    key: str | None = ""
    for page in pages:
        if page.key != key and not _is_skipped(key, page.key, run_id, since, api):
            return f"page {page.number} is not the page after the one before it: {page.key!r} instead of {key!r}"
        key = page.next
    if key is None or _stops(pages[-1], since, api) or any(_is_end(page, key) for page in _of(run_id, api)):
        return None
    return f"the list continues after page {pages[-1].number}"


def _of(run_id: str, api: Api) -> list[Response]:
    return [page for page in api.responses if page.run_id == run_id]


def _kept(page: Response, since: str | None, api: Api) -> list[dict[str, Any]]:
    """Return the rows of a page that the operator writes."""
    if api.schedule.client_side:
        return [row for row in page.rows if since is None or row["updated"] >= since]
    return list(page.rows)


def _is_end(page: Response, key: str) -> bool:
    return page.key == key and not page.rows and page.next is None


def _is_skipped(key: str | None, until: str | None, run_id: str, since: str | None, api: Api) -> bool:
    """Return whether all pages from ``key`` to ``until`` have only rows that the operator drops.

    :param until: the key of a page; None for the end of the list
    """
    while key != until:
        pages = [page for page in _of(run_id, api) if page.key == key and not _kept(page, since, api)]
        if not pages:
            return False
        key = pages[-1].next
    return True


def _stops(last: Response, since: str | None, api: Api) -> bool:
    """Return whether the operator stops after this page, or after one more page, whose rows it drops."""
    if api.schedule.order != "descending" or since is None:
        return api.schedule.client_side and _is_skipped(last.next, None, last.run_id, since, api)
    if all(row["updated"] < since for row in last.rows):
        return True
    if not api.schedule.client_side:
        return False
    following = [page for page in _of(last.run_id, api) if page.key == last.next]
    return any(all(row["updated"] < since for row in page.rows) for page in following)
