"""Converts the cells of a column to an array of pyarrow."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow
from msgspec import Raw

from airflow_provider_oauth.extract.slicers import TextSlicer
from airflow_provider_oauth.extract.writers.cells import BadRow, Cells, RowSplitter, UnknownField
from airflow_provider_oauth.extract.writers.columns import DecimalType, ListType, StructType
from airflow_provider_oauth.extract.writers.values import Misfit, UnknownMember, kind, values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_oauth.extract.writers.columns import ColumnType

ELEMENTS = msgspec.json.Decoder(list[Raw])
SLICER = TextSlicer(allow_nan=False)
#: The types of pyarrow for types without parameters.
TYPES = {
    "int64": pyarrow.int64(),
    "float64": pyarrow.float64(),
    "string": pyarrow.string(),
    "json": pyarrow.string(),
    "boolean": pyarrow.bool_(),
    "date": pyarrow.date32(),
    "timestamp": pyarrow.timestamp("us", tz="UTC"),
}


def arrow_type(column_type: ColumnType) -> Any:
    """Return the type of pyarrow for a column."""
    match column_type:
        case DecimalType():
            return pyarrow.decimal128(column_type.precision, column_type.scale)
        case ListType():
            return pyarrow.list_(arrow_type(column_type.item))
        case StructType():
            return pyarrow.struct([(name, arrow_type(member)) for name, member in column_type.members.items()])
    return TYPES[column_type.name]


def arrow_array(cells: Cells, column_type: ColumnType, *, ignore_extra: bool) -> Any:
    """Return the cells of a column as an array of pyarrow.

    :param cells: the cells
    :param column_type: the type of the column
    :param ignore_extra: whether to ignore members of objects that the type does not have
    :raises Misfit: if a value does not fit the type
    """
    match column_type:
        case StructType():
            return _structs(cells, column_type, ignore_extra=ignore_extra)
        case ListType():
            return _lists(cells, column_type, ignore_extra=ignore_extra)
    return pyarrow.array(values(cells, column_type), arrow_type(column_type))


def _structs(cells: Cells, column_type: StructType, *, ignore_extra: bool) -> Any:
    found = cells.values
    is_null = [cell == b"null" for cell in found]
    splitter = RowSplitter(column_type.members, ignore_extra=ignore_extra)
    try:
        split = splitter.split([b"{}" if null else cell for cell, null in zip(found, is_null, strict=True)])
    except BadRow as problem:
        cell = found[problem.index]
        if isinstance(problem, UnknownField):
            raise UnknownMember(problem.index, problem.what) from None
        raise Misfit(problem.index, problem.what if cell.startswith(b"{") else kind(cell)) from None
    arrays = []
    for (name, member), children in zip(column_type.members.items(), split, strict=True):
        try:
            arrays.append(arrow_array(children, member, ignore_extra=ignore_extra))
        except Misfit as misfit:
            path = f".{name}{misfit.path}"
            raise type(misfit)(misfit.index, misfit.what, path, misfit.column_type or member) from None
    return pyarrow.StructArray.from_arrays(
        arrays, fields=list(arrow_type(column_type)), mask=pyarrow.array(is_null, pyarrow.bool_())
    )


def _lists(cells: Cells, column_type: ListType, *, ignore_extra: bool) -> Any:
    found = [_elements(value, index) for index, value in enumerate(cells.values)]
    ends = list(accumulate(len(elements or ()) for elements in found))
    starts = [0, *ends][: len(ends)]
    offsets = [None if elements is None else start for elements, start in zip(found, starts, strict=True)]
    children = Cells([child for elements in found for child in elements or ()])
    try:
        array = arrow_array(children, column_type.item, ignore_extra=ignore_extra)
    except Misfit as misfit:
        index = bisect_right(ends, misfit.index)
        path = f"[{misfit.index - starts[index]}]{misfit.path}"
        raise type(misfit)(index, misfit.what, path, misfit.column_type or column_type.item) from None
    return pyarrow.ListArray.from_arrays(pyarrow.array([*offsets, len(children)], pyarrow.int32()), array)


def _elements(value: bytes, index: int) -> Sequence[bytes | Raw] | None:
    """Return the elements of an array; None for null."""
    if value == b"null":
        return None
    if not value.startswith(b"["):
        raise Misfit(index, kind(value))
    try:
        return ELEMENTS.decode(value)
    except (msgspec.DecodeError, RecursionError):  # msgspec rejects some valid JSON, see slice_rows
        return [element.encode() for element in SLICER.elements(value.decode()) or ()]
