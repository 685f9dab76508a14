"""Finds the members of responses and requests that have usual names, such as ``next`` or ``limit``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_oauth.extract.jmes import UNQUOTED

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How deep the members of a response are searched.
DEPTH = 6

# The names of members below are in lower case and contain only letters and digits.
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
LAST = ("endofstream", "islast", "islastpage", "lastpage")
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
    "afterurl",
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
    "aftercursor",
    "after",
    "startingafter",
)
#: Links to the previous page, flags that are true if there is one, and flags that are false if there is one.
PREVIOUS = ("prev", "previous", "prevpage", "previouspage", "prevurl", "previouspageurl", "prevpageurl", "previousurl")
HAS_PREVIOUS = ("hasprev", "hasprevious", "haspreviouspage", "hasprevpage")
FIRST = ("first", "isfirst", "isfirstpage", "firstpage")
#: Relations of links to the next page. Some APIs do not use the standard one, next.
RELATIONS = ("next", "next-page", "next_page", "nextpage")
#: Members that contain a cursor if their value is text that is not a number. Some APIs use them for numbers.
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
START = ("offset", "start", "startat", "startindex", "startposition", "skip")
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


@dataclass(frozen=True)
class Member:
    """A member of a response.

    :param path: its JMESPath
    :param key: its key
    :param name: its key in lower case, with only its letters and digits
    :param parent: the JMESPath of the object that contains it
    :param value: its value
    """

    path: str
    key: str
    name: str
    parent: str
    value: Any


def requested_size(*parameters: Any, url: str = "") -> int | None:
    """Return the page size that a request contains; None if it contains none.

    :param parameters: the query parameters and the body
    :param url: the URL, whose query also counts
    """
    for each in (*parameters, dict(parse_qsl(urlsplit(url).query))):
        for member in members_of(each, ()):
            name = simple_name(member.key.rstrip("]").rpartition("[")[2])  # such as page[size] of JSON:API
            if name in SIZES and (number := number_of(member.value)):
                return number
    return None


def position_parameter(*parameters: Any, url: str = "") -> str | None:
    """Return the name of the parameter of a request that skips rows, such as ``page`` or ``offset``; None if none does.

    :param parameters: the query parameters and the body
    :param url: the URL, whose query also counts
    """
    for each in (*parameters, dict(parse_qsl(urlsplit(url).query))):
        for member in members_of(each, ()):
            name = simple_name(member.key.rstrip("]").rpartition("[")[2])
            number = number_of(member.value)
            is_later = isinstance(member.value, str) and member.value not in ("", "*") if number is None else number > 1
            if is_later and (name in CURSOR or (number and name in (*NUMBER, *START))):
                return member.key
    return None


def members_of(value: Any, keys: tuple[str, ...]) -> Iterator[Member]:
    """Yield the members of a response, except those of arrays."""
    if not isinstance(value, dict) or len(keys) >= DEPTH:
        return
    for key, member in value.items():
        path = (*keys, key)
        yield Member(jmespath_of(path), key, simple_name(key), jmespath_of(keys), member)
        yield from members_of(member, path)


def simple_name(key: str) -> str:
    """Return a key in lower case, without other characters than letters and digits."""
    return re.sub("[^a-z0-9]", "", key.lower())


def jmespath_of(keys: tuple[str, ...]) -> str:
    """Return the JMESPath of the member that the keys lead to."""
    return ".".join(key if UNQUOTED.fullmatch(key) else json.dumps(key) for key in keys)


def is_number(value: Any) -> bool:
    """Return whether a value is a number, which may be text."""
    return number_of(value) is not None


def number_of(value: Any) -> int | None:
    """Return an integer, which may be written as text; None if ``value`` is not an integer."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
