"""Splits rows into columns of cells, whose values stay as the API wrote them."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from airflow_provider_oauth.extract.row_members import RepeatedKey, row_members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

astuple = msgspec.structs.astuple


class Cells:
    """The cells of a column, in JSON, as the API wrote them.

    :param cells: the cells; None if the row does not have the field. ``Raw`` is a value that was not copied
    """

    def __init__(self, cells: Sequence[bytes | Raw | None]) -> None:
        self._cells = cells

    def __len__(self) -> int:
        return len(self._cells)

    @cached_property
    def absent(self) -> int:
        """The number of rows that do not have the field."""
        return sum(cell is None for cell in self._cells) if None in self._cells else 0

    @cached_property
    def array(self) -> bytes:
        """All cells as one JSON array. Absent cells are null."""
        return b"[" + self._joined(b",") + b"]"

    @property
    def values(self) -> list[bytes]:
        """The cells. Absent ones are null."""
        return self._joined(b"\0").split(b"\0") if self._cells else []  # valid JSON contains no NUL

    @property
    def texts(self) -> list[str]:
        """The cells as text. Absent ones are null."""
        return self._joined(b"\0").decode().split("\0") if self._cells else []

    def _joined(self, separator: bytes) -> bytes:
        if self.absent:
            return separator.join([b"null" if cell is None else cell for cell in self._cells])
        return separator.join(self._cells)  # type: ignore[arg-type]


class BadRow(ValueError):
    """A row cannot be split into columns without losing a value.

    :param index: the position of the row
    :param what: what the row is
    """

    def __init__(self, index: int, what: str) -> None:
        super().__init__(what)
        self.index = index
        self.what = what


class UnknownField(BadRow):
    """A row has a field that is not among the columns."""


class RowSplitter:
    """Splits rows into columns.

    :param names: the names of the columns
    :param ignore_extra: whether to ignore other fields of a row; otherwise they are an error
    """

    def __init__(self, names: Iterable[str], *, ignore_extra: bool = False) -> None:
        self._names = tuple(names)
        self._known = frozenset(self._names)
        self._ignore_extra = ignore_extra
        self._decoder = _decoder(self._names, ignore_extra)
        self._key_sizes = [len(json.dumps(name, ensure_ascii=False).encode()) for name in self._names]
        #: The columns that no row had yet.
        self.missing = set(self._names)

    def split(self, lines: Sequence[bytes]) -> list[Cells]:
        """Return the cells of each column.

        :param lines: the rows in JSON
        :raises UnknownField: if a row has a field that is not among the columns
        :raises BadRow: if a row is not an object, or has a key twice
        """
        if not lines:
            return [Cells(()) for _ in self._names]
        columns = self._split_together(lines)
        if columns is None:
            rows = [self._row(line, index) for index, line in enumerate(lines)]
            columns = list(map(Cells, zip(*rows, strict=True)))
        if self.missing:
            found = zip(self._names, columns, strict=True)
            self.missing -= {name for name, cells in found if cells.absent < len(cells)}
        return columns

    def _split_together(self, lines: Sequence[bytes]) -> list[Cells] | None:
        """Return the cells of each column; None if the rows must be split one by one, so that no value is lost."""
        if self._decoder is None or not self._names:
            return None
        batch = b"[" + b",".join(lines) + b"]"
        try:
            columns = list(map(Cells, zip(*map(astuple, self._decoder.decode(batch)), strict=True)))
            # Of several members with the same key, msgspec returns only the last one.
            return columns if self._has_all_members(columns, lines, batch) else None
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None

    def _has_all_members(self, columns: Sequence[Cells], lines: Sequence[bytes], batch: bytes) -> bool:
        """Return whether ``columns`` has every member of the rows, apart from other fields if they are ignored."""
        if self._ignore_extra:
            return not any(json.loads(batch, object_pairs_hook=_repeated_keys, parse_int=len, parse_float=len))
        # Parsing the rows again, to count their members, would take longer than comparing sizes.
        return any(
            size(batch) == self._size(columns, size) + lines.count(b"{}") for size in (len, _size_without_white_space)
        )

    def _size(self, columns: Sequence[Cells], size: Callable[[bytes], int]) -> int:
        """Return the size of rows that have exactly these members, and no white space between them."""
        rows = len(columns[0])
        total = 1 + 2 * rows  # brackets, and the braces of each row without one of its commas
        for cells, key_size in zip(columns, self._key_sizes, strict=True):
            total += size(cells.array) - rows - 1 - len(b"null") * cells.absent
            total += (key_size + len(b":,")) * (rows - cells.absent)
        return total

    def _row(self, line: bytes, index: int) -> list[bytes | None]:
        try:
            members = row_members(line)
        except RepeatedKey:
            raise BadRow(index, "an object that contains a key twice") from None
        if members is None:
            raise BadRow(index, "not an object")
        if not self._ignore_extra:
            for name in members:
                if name not in self._known:
                    raise UnknownField(index, f"an object with the field {name!r}, which columns does not have")
        return [members.get(name) for name in self._names]


def _decoder(names: Sequence[str], ignore_extra: bool) -> msgspec.json.Decoder[list[Any]] | None:
    """Return a decoder of rows; None if msgspec rejects a column name, for example one with a quotation mark."""
    fields = [(f"f{number}", Raw, None) for number in range(len(names))]
    rename = {f"f{number}": name for number, name in enumerate(names)}
    try:
        row = msgspec.defstruct("Row", fields, rename=rename, forbid_unknown_fields=not ignore_extra, gc=False)
    except ValueError:
        return None
    return msgspec.json.Decoder(list[row])  # type: ignore[valid-type]


def _size_without_white_space(array: bytes) -> int:
    """Return the size of an array without white space; its elements have none, unless they are objects or arrays."""
    if b"{" in array or array.find(b"[", 1) > 0:
        return len(msgspec.json.format(array, indent=-1))
    return len(array)


def _repeated_keys(members: list[tuple[str, Any]]) -> int:
    return len(members) - len(dict(members))
