"""Quoting a server in an error message, without quoting a secret."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_QUOTE = 300


def forms(secret: str) -> Iterator[str]:
    """Yield ``secret`` as it may stand in a text: plain, URL-encoded and base64."""
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield base64.b64encode(secret.encode()).decode().rstrip("=")


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` on one line of bearable length, with every form of ``secrets`` replaced by ``***``."""
    for form in sorted({form for secret in secrets for form in forms(secret)}, key=len, reverse=True):
        text = text.replace(form, "***")
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 1] + "…"


def visible_text(markup: str) -> str:
    """Return what a person would read of a page of HTML."""
    without_code = re.sub(r"(?is)<(script|style)\b.*?</\1\s*>", " ", markup)
    return re.sub(r"(?s)<[^>]*>", " ", without_code)
