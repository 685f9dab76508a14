"""The types of columns, as users write them: plain data, so that DAG files need no other import."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_oauth.exceptions import ConfigurationError

#: The types without parameters.
SCALARS = ("int64", "float64", "string", "boolean", "date", "timestamp", "json")
DECIMAL = re.compile(r"decimal\((\d+), ?(\d+)\)")
#: Maximum number of digits of a decimal number.
MAX_PRECISION = 38
EXAMPLE = '{"id": "int64", "name": "string", "price": "decimal(18,2)"}'


@dataclass(frozen=True)
class Scalar:
    """A type without parameters.

    :param name: one of ``SCALARS``
    """

    name: str


@dataclass(frozen=True)
class DecimalType:
    """Decimal numbers, which are stored exactly.

    :param precision: maximum number of digits
    :param scale: how many of them are after the decimal point
    """

    precision: int
    scale: int

    @property
    def name(self) -> str:
        """The type as users write it."""
        return f"decimal({self.precision},{self.scale})"


@dataclass(frozen=True)
class ListType:
    """An array.

    :param item: the type of its elements
    """

    item: ColumnType

    @property
    def name(self) -> str:
        """The type, for errors."""
        return f"[{self.item.name}]"


@dataclass(frozen=True)
class StructType:
    """An object with known members.

    :param members: the type of each member by key
    """

    members: Mapping[str, ColumnType]

    @property
    def name(self) -> str:
        """The type, for errors."""
        return "an object with known members"


ColumnType = Scalar | DecimalType | ListType | StructType
#: The types of the columns by name.
Columns = dict[str, ColumnType]


def parse_columns(conn_id: str, columns: Any, *, is_csv: bool | None = None) -> Columns:
    """Return the types of the columns.

    :param conn_id: the connection ID, for errors
    :param columns: the parameter of the operator: a mapping from name to type, or a sequence of names
    :param is_csv: whether the file is in CSV; None if that is unknown
    :raises ConfigurationError: if it is invalid, or not possible for this format
    """
    if isinstance(columns, Mapping):
        parsed = {_name(conn_id, name): _parse(conn_id, name, value) for name, value in columns.items()}
    elif isinstance(columns, Sequence) and not isinstance(columns, (str, bytes)):
        if is_csv is False:
            raise ConfigurationError(
                f"Connection {conn_id!r}: columns has names without types, but a Parquet file needs the type of "
                f"each column. Set columns to a mapping, for example {EXAMPLE}."
            )
        parsed = {_name(conn_id, name): Scalar("string") for name in columns}
        if len(parsed) < len(columns):
            raise ConfigurationError(f"Connection {conn_id!r}: columns contains a name twice. Remove one of them.")
    else:
        raise ConfigurationError(
            f"Connection {conn_id!r}: columns is not a mapping from names to types. Set it to a mapping, for example "
            f"{EXAMPLE}. For a CSV file, a list of names is enough."
        )
    if not parsed:
        raise ConfigurationError(
            f"Connection {conn_id!r}: columns is empty. Set it to a mapping from names to types, for example {EXAMPLE}."
        )
    nested = [name for name, value in parsed.items() if isinstance(value, (ListType, StructType))]
    if is_csv and nested:
        raise ConfigurationError(
            f"Connection {conn_id!r}: columns has nested types for {nested}, which a CSV file cannot contain. Set "
            "their type to 'json', which writes JSON text."
        )
    return parsed


def _name(conn_id: str, name: Any) -> str:
    if not isinstance(name, str):
        raise ConfigurationError(f"Connection {conn_id!r}: columns has the name {name!r}, which is not a string.")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"Connection {conn_id!r}: columns has the name {name!r}, which is not valid Unicode. Remove it."
        ) from None
    return name


def _parse(conn_id: str, name: str, value: Any) -> ColumnType:
    match value:
        case Mapping() if value:
            return StructType(
                {_name(conn_id, key): _parse(conn_id, f"{name}.{key}", member) for key, member in value.items()}
            )
        case [item]:
            return ListType(_parse(conn_id, f"{name}[]", item))
        case str() if value in SCALARS:
            return Scalar(value)
        case str() if match := DECIMAL.fullmatch(value):
            precision, scale = map(int, match.groups())
            if 0 < precision <= MAX_PRECISION and scale <= precision:
                return DecimalType(precision, scale)
    raise ConfigurationError(
        f"Connection {conn_id!r}: columns has the type {value!r} for {name!r}, which is not supported. Set it to one "
        f"of {', '.join(SCALARS)}, to a decimal type such as 'decimal(18,2)' with up to {MAX_PRECISION} digits, to a "
        "mapping for an object, or to a list with one type for an array."
    )
