"""Finds the secrets and Google's token URL in a pasted private key, without loading the key."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Line breaks and spaces, also escaped as in JSON.
BLANK = re.compile(r"\\[rnt]|\s+")
#: The members of a JWK with the private key (RFC 7518 section 6). Shorter values are not secret.
_SECRET_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "k")
_MIN_SECRET = 16


def secret_texts(private_key: str) -> Iterator[str]:
    """Yield the texts that must not be shown.

    They are the whole value, the content of PEM with and without line breaks, and the numbers in JWKs.

    :param private_key: PEM, a JWK, a JWK set or a Google service account; other texts are allowed
    """
    yield private_key
    found = _json_object(private_key)
    keys = found.get("keys")
    for jwk in (each for each in [found, *(keys if isinstance(keys, list) else [])] if isinstance(each, dict)):
        for value in map(jwk.get, _SECRET_MEMBERS):
            if isinstance(value, str) and len(value) >= _MIN_SECRET and value.isascii():
                yield value
    pem = found.get("private_key", private_key)
    for body in re.findall(r"KEY-----([^-]+)-----END", pem if isinstance(pem, str) else ""):
        yield from filter(str.isascii, (body, BLANK.sub("", body)))


def service_account(private_key: str) -> dict[str, Any] | None:
    """Return the members of a Google service account in JSON; None for a key in another format."""
    found = _json_object(private_key)
    return found if found.get("type") == "service_account" else None


def _json_object(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
