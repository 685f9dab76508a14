"""Decodes the cells of a column, and checks that each value fits the column's type without a loss."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from datetime import date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from airflow_provider_oauth.extract.writers.columns import DecimalType

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.extract.writers.cells import Cells
    from airflow_provider_oauth.extract.writers.columns import ColumnType

INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
#: The types of msgspec for the values of a column.
TYPES: dict[str, Any] = {
    "int64": INT64,
    "float64": float,
    "boolean": bool,
    "date": date,
    "timestamp": Annotated[datetime, msgspec.Meta(tz=True)],
}
#: A float64 keeps all digits of a number with at most this many digits.
SAFE_DIGITS = 15
#: Longer numbers are treated as not exact: no float64 has more significant digits.
MAX_NUMBER_SIZE = 800
#: Text that is a number. Decimal also accepts "1_000", spaces, and digits of other alphabets.
NUMBER_TEXT = re.compile(r"[-+.0-9eE]+")
#: A fraction of a second with more than six digits, which datetime cannot store.
NANOSECONDS = re.compile(rb"\.[0-9]{6}0*[1-9]")
WHAT = {ord('"'): "text", ord("{"): "an object", ord("["): "an array", ord("t"): "a boolean", ord("f"): "a boolean"}


class Misfit(ValueError):
    """A value does not fit its column.

    :param index: the position of the cell
    :param what: what the value is; never the value itself, which can be confidential
    :param path: the path of the value in a nested cell
    :param column_type: the type that the value does not fit; None for the type of the column
    """

    def __init__(self, index: int, what: str, path: str = "", column_type: ColumnType | None = None) -> None:
        super().__init__(what)
        self.index = index
        self.what = what
        self.path = path
        self.column_type = column_type


class UnknownMember(Misfit):
    """An object in a column has a member that the column's type does not have."""


def texts(cells: Cells) -> list[str | None]:
    """Return the cells as text: strings decoded, other values as the API wrote them, and None for null.

    :raises Misfit: if a string has half of a surrogate pair, which UTF-8 cannot contain
    """
    try:
        return _decoder(str)(cells.array)
    except (msgspec.DecodeError, RecursionError):  # not all values are strings
        return [_text(cell, index) for index, cell in enumerate(json_texts(cells))]


def json_texts(cells: Cells) -> list[str | None]:
    """Return the cells as JSON, and None for null."""
    return [None if text == "null" else text for text in cells.texts]


def _text(cell: str | None, index: int) -> str | None:
    if cell is None or not cell.startswith('"'):
        return cell
    try:
        return msgspec.json.decode(cell, type=str)
    except msgspec.DecodeError:
        raise Misfit(index, "text with half of a surrogate pair, which UTF-8 cannot contain") from None


def values(cells: Cells, column_type: ColumnType) -> list[Any]:
    """Return the decoded values of a column, and None for null.

    :param cells: the cells of the column
    :param column_type: its type, which is not nested
    :raises Misfit: if a value does not fit the type
    """
    if isinstance(column_type, DecimalType):
        return _decimals(cells, column_type)
    match column_type.name:
        case "string":
            return texts(cells)
        case "json":
            return json_texts(cells)
        case "float64":
            return _floats(cells)
        case "timestamp":
            return _times(cells)
    return _decoded(cells, TYPES[column_type.name])


def _times(cells: Cells) -> list[datetime | None]:
    found: list[datetime | None] = _decoded(cells, TYPES["timestamp"])
    if NANOSECONDS.search(cells.array) or b"\\" in cells.array:  # a digit can be written as an escape
        for index, text in enumerate(texts(cells)):
            if text and NANOSECONDS.search(text.encode()):
                raise Misfit(index, "a time with fractions of a microsecond")
    return found


def _decoded(cells: Cells, msgspec_type: Any) -> list[Any]:
    with suppress(msgspec.DecodeError, RecursionError):
        return _decoder(msgspec_type)(cells.array)
    return [_decode_one(cell, msgspec_type, index) for index, cell in enumerate(cells.values)]


def _decode_one(cell: bytes, msgspec_type: Any, index: int) -> Any:
    try:
        return _decoder(msgspec_type)(b"[" + cell + b"]")[0]
    except (msgspec.DecodeError, RecursionError):
        is_number = cell[0] not in WHAT
        if is_number and (msgspec_type is float or (msgspec_type is INT64 and is_integer(cell))):
            raise Misfit(index, "a number outside the range of the type") from None
        raise Misfit(index, kind(cell)) from None


def _floats(cells: Cells) -> list[float | None]:
    found: list[float | None] = _decoded(cells, float)
    is_long = b"E" in cells.array or b"e" in cells.array or max(map(len, cells.values), default=0) > SAFE_DIGITS
    if is_long and not all(map(_is_exact_or_null, cells.values)):
        index = _first(cells, lambda cell: not _is_exact_or_null(cell))
        raise Misfit(index, "a number with more digits than float64 has")
    return found


def is_exact(number: bytes) -> bool:
    """Return whether a float64 keeps all digits of a number.

    An integer must be stored exactly. Other numbers must have the same digits when they are written again.

    :param number: the number in JSON
    """
    if len(number) > MAX_NUMBER_SIZE or not math.isfinite(stored := float(number)):
        return False
    if is_integer(number):
        return int(stored) == int(number)
    digits = len(re.split(rb"[eE]", number)[0].replace(b".", b"").lstrip(b"-0").rstrip(b"0"))
    if not digits:
        return True
    try:
        return Decimal(f"{stored:.{digits - 1}e}") == Decimal(number.decode())
    except InvalidOperation:  # the exponent is too small for Decimal
        return False


def _decimals(cells: Cells, column_type: DecimalType) -> list[Decimal | None]:
    found: list[Decimal | None] = _decoded(cells, Decimal)
    if b'"' in cells.array:
        for index, text in enumerate(texts(cells)):
            if text and not NUMBER_TEXT.fullmatch(text):
                raise Misfit(index, "text")
    context = Context(column_type.precision, traps=[Inexact, InvalidOperation])
    unit = Decimal(1).scaleb(-column_type.scale)
    for index, value in enumerate(found):
        if value is None:
            continue
        try:
            if value.is_finite():
                found[index] = value.quantize(unit, context=context)
                continue
        except (Inexact, InvalidOperation):
            pass
        raise Misfit(index, "a number with too many digits" if value.is_finite() else "text")
    return found


def _is_exact_or_null(value: bytes) -> bool:
    return value == b"null" or is_exact(value)


def _first(cells: Cells, condition: Callable[[bytes], object]) -> int:
    return next(index for index, value in enumerate(cells.values) if condition(value))


def kind(value: bytes) -> str:
    """Return what a value in JSON is, without the value itself."""
    if value[0] in WHAT:
        return WHAT[value[0]]
    if is_integer(value):
        return "an integer"
    return "a number with decimals or an exponent"


def is_integer(number: bytes) -> bool:
    """Return whether a number in JSON has neither decimals nor an exponent."""
    return not any(sign in number for sign in b".eE")


@cache
def _decoder(msgspec_type: Any) -> Callable[[bytes], list[Any]]:
    return msgspec.json.Decoder(list[msgspec_type | None]).decode
