"""Reads a vendor file, and checks everything in it."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from dataclasses import fields
from datetime import date  # noqa: TC003 - msgspec reads the annotations
from typing import Any, TypeVar

import msgspec

from airflow_provider_oauth.api.rate_limit import Budget
from airflow_provider_oauth.api.wait_time import LimitHeaders
from airflow_provider_oauth.coercion import InvalidField
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.error_rules import ErrorRule
from airflow_provider_oauth.presets.vendor import (
    ListOptions,
    Vendor,
    VendorExample,
    VendorList,
    VendorTest,
    VendorValue,
)
from airflow_provider_oauth.presets.vendor_check import check_vendor
from airflow_provider_oauth.protocol.lookup import Lookup

T = TypeVar("T")


class ValueTable(msgspec.Struct, forbid_unknown_fields=True):
    """A table ``[values.NAME]``: a value that users enter in ``vendor_values``."""

    label: str
    description: str
    example: str = ""
    choices: tuple[str, ...] | dict[str, str] = ()
    default: str | None = None


class VendorFile(msgspec.Struct, forbid_unknown_fields=True):
    """The keys of a vendor file. ``Vendor`` describes them."""

    label: str
    documentation: tuple[str, ...]
    read: date | None = None
    connection_type: str | None = None
    register: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    values: dict[str, ValueTable] = {}
    fields: dict[str, Any] = {}
    grants: dict[str, dict[str, Any]] = {}
    scopes: dict[str, str] = {}
    endpoint_prefix: str = ""
    api_hosts: tuple[str, ...] = ()
    lookup: dict[str, Any] | None = None
    test: dict[str, Any] | None = None
    limit_headers: dict[str, Any] | None = None
    example: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    paginators: dict[str, dict[str, Any]] = {}
    records_path: str | tuple[str, ...] | None = None
    error_rules: tuple[dict[str, Any], ...] = ()
    budget: dict[str, Any] | None = None
    rate_limit_timeout: float = 0
    retry_timeout: float = 0
    error_path: str | None = None
    advice: dict[str, str] = {}
    seen_in: dict[str, str] = {}


#: The dataclass of each table with fixed keys.
TABLES: Mapping[str, type[Any]] = {
    "lookup": Lookup,
    "test": VendorTest,
    "limit_headers": LimitHeaders,
    "example": VendorExample,
    "budget": Budget,
}

#: The keys whose value the vendor has unchanged.
SAME = [
    "label",
    "documentation",
    "read",
    "connection_type",
    "register",
    "ask",
    "fields",
    "grants",
    "scopes",
    "notes",
    "endpoint_prefix",
    "api_hosts",
    "records_path",
    "rate_limit_timeout",
    "retry_timeout",
    "error_path",
    "seen_in",
]


def parse_vendor(name: str, text: str) -> Vendor:
    """Return the vendor that a vendor file describes.

    :param name: the name of the file without its suffix
    :param text: the content of the file
    :raises ConfigurationError: if it is not valid TOML, a key is missing or unknown, or a value is invalid; the text
        names the file and the key
    """
    place = f"Vendor file {name}.toml"
    try:
        vendor = _parsed(name, text, place)
        check_vendor(vendor, place)
    except (InvalidField, RecursionError) as error:  # tables or expressions inside each other cause a RecursionError
        raise ConfigurationError(f"{place}: the values are invalid: {str(error).rstrip('.')}.") from None
    return vendor


def _parsed(name: str, text: str, place: str) -> Vendor:
    import tomllib  # only here: most connections have no vendor file

    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # very long numbers and arrays in arrays have other errors
        raise ConfigurationError(f"{place}: it is not valid TOML: {error}.") from None
    file = _converted(values, VendorFile, place)
    for key in file.seen_in:
        if not _has(values, key.split(".")):
            raise ConfigurationError(f"{place}: seen_in has {key!r}, but the file has no such key. Correct seen_in.")
    _check_paths(file.records_path, file.error_path, place)
    tables: dict[str, Any] = {
        key: None if (table := getattr(file, key)) is None else _built(cls, table, f"{place}: {key}")
        for key, cls in TABLES.items()
    }
    return Vendor(
        name=name,
        **{key: getattr(file, key) for key in SAME},
        values={key: _value(table) for key, table in file.values.items()},
        paginators={key: _list(table, f"{place}: paginators.{key}") for key, table in file.paginators.items()},
        error_rules=tuple(
            _built(ErrorRule, table, f"{place}: error_rules[{i}]") for i, table in enumerate(file.error_rules)
        ),
        advice=_converted(file.advice, dict[int, str], f"{place}: advice", strict=False),
        **tables,
    )


def _value(table: ValueTable) -> VendorValue:
    choices = table.choices if isinstance(table.choices, dict) else {text: text for text in table.choices}
    return VendorValue(
        label=table.label,
        description=table.description,
        example=table.example,
        choices=choices,
        default=table.default,
    )


def _list(table: Mapping[str, Any], place: str) -> VendorList:
    """Return how the vendor splits some of its lists, from a table of the file."""
    from airflow_provider_oauth.extract import paginators

    classes = {cls.__name__: cls for cls in paginators.PaginatorOptions.__subclasses__()}
    cls = classes.get(str(table.get("type")))
    if cls is None:
        raise ConfigurationError(
            f"{place}: type is {table.get('type')!r}, which is not a paginator. Use one of "
            f"{', '.join(sorted(classes))}."
        )
    own = {each.name for each in fields(ListOptions)}
    options = _built(ListOptions, {key: value for key, value in table.items() if key in own}, place)
    rest = {key: value for key, value in table.items() if key not in own | {"type"}}
    paginator: Any = _built(cls, rest, place, also=(*own, "type"))
    _check_paths(options.records_path, None, place)
    return VendorList(paginator=paginator, **vars(options))


def _built(cls: type[T], table: Mapping[str, Any], place: str, also: tuple[str, ...] = ()) -> T:
    """Return an instance of a dataclass with the values in a table.

    :param also: other keys that the table may have
    """
    known = {each.name for each in fields(cls)}  # type: ignore[arg-type]  # T is a dataclass
    if unknown := sorted(set(table) - known):
        raise ConfigurationError(
            f"{place}: unknown keys: {', '.join(unknown)}. Use {', '.join(sorted(known.union(also)))}."
        )
    return _converted(table, cls, place)


def _converted(values: Any, kind: type[T], place: str, *, strict: bool = True) -> T:
    try:
        return msgspec.convert(values, kind, strict=strict)
    except (msgspec.ValidationError, ConfigurationError) as error:
        raise ConfigurationError(f"{place}: the values are invalid: {str(error).rstrip('.')}.") from None


def _check_paths(records_path: str | tuple[str, ...] | None, error_path: str | None, place: str) -> None:
    from jmespath.exceptions import JMESPathError

    from airflow_provider_oauth.extract.jmes import compiled
    from airflow_provider_oauth.extract.records_path import records_paths

    try:
        records_paths(records_path)
        if error_path:
            compiled(error_path, "error_path")
    except (ValueError, JMESPathError, ConfigurationError) as error:
        raise ConfigurationError(f"{place}: the values are invalid: {str(error).rstrip('.')}.") from None


def _has(values: Any, keys: list[str]) -> bool:
    """Return whether the file has a value at the keys."""
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True
