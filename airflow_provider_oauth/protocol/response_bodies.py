"""Decodes the bodies of responses of the authorization server, whatever their content type. Pure functions, no I/O."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.token_responses import HttpResponse

#: One of these members must be in a body that is form-encoded, but has another content type.
FORM_MEMBERS = ("access_token", "error")
#: One part of such a body. Servers that form-encode a body encode spaces and the characters of HTML and JSON.
_PART = re.compile(r"[^\s&=<>{}\"']+=[^\s&<>{}\"']*")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: How many bytes of a body are searched for the beginning of an HTML page.
_HEAD = 1024


def decoded(response: HttpResponse) -> Any:
    """Return the decoded body, which is JSON or form-encoded (GitHub's default); None if it is neither."""
    try:
        content = json.loads(response.body)
    except (ValueError, RecursionError):
        return _form(response)
    return {} if content is None else content


def is_form(response: HttpResponse) -> bool:
    """Return whether the body is form-encoded."""
    try:
        json.loads(response.body)
    except (ValueError, RecursionError):
        return _form(response) is not None
    return False


def is_xml(response: HttpResponse) -> bool:
    """Return whether the body is XML, and not an HTML page."""
    content_type = _content_type(response)
    start = response.body[:_HEAD].removeprefix(_BYTE_ORDER_MARK).lstrip().lower()
    if "html" in content_type or b"<html" in start or b"<!doctype html" in start:
        return False
    return re.search(r"[/+]xml\b", content_type) is not None or start.startswith(b"<?xml")


def _form(response: HttpResponse) -> dict[str, str] | None:
    """Return the members of a form-encoded body; None if it is not form-encoded.

    Some servers send a form with another content type, for example ``text/plain``.
    """
    if "x-www-form-urlencoded" in _content_type(response):
        return dict(parse_qsl(response.body.decode(errors="replace")))
    try:
        text = response.body.decode().strip()
    except UnicodeDecodeError:
        return None
    if not all(_PART.fullmatch(part) for part in text.split("&")):
        return None
    pairs = parse_qsl(text)
    members = dict(pairs)
    is_unambiguous = len(members) == len(pairs)
    return members if is_unambiguous and any(map(members.__contains__, FORM_MEMBERS)) else None


def _content_type(response: HttpResponse) -> str:
    return response.headers.get("Content-Type", "").lower()
