"""Writes the parameters of a request as a body or as the query of its URL. Pure functions, no I/O."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit, urlunsplit

from urllib3.filepost import encode_multipart_formdata

if TYPE_CHECKING:
    from collections.abc import Mapping


class Encoded(NamedTuple):
    """Where the parameters of a request are.

    :param url: URL of the request
    :param body: exact bytes of the body
    :param content_type: value of ``Content-Type``; None if there is no body
    """

    url: str
    body: bytes
    content_type: str | None


def encoded(url: str, parameters: Mapping[str, Any], body_format: str) -> Encoded:
    """Return the request's URL and body with the parameters.

    :param url: URL of the endpoint; its query is kept
    :param parameters: parameters under the names that are sent
    :param body_format: ``form``, ``json``, ``multipart`` or ``query``
    """
    if body_format == "query":
        return Encoded(with_query(url, parameters), b"", None)
    return Encoded(url, *BODIES[body_format](parameters))


def with_query(url: str, parameters: Mapping[str, Any]) -> str:
    """Return ``url`` with the parameters at the end of its query."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(pairs(parameters)))))
    return urlunsplit(parts._replace(query=query))


def pairs(parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the parameters as pairs of strings.

    A list becomes a repeated parameter. Numbers, booleans and objects are written as JSON.
    """
    return [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, values in parameters.items()
        for value in (values if isinstance(values, list) else [values])
    ]


def _form(parameters: Mapping[str, Any]) -> tuple[bytes, str]:
    return urlencode(pairs(parameters)).encode("ascii"), "application/x-www-form-urlencoded"


def _json(parameters: Mapping[str, Any]) -> tuple[bytes, str]:
    return json.dumps(parameters, ensure_ascii=False, separators=(",", ":")).encode(), "application/json"


def _multipart(parameters: Mapping[str, Any]) -> tuple[bytes, str]:
    return encode_multipart_formdata(pairs(parameters))


BODIES = {"form": _form, "json": _json, "multipart": _multipart}
