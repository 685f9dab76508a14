"""Reads the parameters of a token or revocation request, in the one body format that the server accepts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from sandbox.errors import invalid_request

if TYPE_CHECKING:
    from fastapi import Request

    from sandbox.server_config import BodyFormat

_MEDIA_TYPES: dict[BodyFormat, str] = {
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data",
    "json": "application/json",
}

#: RFC 6749 §2.3.1 and §3.2 and RFC 7009 §2.1 require these in the body. A URL ends up in logs.
_BODY_ONLY = {
    *("grant_type", "client_id", "client_secret", "username", "password", "code", "refresh_token", "scope"),
    "token",
}


async def read_parameters(request: Request, body_format: BodyFormat) -> dict[str, str]:
    """Return the parameters of a request.

    :raises TokenError: when the content type is wrong (status 415), or parameters are malformed or repeated
    """
    expected = _MEDIA_TYPES[body_format]
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != expected:
        raise invalid_request(f"The content type must be {expected}, not {media_type or 'absent'}", 415)
    misplaced = sorted(_BODY_ONLY.intersection(request.query_params))
    if misplaced:
        raise invalid_request(f"Parameter {misplaced[0]} must be in the body, not in the URL")
    pairs = await {"form": _form, "multipart": _multipart, "json": _json}[body_format](request)
    return _once_each(pairs)


def _once_each(pairs: list[tuple[str, str]]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name in parameters:
            raise invalid_request(f"Parameter {name} is repeated")
        parameters[name] = value
    # RFC 6749 §3.2: a parameter without a value counts as absent.
    return {name: value for name, value in parameters.items() if value}


async def _form(request: Request) -> list[tuple[str, str]]:
    try:
        return parse_qsl((await request.body()).decode("ascii"), keep_blank_values=True, errors="strict")
    except UnicodeError:
        raise invalid_request("The body is not form-encoded UTF-8") from None


async def _multipart(request: Request) -> list[tuple[str, str]]:
    try:
        async with request.form() as form:
            items = form.multi_items()
    except HTTPException:
        raise invalid_request("The body is not valid multipart/form-data") from None
    for name, value in items:
        if isinstance(value, UploadFile):
            raise invalid_request(f"Parameter {name} must be a field, not a file")
    return [(name, str(value)) for name, value in items]


async def _json(request: Request) -> list[tuple[str, str]]:
    try:
        # As pairs, because a dict would hide a repeated name. Nested objects become lists, which are refused below.
        pairs: Any = json.loads(await request.body(), object_pairs_hook=_Pairs)
    except ValueError:
        raise invalid_request("The body is not valid JSON") from None
    if not isinstance(pairs, _Pairs):
        raise invalid_request("The body must be a JSON object")
    for name, value in pairs:
        if not isinstance(value, str):
            raise invalid_request(f"Parameter {name} must be a string")
    return pairs


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, including repeated names."""
