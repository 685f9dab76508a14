"""Detects pages that are part of a longer list, so that no rows are lost silently.

APIs name the next page in few ways: a cursor or a link, a flag such as ``has_more``, totals, and headers. This module
knows the usual names.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.extract.content_range import sign_in_range
from airflow_provider_oauth.extract.link_header import link_to
from airflow_provider_oauth.extract.members import (
    CURSOR,
    FIRST,
    HAS_PREVIOUS,
    LAST,
    MORE,
    NEXT,
    NUMBER,
    PAGES,
    PAGES_HEADERS,
    PREVIOUS,
    RELATIONS,
    SIZES,
    START,
    TOTAL,
    TOTAL_HEADERS,
    Member,
    is_number,
    members_of,
    number_of,
    simple_name,
)

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.page import Page

#: The page sizes that APIs usually have.
USUAL_SIZES = (10, 20, 25, 50, 100, 200, 250, 500, 1000)
#: The request parameter that belongs to a cursor, by the name of the cursor.
PARAMS = {
    "nextpagetoken": "pageToken",
    "nexttoken": "nextToken",
    "nextoffset": "offset",
    "nextpage": "page",
    "after": "after",
    "aftercursor": "after",
    "startingafter": "starting_after",
    "offset": "offset",
}


@dataclass(frozen=True)
class Sign:
    """A sign that a list has more pages.

    :param found: what the response has, such as ``has_more``
    :param paginator: the paginator to use, as Python code; parameters that are not known are ``"…"``
    :param is_weak: whether a full last page has this sign too
    """

    found: str
    paginator: str
    is_weak: bool = False


@dataclass(frozen=True)
class Doubt:
    """Why the only page of a list, which has no sign of a next page, may be incomplete.

    :param problem: the rest of a sentence that begins with "The response", and what to do
    :param is_error: whether it is an error, not only a warning
    """

    problem: str
    is_error: bool


def is_usual_size(count: int) -> bool:
    """Return whether APIs usually return this number of rows if the request does not name a number."""
    return count in USUAL_SIZES


def is_number_of_page(source: str) -> bool:
    """Return whether a source has a name that is usual for a number about one page, such as ``page`` or ``limit``.

    :param source: a JMESPath, or ``header:`` and a name
    """
    return simple_name(re.split("[.:]", source)[-1]) in (*NUMBER, *SIZES, "length")


def looks_paginated(page: Page) -> Sign | None:
    """Return the sign that there are rows after ``page``; None if there is none."""
    return _in_headers(page) or _in_members(page, page.without_rows)


def error_of(page: Page) -> str | None:
    """Return the member of a successful response that reports an error, because such a page is not an empty list.

    :param page: the page
    :return: the name of the member in quotes; None if there is none
    """
    if page.has_only_rows:
        return None
    try:
        count, rows_at = page.count, page.sliced.at
        # Without records_path, the rows are the only array of the response, which can be that of the errors.
        if count and (page.records_path is not None or not rows_at):
            return None
        document = page.without_rows
    except ApiError:  # the response has no rows at records_path
        count, rows_at, document = 0, (), page.content
    if page.records_path is None and rows_at[:1] in (("error",), ("errors",)):
        return repr(rows_at[0])
    for key, value in document.items() if isinstance(document, dict) else ():
        if key.lower() in ("ok", "success") and str(value).lower() == "false":
            return repr(key)
        if key.lower() in ("error", "errors") and not count and _means_error(value):
            return repr(key)
    return None


def reported_error(page: Page) -> str | None:
    """Return the member of a response with rows that reports an error, as in partial results of GraphQL.

    :param page: the page
    :return: the name of the member in quotes; None if there is none
    """
    document = page.without_rows
    for key, value in document.items() if isinstance(document, dict) else ():
        name = key.lower()
        is_error = name in ("error", "errors") and (key,) != page.sliced.at[:1] and _means_error(value)
        if is_error or (name in ("ok", "success") and str(value).lower() == "false"):
            return repr(key)
    return None


def starts_later(page: Page) -> str | None:
    """Return the sign that there is a page before ``page``; None if there is none."""
    if link_to(page.response, "prev") or link_to(page.response, "previous"):
        return "a Link header with rel=prev"
    if page.response.headers.get("X-Prev-Page", "").strip():
        return "the header X-Prev-Page"
    for each in members_of(page.without_rows, ()):
        is_link = isinstance(each.value, (str, dict)) and bool(each.value)
        if (each.name in PREVIOUS and is_link) or (each.name in HAS_PREVIOUS and each.value is True):
            return each.path
        if each.name in FIRST and each.value is False:
            return f"{each.path}=false"
    return None


def doubt(page: Page, size: int | None, may_be_absent: bool) -> Doubt | None:
    """Return why the only page of a list, which does not have what the paginator looks for, seems to be incomplete.

    :param page: the page
    :param size: the number of rows that was requested; None if the request does not name it
    :param may_be_absent: whether APIs omit the sign of a next page if the list has only one page
    :return: None if it seems to be complete
    """
    if sign := looks_paginated(page):
        return Doubt(_problem_of_sign(sign), is_error=True)
    is_full = page.count == size or (is_usual_size(page.count) and (size is None or not may_be_absent))
    if not is_full or _is_last(page):
        return None
    # An API with a maximum page size returns fewer rows than requested.
    is_error = not may_be_absent and (size is None or page.count >= size)
    return Doubt(_problem_of_full_page(page), is_error=is_error)


def _is_last(page: Page) -> bool:
    """Return whether a page without a sign of a next page says that it is the last one."""
    members = list(members_of(page.without_rows, ()))
    return any(
        (each.name in (*MORE, *LAST) and isinstance(each.value, bool))
        or (each.name in PAGES and number_of(each.value) == 1)
        for each in members
    )


def _problem_of_sign(sign: Sign) -> str:
    return f"has {sign.found}, so the list has more pages, but the paginator does not find them. Use {sign.paginator}"


def _problem_of_full_page(page: Page) -> str:
    return (
        f"has {page.count} rows, which can be a full page, but does not contain what the paginator looks for. Correct "
        "the paginator, or set optional=True if this is the whole list. Members of the response: "
        f"{', '.join(member_paths(page)) or 'none'}"
    )


def member_paths(page: Page) -> list[str]:
    """Return the JMESPaths of the members of a page, except those inside arrays."""
    return [member.path for member in members_of(page.without_rows, ())]


def _in_headers(page: Page) -> Sign | None:
    headers = page.response.headers
    for relation in RELATIONS:
        if link_to(page.response, relation):
            argument = "" if relation == "next" else f'rel="{relation}"'
            return Sign(f"a Link header with rel={relation}", f"HeaderLinkPaginator({argument})")
    if headers.get("X-Next-Page", "").strip():
        return Sign("the header X-Next-Page", 'CursorPaginator(path="header:X-Next-Page", param="page")')
    if headers.get("Next-Range", "").strip():  # Heroku
        return Sign(
            "the header Next-Range", 'CursorPaginator(path="header:Next-Range", param="Range", param_in="header")'
        )
    for name, value in headers.items():
        if "pagination" in name.lower() and value.startswith("{") and _in_members(page, _json(value)):
            arguments = "".join(f', {key}="{member}"' for key, member in _header_members(_json(value)).items())
            return Sign(f"the header {name}", f'HeaderJsonPaginator(header="{name}"{arguments})')
    return _in_counts(page)


def _in_counts(page: Page) -> Sign | None:
    """Return the sign in headers with numbers of rows or pages."""
    headers = page.response.headers
    if found := sign_in_range(page):
        return Sign(found, 'OffsetPaginator(total="header:Content-Range")')
    for name in PAGES_HEADERS:
        if (number_of(headers.get(name)) or 0) > page.number:
            return Sign(f"the header {name}", f'PageNumberPaginator(last="header:{name}")')
    for name in TOTAL_HEADERS:
        if (number_of(headers.get(name)) or 0) > page.rows_before + page.count:
            return Sign(f"the header {name}", f'PageNumberPaginator(total="header:{name}")')
    return None


def _header_members(document: Any) -> dict[str, str]:
    """Return the parameters of ``HeaderJsonPaginator`` for the members of a header."""
    found = {}
    for name, names in (("page", NUMBER), ("has_next", MORE), ("last", PAGES)):
        if member := next((each for each in members_of(document, ()) if each.name in names), None):
            found[name] = member.key
    return found if "has_next" not in found else {name: found[name] for name in found if name != "last"}


def _in_members(page: Page, document: Any) -> Sign | None:
    """Return the sign in the members of a response or of a header."""
    members = list(members_of(document, ()))
    flags = [member for member in members if member.name in (*MORE, *LAST) and isinstance(member.value, bool)]
    if flags and not any(flag.value is (flag.name in MORE) for flag in flags):
        return None
    current = next(
        (number for each in members if each.name in NUMBER and (number := number_of(each.value))), page.number
    )
    if any(member.name in PAGES and number_of(member.value) in range(current + 1) for member in members):
        return None
    position = next((each for each in members if each.name in (*NUMBER, *START) and is_number(each.value)), None)
    more = _quoted(flags[0].path if flags[0].name in MORE else f"!{flags[0].path}") if flags else ""
    return (
        _link_or_cursor(members, f", more={more}" if more else "", has_flag=bool(flags))
        or (Sign(flags[0].path, _by_position(position, f"more={more}")) if flags else None)
        or _total(members, page.rows_before + page.count, position)
        or _full(members, page.count, position)
    )


def _by_position(position: Member | None, argument: str) -> str:
    """Return the paginator for a response that names its position in the list, such as ``page`` or ``offset``."""
    if position is None:
        return f'CursorPaginator(path="…", param="…", {argument})'
    if position.name in NUMBER:
        return f"PageNumberPaginator({argument})"
    return f'OffsetPaginator(param="{position.key}", {argument})'


def _link_or_cursor(members: list[Member], more: str, *, has_flag: bool) -> Sign | None:
    for member in members:
        if link := _link(member):
            return Sign(link, f"JsonLinkPaginator(path={_quoted(link)}{more})")
    for member in members:
        if _is_cursor(member) or (has_flag and member.name == "endcursor"):
            param = PARAMS.get(member.name, "…")
            return Sign(member.path, f'CursorPaginator(path={_quoted(member.path)}, param="{param}"{more})')
    return None


def _total(members: list[Member], rows: int, position: Member | None) -> Sign | None:
    for member in members:
        if member.name in PAGES and is_number(member.value):
            return Sign(member.path, f"PageNumberPaginator(last={_quoted(member.path)})")
    for member in members:
        if member.name in TOTAL and (number_of(member.value) or 0) > rows and not _is_size(member, members):
            argument = f"total={_quoted(member.path)}"
            return Sign(member.path, _by_position(position, argument) if position else f"OffsetPaginator({argument})")
    return None


def _is_size(member: Member, members: list[Member]) -> bool:
    """Return whether ``count`` is the page size, as beside ``start`` in responses of LinkedIn."""
    names = {each.name for each in members if each.parent == member.parent}
    return member.name == "count" and bool(names.intersection(START)) and not names.intersection(SIZES) - {"count"}


def _full(members: list[Member], count: int, position: Member | None) -> Sign | None:
    """Return a sign if the response names its position and page size, and has as many rows, but no total."""
    if position is None or not is_usual_size(count) or any(each.name in TOTAL[:-1] for each in members):
        return None
    sizes = [each for each in members if each.parent == position.parent and each.name in (*SIZES, "pagelen")]
    if not any(number_of(each.value) == count for each in sizes):
        return None
    return Sign(
        f"{position.path} and a full page", _by_position(position, f'size_param="…", size={count}'), is_weak=True
    )


def _link(member: Member) -> str | None:
    """Return the JMESPath of the link to the next page in a member; None if there is none."""
    value = member.value
    if member.name in NEXT and isinstance(value, str) and re.match(r"https?://|/|\?", value):
        return member.path
    if member.name in NEXT and isinstance(value, dict):
        return next((f"{member.path}.{key}" for key in ("href", "url", "link") if value.get(key)), None)
    if member.name == "links" and isinstance(value, list) and any(map(_is_next, value)):  # as in PayPal's responses
        return f"{member.path}[?rel=='next'] | [0].href"
    return None


def _is_next(link: Any) -> bool:
    return isinstance(link, dict) and link.get("rel") == "next" and bool(link.get("href"))


def _is_cursor(member: Member) -> bool:
    value = member.value
    if isinstance(value, (bool, dict, list)) or value in (None, "", 0):
        return False
    if member.name in ("after", "startingafter"):  # Facebook sends paging.cursors.after on the last page too
        return simple_name(member.parent.rpartition(".")[2]) in ("next", "paging", "page")
    is_text = isinstance(value, str) and not value.strip().isdecimal()
    return member.name in NEXT or (member.name in CURSOR and is_text)


def _quoted(path: str) -> str:
    """Return ``path`` as a Python string in double quotes, if possible."""
    return repr(path) if '"' in path else f'"{path}"'


def _means_error(value: Any) -> bool:
    """Return whether a member ``error`` or ``errors`` reports an error. Some APIs always send it."""
    if isinstance(value, dict):
        return str(value.get("code", "")) not in ("0", "200") and any(map(_means_error, value.values()))
    return bool(value) and str(value).strip().lower() not in ("0", "false", "none", "no error", "ok", "success")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
