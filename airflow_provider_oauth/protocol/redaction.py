"""Quoting a server in an error message, without quoting a secret."""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache
from html.entities import html5
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_QUOTE = 300
#: Characters of a text that are read, further blanks aside. A secret that starts in them is read to its end.
MAX_TEXT = 16 * 1024
#: Text that contains this many of a secret's first characters contains a part of that secret, cut off by the server.
PREFIX = 16
#: How many ways to read an ambiguous text are followed: a backslash, for example, may or may not escape the next one.
READINGS = 8

_NUMERIC_REFERENCE = re.compile(r"&#(?:0*+(\d{1,7})|x0*+([0-9a-f]{1,6}));", re.IGNORECASE)


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` on one line of at most MAX_QUOTE characters, with ``secrets`` replaced by ``***``.

    A secret is recognized as it is, in base64, and with any of its characters escaped as in URLs, HTML or JSON; in
    upper and lower case; with other blanks in it; and when the server cut it off after PREFIX or more characters.
    Secrets are replaced before the text is cut off. Reading stops when the result is full, or after MAX_TEXT, so
    the time grows linearly with text and secrets.

    :param text: what a server wrote
    :param secrets: what must not be quoted
    """
    by_start = _by_start(secrets)
    text = _one_line(text)
    shown: list[str] = []
    length = position = 0
    is_blank = False
    while position < min(len(text), MAX_TEXT) and length <= MAX_QUOTE:
        possible = by_start.get(text[position].casefold(), ())
        end = max((_end(secret, text, position) for secret in possible), default=position)
        piece = "***" if end > position else text[position]
        position = max(end, position + 1)
        is_shown = piece.isprintable() and piece != " "
        if is_shown:
            shown.append(f" {piece}" if is_blank and shown else piece)
            length += len(shown[-1])
        is_blank = not is_shown
    result = "".join(shown)
    is_whole = position >= len(text) and length <= MAX_QUOTE
    return result if is_whole else result[: MAX_QUOTE - 1] + "…"


def redact_url(url: str) -> str:
    """Return ``url`` without what may hold a secret: user name and password, query and fragment."""
    return re.sub(r"^([^/?#]*//)[^/?#]*@", r"\1", re.split("[?#]", url, maxsplit=1)[0])


def _one_line(text: str) -> str:
    """Return ``text`` with each run of blanks replaced by one: so it is shown, so secrets must be found in that."""
    return " ".join(text.split())


def _by_start(secrets: Iterable[str]) -> dict[str, list[str]]:
    """Return the secrets and their base64 forms by the characters that text which contains them can start with."""
    by_start: dict[str, list[str]] = {}
    for form in {form for secret in secrets for form in _forms(secret) if form}:
        for start in {form[0].casefold()[:1], form[0].casefold(), "&", *_escapes(form[0])}:
            by_start.setdefault(start, []).append(form)
    return by_start


def _forms(secret: str) -> Iterator[str]:
    yield secret.strip()  # blanks around a secret do not matter
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(secret.encode(errors="surrogatepass")).decode()
        yield encoded
        yield encoded.rstrip("=")


def _end(secret: str, text: str, start: int) -> int:
    """Return where ``secret``, or PREFIX or more of its characters, ends in ``text``; ``start`` if it is not there."""
    positions = {start}
    for count, char in enumerate(secret):
        following = {end for position in positions for end in _ends(char, text, position)}
        if not following:
            return max(positions) if count >= PREFIX else start
        if len(following) > READINGS:  # keep the shortest readings (no escapes) and the longest ones (all escaped)
            ends = sorted(following)
            following = {*ends[: READINGS // 2], *ends[-READINGS // 2 :]}
        positions = following
    return max(positions)


def _ends(char: str, text: str, position: int) -> Iterator[int]:
    """Yield where the spellings of ``char`` end that are at ``position``."""
    found, folded = text[position : position + 1], char.casefold()
    if found.casefold() == folded:
        yield position + 1
    elif len(folded) > 1 and text[position : position + len(folded)].casefold() == folded:  # ß is SS in upper case
        yield position + len(folded)
    if char.isspace():
        if found == " ":
            yield position + 1
        if text[position - 1 : position] == " ":  # of a run of blanks, one was left
            yield position
    if found not in ("%", "&", "\\", "+"):
        return
    for escape in _escapes(char).get(found, ()):
        if text[position : position + len(escape)].casefold() == escape:
            yield position + len(escape)
    reference = _NUMERIC_REFERENCE.match(text, position)
    if reference and _character(*reference.groups()) == char.casefold():
        yield reference.end()


def _character(decimal: str | None, hexadecimal: str) -> str:
    """Return the character of an HTML numeric reference, without its case."""
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code).casefold() if code <= 0x10FFFF else ""


@lru_cache(maxsize=1024)
def _escapes(char: str) -> dict[str, list[str]]:
    """Return the escaped spellings of ``char`` by their first character, without their case.

    Numeric references of HTML are not among them, because one character has any number of those.
    """
    utf16 = char.encode("utf-16-be", errors="surrogatepass")
    escapes = {
        "".join(f"%{byte:02x}" for byte in char.encode(errors="surrogatepass")),
        "\\ " if char.isspace() else f"\\{char}",
        "".join(rf"\u{utf16[start : start + 2].hex()}" for start in range(0, len(utf16), 2)),
        *(f"&{name}" for name, meaning in html5.items() if meaning == char and name.endswith(";")),
    }
    if ord(char) < 256:  # of a server that uses Latin-1; of JavaScript
        escapes |= {f"%{ord(char):02x}", rf"\x{ord(char):02x}"}
    if (in_json := json.dumps(char)[1:-1]) != char:
        escapes.add(in_json)
    if char == " ":
        escapes.add("+")
    by_start: dict[str, list[str]] = {}
    for escape in {escape.casefold() for escape in escapes}:
        by_start.setdefault(escape[0], []).append(escape)
    return by_start
