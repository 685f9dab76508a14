"""Searches all files and the database of an Airflow for secrets: plain, URL-encoded, and in base64."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from cryptography.fernet import Fernet, InvalidToken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Leak:
    """A secret that was found.

    :param name: the name of the secret
    :param form: its encoding
    :param place: a file, or a column of the database
    :param context: the text around it, without the secret
    """

    name: str
    form: str
    place: str
    context: str

    def __str__(self) -> str:
        return f"{self.name}, {self.form}, in {self.place}: {self.context}"


def forms(secret: str) -> dict[str, bytes]:
    """Return the encodings to search for: plain, in JSON, in a URL, and inside base64 of a longer text."""
    encoded = {
        "plain": secret,
        "as JSON": json.dumps(secret)[1:-1],
        "URL-encoded": quote(secret, safe=""),
        "URL-encoded as a path": quote(secret),
        "form-encoded": quote_plus(secret),
    }
    result = {form: text.encode() for form, text in encoded.items()}
    for before in range(3):
        result[f"base64, {before} bytes in"] = _within_base64(secret.encode(), before, b"+/")
        result[f"URL-safe base64, {before} bytes in"] = _within_base64(secret.encode(), before, b"-_")
    unique = {value: form for form, value in reversed(result.items())}
    return {form: value for value, form in reversed(unique.items())}


def search(home: Path, secrets: Mapping[str, str]) -> list[Leak]:
    """Return all occurrences of the secrets below an AIRFLOW_HOME.

    The database is searched as a file, value by value (its file splits a long value into pages), and with decrypted
    Variables.

    :param secrets: the secrets by name
    """
    encodings = [(name, form, value) for name, secret in secrets.items() for form, value in forms(secret).items()]
    leaks = []
    for place, content in _everything(home):
        for name, form, value in encodings:
            at = content.find(value)
            if at >= 0:
                leaks.append(Leak(name, form, place, _context(content, at, len(value))))
    return leaks


def _within_base64(secret: bytes, before: int, alphabet: bytes) -> bytes:
    """Return the characters that do not depend on the surrounding text, if the secret starts at byte 3 n + before."""
    encoded = base64.b64encode(b"\0" * before + secret, altchars=alphabet)
    first = -(-before * 8 // 6)
    last = (before + len(secret)) * 8 // 6
    return encoded[first:last]


def _everything(home: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each place and its content."""
    for path in sorted(home.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(home)), path.read_bytes()
    with closing(sqlite3.connect(f"file:{home / 'airflow.db'}?mode=ro", uri=True)) as database:
        yield from _values(database)
        yield from _variables(database, json.loads((home / "keys.json").read_text())["fernet_key"])


def _values(database: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        rows = database.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - a table's own name
        columns = [description[0] for description in rows.description]
        for row in rows:
            for column, value in zip(columns, row, strict=True):
                if isinstance(value, str | bytes):
                    yield f"airflow.db, {table}.{column}", value if isinstance(value, bytes) else value.encode()


def _variables(database: sqlite3.Connection, key: str) -> Iterator[tuple[str, bytes]]:
    fernet = Fernet(key)
    for name, value in database.execute("SELECT key, val FROM variable WHERE is_encrypted"):
        try:
            yield f"airflow.db, Variable {name}, decrypted", fernet.decrypt(value.encode())
        except InvalidToken as error:
            raise AssertionError(f"Variable {name} is not encrypted with this home's key") from error


def _context(content: bytes, at: int, length: int) -> str:
    around = content[max(0, at - 120) : at] + b"<SECRET>" + content[at + length : at + length + 80]
    return around.decode(errors="replace").replace("\n", " ")


def report(leaks: Iterable[Leak]) -> str:
    """Return the leaks as lines of text."""
    return "\n".join(map(str, leaks)) or "no leaks"
