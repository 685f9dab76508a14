"""Reads the ``Link`` header (RFC 8288). ``requests`` misses links whose URL or title contains ``;`` or ``=``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

#: A parameter of a link: its name, and its value with or without quotes.
_PARAMETER = r';\s*([^\s=;,"]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]*))?\s*'
_LINK = re.compile(rf"<\s*([^>]*?)\s*>\s*((?:{_PARAMETER})*)")
#: The relations that links of a list usually have, besides ``next``.
OTHER_RELATIONS = ("first", "last", "prev", "previous", "self")


def links(response: requests.Response) -> dict[str, dict[str, str]]:
    """Return the links of a response by relation, in lower case. A link with several relations is there several times.

    :param response: the response
    :return: for each relation, the parameters of the link, and its URL as ``url``
    """
    found: dict[str, dict[str, str]] = {}
    for match in _LINK.finditer(response.headers.get("Link", "")):
        parameters = {name.lower(): value.strip('"') for name, value in re.findall(_PARAMETER, match[2])}
        for relation in parameters.get("rel", "").lower().split():
            found.setdefault(relation, {**parameters, "url": match[1]})
    return found


def link_to(response: requests.Response, relation: str = "next") -> str | None:
    """Return the URL of the link with a relation; None if there is none.

    :param response: the response
    :param relation: the relation
    """
    link = links(response).get(relation.lower(), {})
    # Sentry sends the link on the last page too, with results="false".
    return None if link.get("results") == "false" else link.get("url") or None
