"""Redacts secrets in text from a server before an error quotes the text."""

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
#: Maximum number of characters that are read, after runs of whitespace are shortened. A secret that starts within this
#: limit is read to its end.
MAX_TEXT = 16 * 1024
#: A truncated secret is also redacted if at least this many of its first characters are left, because a server may
#: truncate what it quotes.
PREFIX_LENGTH = 16
#: Maximum number of interpretations of ambiguous text. A backslash, for example, may or may not be an escape.
MAX_INTERPRETATIONS = 8

_NUMERIC_REFERENCE = re.compile(r"&#(?:0*+(\d{1,7})|x0*+([0-9a-f]{1,6}));", re.IGNORECASE)


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` on one line of at most MAX_QUOTE characters, with ``secrets`` replaced by ``***``.

    A secret is recognized in plain text and in base64. Any of its characters may be escaped for a URL, HTML or JSON.
    Case and the kind of whitespace do not matter. The secret may be truncated to PREFIX_LENGTH or more characters.
    Secrets are replaced before the text is shortened. Reading stops when the result has MAX_QUOTE characters, or after
    MAX_TEXT characters, so the run time is linear in the length of the text and of the secrets.

    :param text: text from a server
    :param secrets: values to replace
    :return: text that may be shown and logged
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
    """Return ``url`` without the parts that may contain a secret: user information, query and fragment."""
    return re.sub(r"^([^/?#]*//)[^/?#]*@", r"\1", re.split("[?#]", url, maxsplit=1)[0])


def _one_line(text: str) -> str:
    """Replace each run of whitespace with one space. Secrets are searched for in the result, because it is quoted."""
    return " ".join(text.split())


def _by_start(secrets: Iterable[str]) -> dict[str, list[str]]:
    """Return the secrets and their base64 forms, by each character with which they can start in a text."""
    by_start: dict[str, list[str]] = {}
    for form in {form for secret in secrets for form in _forms(secret) if form}:
        for start in {form[0].casefold()[:1], form[0].casefold(), "&", *_escapes(form[0])}:
            by_start.setdefault(start, []).append(form)
    return by_start


def _forms(secret: str) -> Iterator[str]:
    yield secret.strip()  # whitespace around a secret does not matter
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(secret.encode(errors="surrogatepass")).decode()
        yield encoded
        yield encoded.rstrip("=")


def _end(secret: str, text: str, start: int) -> int:
    """Return where ``secret``, which may be truncated to PREFIX_LENGTH or more characters, ends in ``text``.

    :return: the position after the secret; ``start`` if the secret does not begin at ``start``
    """
    positions = {start}
    for count, char in enumerate(secret):
        following = {end for position in positions for end in _ends(char, text, position)}
        if not following:
            return max(positions) if count >= PREFIX_LENGTH else start
        if len(following) > MAX_INTERPRETATIONS:  # keep the shortest (no escapes) and the longest (all escaped)
            ends = sorted(following)
            following = {*ends[: MAX_INTERPRETATIONS // 2], *ends[-MAX_INTERPRETATIONS // 2 :]}
        positions = following
    return max(positions)


def _ends(char: str, text: str, position: int) -> Iterator[int]:
    """Yield the position after each representation of ``char`` that starts at ``position``."""
    found, folded = text[position : position + 1], char.casefold()
    if found.casefold() == folded:
        yield position + 1
    elif len(folded) > 1 and text[position : position + len(folded)].casefold() == folded:  # ß is SS in upper case
        yield position + len(folded)
    if char.isspace():
        if found == " ":
            yield position + 1
        if text[position - 1 : position] == " ":  # the rest of a run of whitespace
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
    """Return the character of an HTML numeric reference, case-folded."""
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code).casefold() if code <= 0x10FFFF else ""


@lru_cache(maxsize=1024)
def _escapes(char: str) -> dict[str, list[str]]:
    """Return the escaped representations of ``char``, case-folded, by their first character.

    HTML numeric references are not included: with leading zeros, each character has any number of them.
    """
    utf16 = char.encode("utf-16-be", errors="surrogatepass")
    escapes = {
        "".join(f"%{byte:02x}" for byte in char.encode(errors="surrogatepass")),
        "\\ " if char.isspace() else f"\\{char}",
        "".join(rf"\u{utf16[start : start + 2].hex()}" for start in range(0, len(utf16), 2)),
        *(f"&{name}" for name, meaning in html5.items() if meaning == char and name.endswith(";")),
    }
    if ord(char) < 256:  # URL escape of a Latin-1 server; JavaScript escape
        escapes |= {f"%{ord(char):02x}", rf"\x{ord(char):02x}"}
    if (in_json := json.dumps(char)[1:-1]) != char:
        escapes.add(in_json)
    if char == " ":
        escapes.add("+")
    by_start: dict[str, list[str]] = {}
    for escape in {escape.casefold() for escape in escapes}:
        by_start.setdefault(escape[0], []).append(escape)
    return by_start
