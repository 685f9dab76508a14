"""Detects pages that are part of a longer list, so that no rows are lost silently.

APIs name the next page in few ways: a cursor or a link, a flag such as ``has_more``, totals, and headers. This module
knows the usual names.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from airflow_provider_oauth.extract.page import Page

#: The page sizes that APIs usually have.
USUAL_SIZES = (10, 20, 25, 50, 100, 200, 250, 500, 1000)
#: How deep the members of a response are searched.
DEPTH = 6

# Names of members, in lower case and without other characters than letters and digits.
MORE = (
    "more",
    "hasmore",
    "hasmorepage",
    "hasmorepages",
    "hasmoreitems",
    "hasnext",
    "hasnextpage",
    "moredata",
    "moreitemsincollection",
    "moreresult",
)
#: Flags that are true on the last page.
LAST = ("endofstream", "islast", "islastpage")
NEXT = (
    "next",
    "nextpage",
    "nextlink",
    "odatanextlink",
    "nexturl",
    "nexturi",
    "nextpageurl",
    "nextpageuri",
    "nextpagelink",
    "nextrecordsurl",
    "moretopicsurl",
    "nexttoken",
    "nextpagetoken",
    "nextcursor",
    "nextpagecursor",
    "nextoffset",
    "paginationtoken",
    "continuationtoken",
    "nextmarker",
    "after",
)
#: Members that other APIs use for other things, unless their value is text that is not a number.
CURSOR = ("cursor", "offset", "bookmark", "continuation")
TOTAL = (
    "total",
    "totalcount",
    "totalitems",
    "totalresults",
    "totalrecords",
    "totalsize",
    "totalrows",
    "totalelements",
    "count",
)
PAGES = ("totalpages", "pagecount", "lastpage", "numpages", "totalpagecount")
NUMBER = ("page", "currentpage", "pagenumber", "number")
SIZES = (
    "limit",
    "perpage",
    "pagesize",
    "maxresults",
    "top",
    "first",
    "size",
    "count",
    "results",
    "resultsperpage",
    "take",
)
TOTAL_HEADERS = ("X-Total-Count", "X-Total", "X-WP-Total", "X-Pagination-Total", "Total-Count")
PAGES_HEADERS = ("X-Total-Pages", "X-WP-TotalPages", "X-Pagination-Pages")
#: The request parameter that belongs to a cursor, by the name of the cursor.
PARAMS = {
    "nextpagetoken": "pageToken",
    "nexttoken": "nextToken",
    "nextoffset": "offset",
    "after": "after",
    "offset": "offset",
}


@dataclass(frozen=True)
class Sign:
    """A sign that a list has more pages.

    :param found: what the response has, such as ``has_more``
    :param paginator: the paginator to use, as Python code; parameters that are not known are ``"…"``
    """

    found: str
    paginator: str


@dataclass(frozen=True)
class Member:
    """A member of a response.

    :param path: its JMESPath
    :param name: its key in lower case, without other characters than letters and digits
    :param parent: the same of the object that contains it
    :param value: its value
    """

    path: str
    name: str
    parent: str
    value: Any


def is_usual_size(count: int) -> bool:
    """Return whether APIs usually return this number of rows if the request does not name a number."""
    return count in USUAL_SIZES


def looks_paginated(page: Page) -> Sign | None:
    """Return the sign that there are rows after ``page``; None if there is none."""
    return _in_headers(page) or _in_members(page, page.without_rows)


def incomplete(page: Page, size: int | None, may_be_absent: bool) -> str | None:
    """Return why the only page of a list, which has no sign of a next page, seems to be incomplete.

    :param page: the page
    :param size: the number of rows that was requested; None if the request does not name it
    :param may_be_absent: whether APIs omit the sign of a next page if the list has only one page
    :return: the rest of a sentence that begins with "The response", and what to do; None if it seems to be complete
    """
    if sign := looks_paginated(page):
        return (
            f"has {sign.found}, so the list has more pages, but the paginator does not find them. Set {sign.paginator}"
        )
    full = page.count == size if size else is_usual_size(page.count)
    if may_be_absent or not full:
        return None
    keys = ", ".join(member.path for member in _members(page.without_rows, ())) or "none"
    return (
        f"has {page.count} rows, which is a full page, and nothing that the paginator looks for, so rows may be "
        "missing. Correct the paginator, or set optional=True in it if the list can end so. Members of the response: "
        f"{keys}"
    )


def requested_size(*parameters: Any) -> int | None:
    """Return the number of rows that a request asks for; None if it does not name it.

    :param parameters: the query parameters and the body
    """
    for member in (member for each in parameters for member in _members(each, ())):
        if member.name in SIZES and (number := _number(member.value)):
            return number
    return None


def _in_headers(page: Page) -> Sign | None:
    headers = page.response.headers
    if next_link(page.response):
        return Sign("a Link header with rel=next", "HeaderLinkPaginator()")
    if headers.get("X-Next-Page", "").strip():
        return Sign("the header X-Next-Page", 'CursorPaginator(path="header:X-Next-Page", param="page")')
    for name in PAGES_HEADERS:
        if (_number(headers.get(name)) or 0) > page.number:
            return Sign(f"the header {name}", f'PageNumberPaginator(last="header:{name}")')
    for name in TOTAL_HEADERS:
        if (_number(headers.get(name)) or 0) > page.rows_before + page.count:
            return Sign(f"the header {name}", f'PageNumberPaginator(total="header:{name}")')
    for name, value in headers.items():
        if "pagination" in name.lower() and value.startswith("{") and _in_members(page, _json(value)):
            return Sign(f"the header {name}", f'HeaderJsonPaginator(header="{name}")')
    return None


def _in_members(page: Page, document: Any) -> Sign | None:
    """Return the sign in the members of a response or of a header."""
    members = list(_members(document, ()))
    flags = [member for member in members if member.name in (*MORE, *LAST) and isinstance(member.value, bool)]
    if flags and not any(flag.value is (flag.name in MORE) for flag in flags):
        return None
    current = next((number for each in members if each.name in NUMBER and (number := _number(each.value))), page.number)
    if any(member.name in PAGES and _number(member.value) in range(current + 1) for member in members):
        return None
    more = f", more={_quoted(flags[0].path)}" if flags and flags[0].name in MORE else ""
    return (
        _link_or_cursor(members, more, has_flag=bool(flags))
        or (Sign(flags[0].path, f'CursorPaginator(path="…", param="…"{more})') if flags else None)
        or _total(members, page.rows_before + page.count)
    )


def _link_or_cursor(members: list[Member], more: str, *, has_flag: bool) -> Sign | None:
    for member in members:
        if link := _link(member):
            return Sign(link, f"JsonLinkPaginator(path={_quoted(link)}{more})")
    for member in members:
        if _is_cursor(member) or (has_flag and member.name == "endcursor"):
            param = PARAMS.get(member.name, "…")
            return Sign(member.path, f'CursorPaginator(path={_quoted(member.path)}, param="{param}"{more})')
    return None


def _total(members: list[Member], rows: int) -> Sign | None:
    for member in members:
        number = _number(member.value)
        if member.name in PAGES and number is not None:
            return Sign(member.path, f"PageNumberPaginator(last={_quoted(member.path)})")
        if member.name in TOTAL and number is not None and number > rows:
            return Sign(member.path, f"OffsetPaginator(total={_quoted(member.path)})")
    return None


def _members(value: Any, keys: tuple[str, ...]) -> Iterator[Member]:
    """Yield the members of a response, except those of arrays."""
    if not isinstance(value, dict) or len(keys) >= DEPTH:
        return
    for key, member in value.items():
        path = (*keys, key)
        yield Member(_jmespath(path), _simple(key), _simple(keys[-1]) if keys else "", member)
        yield from _members(member, path)


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
    if member.name == "after":  # Facebook sends paging.cursors.after on the last page too
        return member.parent in ("next", "paging", "page")
    is_text = isinstance(value, str) and not value.strip().isdecimal()
    return member.name in NEXT or (member.name in CURSOR and is_text)


def _simple(key: str) -> str:
    return re.sub("[^a-z0-9]", "", key.lower())


def _quoted(path: str) -> str:
    """Return ``path`` as a Python string in double quotes, if possible."""
    return repr(path) if '"' in path else f'"{path}"'


def _jmespath(keys: tuple[str, ...]) -> str:
    return ".".join(key if re.fullmatch(r"[A-Za-z_]\w*", key) else json.dumps(key) for key in keys)


def next_link(response: requests.Response) -> str | None:
    """Return the link with the relation ``next`` in the ``Link`` header (RFC 8288); None if there is none."""
    link = response.links.get("next", {})
    # Sentry sends the link on the last page too, with results="false".
    return None if link.get("results") == "false" else link.get("url")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _number(value: Any) -> int | None:
    """Return a number, which may be text; None if it is none."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
