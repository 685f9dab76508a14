"""Quoting a server in an error message, without quoting a secret."""

from __future__ import annotations

import base64
import re
from html.entities import codepoint2name
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_QUOTE = 300
#: Characters of a page that are looked at.
LONGEST_PAGE = 8192


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` on one line of bearable length, with every spelling of ``secrets`` replaced by ``***``."""
    spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
    if spellings:
        text = re.sub(
            "|".join(sorted(spellings, key=len, reverse=True)), "***", text[:LONGEST_PAGE], flags=re.IGNORECASE
        )
    text = " ".join("".join(char if char.isprintable() else " " for char in text[:LONGEST_PAGE]).split())
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 1] + "…"


def _spellings(secret: str) -> Iterator[str]:
    """Yield patterns of ``secret``: in base64, and as it is with any character escaped as URLs, HTML or JSON do."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield re.escape(encode(secret.encode()).decode().rstrip("=")) + "={0,2}"
    yield "".join(map(_spelling, secret))


def _spelling(char: str) -> str:
    ways = {
        re.escape(char),
        "".join(f"%{byte:02x}" for byte in char.encode()),
        f"&#0*{ord(char)};",
        f"&#x0*{ord(char):x};",
        rf"\\{re.escape(char)}",
        "".join(rf"\\u{unit.hex()}" for unit in _utf16(char)),
    }
    if ord(char) in codepoint2name:
        ways.add(f"&{codepoint2name[ord(char)]};")
    if char == " ":
        ways.add(r"\+")
    return f"(?:{'|'.join(sorted(ways))})"


def _utf16(char: str) -> list[bytes]:
    units = char.encode("utf-16-be")
    return [units[start : start + 2] for start in range(0, len(units), 2)]


class _Text(HTMLParser):
    """Collects what a person would read."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("script", "style"):
            self._hidden = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def visible_text(markup: str) -> str:
    """Return what a person would read of the beginning of a page."""
    text = _Text()
    text.feed(markup[:LONGEST_PAGE])
    return " ".join(text.parts)
