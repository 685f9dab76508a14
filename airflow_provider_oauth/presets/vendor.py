"""Reads the vendor files in ``presets/catalogue``, which describe vendors' APIs.

Importing the presets does not import this module, because Airflow loads the presets on every ``airflow`` command. A
file is read when a hook first needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date  # noqa: TC003 - msgspec reads the annotations
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec

from airflow_provider_oauth.api.rate_limit import Budget
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.body import value_at, with_values
from airflow_provider_oauth.extract.error_rules import ErrorRule

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.paginators import Paginator
    from airflow_provider_oauth.extract.request import ListRequest

CATALOGUE = Path(__file__).parent / "catalogue"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Which lists of an API a paginator is for, and their options.

    :param paths: patterns of URL paths, such as ``*/search``; ``*`` matches any characters. Empty for all lists that
        match no other pattern
    :param method: HTTP method of the lists
    :param params: other parameters of every request, such as a page size. They are sent where the paginator sends its
        own parameters
    :param records_path: path of the rows, or several; None for that of the vendor
    """

    paths: tuple[str, ...] = ()
    method: str = "GET"
    params: Mapping[str, Any] = field(default_factory=dict)
    records_path: str | tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class VendorList(ListOptions):
    """How a vendor splits some of its lists into pages.

    :param paginator: the paginator of these lists
    """

    paginator: Paginator

    def with_params(self, request: ListRequest) -> ListRequest:
        """Return ``request`` with ``params``. Parameters of the request take precedence.

        :param request: a list
        """
        param_in = getattr(self.paginator, "param_in", "query")
        if param_in == "header":
            headers = {name: str(value) for name, value in self.params.items()}
            return replace(request, headers={**headers, **(request.headers or {})})
        name = "json" if request.data is None else "data"
        if param_in == "query":
            name = "data" if request.method == "GET" and request.data else "request_params"
        body = getattr(request, name)
        if not isinstance(body, Mapping | None):
            return request  # not an object: the paginator's error explains that it cannot set its parameters
        in_endpoint = dict(parse_qsl(urlsplit(request.endpoint).query)) if param_in == "query" else {}
        missing = {
            path: value
            for path, value in self.params.items()
            if value_at(body, path) is None and path not in in_endpoint
        }
        return replace(request, **{name: with_values(body, missing)})


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """The description of a vendor's API. Most attributes are keys of the vendor's file.

    :param name: the name of the file without its suffix
    :param label: the name of the vendor
    :param documentation: URLs of the vendor's documentation
    :param read: when the documentation was read; None if this is not recorded
    :param paginators: the paginators by name
    :param records_path: path of the rows in responses, or several paths: the first one that exists in a response is
        used; None if a response is the array of rows, or has exactly one array
    :param error_rules: what errors of the API mean; they are tried before the rules for all APIs
    :param budget: the API's rate limit; the hook does not exceed it
    :param rate_limit_timeout: how long to repeat a request that exceeds a rate limit, in seconds
    :param retry_timeout: how long to repeat a request after a temporary error, in seconds
    :param error_path: JMESPath of the error message in the API's error responses; it is quoted in task errors
    :param advice: what to do after an error status of the API, by status; it is added to task errors
    :param seen_in: for facts that are not in the vendor's documentation: where they were found, by key of the file
    """

    name: str = ""
    label: str = ""
    documentation: tuple[str, ...] = ()
    read: date | None = None
    paginators: Mapping[str, VendorList] = field(default_factory=dict)
    records_path: str | tuple[str, ...] | None = None
    error_rules: tuple[ErrorRule, ...] = ()
    budget: Budget | None = None
    rate_limit_timeout: float = 0
    retry_timeout: float = 0
    error_path: str | None = None
    advice: Mapping[int, str] = field(default_factory=dict)
    seen_in: Mapping[str, str] = field(default_factory=dict)

    def with_defaults(self, request: ListRequest, path: str) -> ListRequest:
        """Return ``request`` with the vendor's paginator and ``records_path``, unless it has its own.

        :param request: a list
        :param path: the path of its URL
        """
        return self._completed(request, self.list_at(request.method, path))

    def with_paginator(self, request: ListRequest, name: str) -> ListRequest:
        """Return ``request`` with one of the vendor's paginators and its ``records_path``.

        :param request: a list without a paginator
        :param name: the name of the paginator in the vendor's file
        """
        return self._completed(request, self.paginators[name])

    def _completed(self, request: ListRequest, found: VendorList | None) -> ListRequest:
        if found and request.paginator is None:
            request = replace(found.with_params(request), paginator=found.paginator)
        if request.records_path is None:
            request = replace(request, records_path=(found and found.records_path) or self.records_path)
        return request

    def list_at(self, method: str, path: str) -> VendorList | None:
        """Return how the vendor splits a list into pages; None if its file does not describe such lists.

        :param method: the HTTP method
        :param path: the path of the list's URL
        """
        lists = [each for each in self.paginators.values() if each.method == method]
        for each in lists:
            if any(fnmatchcase(path, pattern) for pattern in each.paths):
                return each
        return next((each for each in lists if not each.paths), None)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The keys of a vendor file."""

    label: str
    documentation: tuple[str, ...]
    read: date | None = None
    paginators: dict[str, dict[str, Any]] = {}
    records_path: str | tuple[str, ...] | None = None
    error_rules: tuple[dict[str, Any], ...] = ()
    budget: dict[str, Any] | None = None
    rate_limit_timeout: float = 0
    retry_timeout: float = 0
    error_path: str | None = None
    advice: dict[str, str] = {}
    seen_in: dict[str, str] = {}


def vendor_names() -> list[str]:
    """Return the names of the vendors in the catalogue."""
    return sorted(path.stem for path in CATALOGUE.glob("*.toml"))


@cache
def vendor(name: str) -> Vendor:
    """Return a vendor of the catalogue. Its file is read once per process.

    :param name: the name of the vendor's file without its suffix
    :raises ConfigurationError: if there is no such file, or the file is invalid
    """
    if name not in vendor_names():
        raise ConfigurationError(
            f"The vendor {name!r} is not in the catalogue. Use one of {', '.join(vendor_names())}."
        )
    return parse_vendor(name, (CATALOGUE / f"{name}.toml").read_text(encoding="utf-8"))


def parse_vendor(name: str, text: str) -> Vendor:
    """Return the vendor that a vendor file describes.

    :param name: the name of the file without its suffix
    :param text: the content of the file
    :raises ConfigurationError: if it is not valid TOML, a key is missing or unknown, or a value is invalid; the text
        names the file and the key
    """
    import tomllib  # only here: most connections have no vendor file

    place = f"Vendor file {name}.toml"
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{place}: it is not valid TOML: {error}.") from None
    file = _converted(values, _File, place)
    for key in file.seen_in:
        if not _has(values, key.split(".")):
            raise ConfigurationError(f"{place}: seen_in has {key!r}, but the file has no such key. Correct seen_in.")
    _check_paths(file.records_path, file.error_path, place)
    return Vendor(
        name=name,
        label=file.label,
        documentation=file.documentation,
        read=file.read,
        paginators={key: _list(table, f"{place}: paginators.{key}") for key, table in file.paginators.items()},
        records_path=file.records_path,
        error_rules=tuple(
            _built(ErrorRule, table, f"{place}: error_rules[{i}]") for i, table in enumerate(file.error_rules)
        ),
        budget=None if file.budget is None else _built(Budget, file.budget, f"{place}: budget"),
        rate_limit_timeout=file.rate_limit_timeout,
        retry_timeout=file.retry_timeout,
        error_path=file.error_path,
        advice=_converted(file.advice, dict[int, str], f"{place}: advice", strict=False),
        seen_in=file.seen_in,
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
