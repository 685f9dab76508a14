"""Removes fields from rows. All other values stay as the API wrote them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_provider_oauth.extract.row_members import RepeatedKey, row_members
from airflow_provider_oauth.extract.rows import InvalidPage

if TYPE_CHECKING:
    from collections.abc import Iterable


class FieldFilter:
    """Removes fields from rows.

    :param names: the keys of the fields
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(dict.fromkeys(names))
        #: The fields that no row had yet.
        self.missing = set(self._names)

    def without(self, line: bytes) -> bytes:
        """Return a row without the fields.

        :param line: the row in JSON
        :raises InvalidPage: if the row is not an object, or has a key twice
        """
        try:
            members = row_members(line)
        except RepeatedKey:
            raise InvalidPage(
                "has a row that contains a key twice, so exclude would drop a value. Remove exclude, and remove the "
                "fields in a later task"
            ) from None
        if members is None:
            raise InvalidPage("has a row that is not an object, so exclude cannot remove its fields. Remove exclude")
        found = [name for name in self._names if name in members]
        if not found:
            return line
        self.missing.difference_update(found)
        for name in found:
            del members[name]
        return b"{" + b",".join(_key(name) + b":" + value for name, value in members.items()) + b"}"


def _key(name: str) -> bytes:
    # An unpaired surrogate cannot be encoded as UTF-8. It stays an escape.
    return json.dumps(name, ensure_ascii=False).encode(errors="backslashreplace")
