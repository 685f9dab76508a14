"""Incremental extracts: each run reads only the rows that are new or changed since the run before."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.body import value_at, with_values
from airflow_provider_oauth.extract.jmes import is_template
from airflow_provider_oauth.extract.mark_values import NUMBERS, values_of
from airflow_provider_oauth.extract.records_path import RecordsPath

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from airflow_provider_oauth.extract.mark_values import MarkValues, Position
    from airflow_provider_oauth.extract.paginator_options import ParamIn
    from airflow_provider_oauth.extract.request import ListRequest

#: The place of the mark in ``value``.
MARK = "{mark}"
#: Where the parameters can be sent.
PLACES = ("query", "header", "body")
#: Number of hexadecimal digits of a hash in a fingerprint.
HASH_LENGTH = 16


@dataclass(frozen=True, kw_only=True, repr=False)
class Incremental:
    """Reads only the rows that are new or changed since the run before.

    The greatest value of ``field`` that was read, the *mark*, is stored after the file is in place. The next run sends
    it to the API. All text except ``format`` and ``timezone`` is templated.

    :param field: the field of the rows that grows with each change, such as ``updatedAt`` or ``attributes.updated``:
        keys joined by dots. Write keys with special characters in double quotes (templated)
    :param param: name of the parameter that the API filters by. None only with ``client_side`` or ``descending``
        (templated)
    :param initial: the value that the first run sends, as it is (templated)
    :param format: how the values are written: ``"iso"`` (ISO 8601), ``"epoch"`` (seconds since 1970), ``"epoch_ms"``
        (milliseconds), ``"int"`` (a number that is not a time, such as an ID), or a pattern of ``strptime`` such as
        ``"%d.%m.%Y %H:%M"``
    :param lookback: what is subtracted from the mark before it is sent, because APIs can add rows late: a ``timedelta``
        or a number of seconds; with the format ``int``, a number. None for one unit of the last digit of the mark, 0
        for nothing
    :param value: the text to send, such as ``"updatedAt ge {mark}"``. It must contain ``{mark}`` (templated)
    :param param_in: where the parameters are sent: in the ``query``, in a ``header``, or in the ``body``, where
        ``param`` is a path such as ``filter.updated.from``
    :param end_param: name of a parameter with the end of the period, if the API requires one. It sends the time at
        which the first attempt of the run started (templated)
    :param timezone: the zone of values without an offset: an IANA name such as ``"Europe/Berlin"``, or ``"UTC"``.
        Without it, such values are an error
    :param key: distinguishes the marks of mapped tasks, which must set it, for example to the ID of the account
        (templated)
    :param client_side: whether to drop rows before the mark while reading, for APIs that cannot filter
    :param descending: whether the API returns the newest rows first. Reading stops after the first page on which all
        rows are before the mark
    """

    template_fields: ClassVar[tuple[str, ...]] = ("field", "param", "initial", "value", "end_param", "key")

    field: str
    param: str | None = None
    initial: str | int | float
    format: str = "iso"
    lookback: timedelta | float | None = None
    value: str = MARK
    param_in: ParamIn = "query"
    end_param: str | None = None
    timezone: str | None = None
    key: str | None = None
    client_side: bool = False
    descending: bool = False

    def __repr__(self) -> str:
        """Return the parameters that are set. Airflow stores this text with the DAG."""
        values = ((each.name, getattr(self, each.name), each.default) for each in fields(self))
        return f"Incremental({', '.join(f'{name}={value!r}' for name, value, default in values if value != default)})"

    @property
    def values(self) -> MarkValues:
        """How values of ``field`` compare and are written.

        :raises ValueError: if ``format`` or ``timezone`` is not supported
        """
        return values_of(self.format, self.timezone)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that lead to ``field`` in a row.

        :raises ValueError: if ``field`` is not a path of keys
        """
        path = RecordsPath.parse(self.field)
        if path.is_optional or not path.steps or len(path.keys) != len(path.steps):
            raise ValueError(self.field)
        return path.keys

    @property
    def initial_text(self) -> str:
        """``initial`` as text."""
        return self.initial if isinstance(self.initial, str) else repr(self.initial)

    def check(self, conn_id: str, *, is_rendered: bool) -> None:
        """Check the parameters.

        :param conn_id: the connection ID, for errors
        :param is_rendered: whether the templates were rendered. If false, templates and results of other tasks are not
            checked
        :raises ConfigurationError: if one of them is invalid
        """
        for problem in self._problems(is_rendered):
            raise ConfigurationError(f"Connection {conn_id!r}: Incremental: {problem}.")

    def since(self, mark: str) -> str:
        """Return the value that a run sends: the mark minus ``lookback``, but not less than ``initial``.

        :param mark: the stored mark
        :raises ValueError: if the mark is not a value in ``format``
        """
        values, first = self.values, self.initial_text
        lower = mark if values.position(mark) <= values.position(first) else values.write(values.position(first), mark)
        by = self._lookback(mark)
        try:
            earlier = values.earlier(mark, by)
        except ValueError:  # before the year 1
            return lower
        return earlier if values.position(earlier) >= values.position(lower) or not by else lower

    def end(self, started: datetime) -> str | None:
        """Return the value of ``end_param``; None without ``end_param``.

        :param started: when the first attempt of the run started
        """
        return None if self.end_param is None else self.values.at(started, self.initial_text)

    def requested(self, request: ListRequest, since: str, end: str | None, conn_id: str) -> ListRequest:
        """Return a list with the parameters of this run.

        :param request: the list
        :param since: the value to send
        :param end: the value of ``end_param``; None if there is none
        :param conn_id: the connection ID, for errors
        :raises ConfigurationError: if the list has one of the parameters already, or its body has no such place
        """
        added: dict[str, Any] = {}
        if self.param is not None:
            added[self.param] = self._sent(since, self.value, conn_id)
        if self.end_param is not None and end is not None:
            added[self.end_param] = self._sent(end, MARK, conn_id)
        for name in added:
            if self._is_set(request, name):
                raise ConfigurationError(
                    f"Connection {conn_id!r}: {name!r} is a parameter of Incremental, but the list or its paginator "
                    "sets it too. Remove it there, or correct param and end_param."
                )
        if not added:
            return request
        if self.param_in == "header":
            return replace(request, headers={**(request.headers or {}), **added})
        if self.param_in == "query":
            name = "data" if _has_query_in_data(request) else "request_params"
            changes: dict[str, Any] = {name: {**(getattr(request, name) or {}), **added}}
            return replace(request, **changes)
        name = _body_field(request)
        try:
            changes = {name: with_values(getattr(request, name) or None, added)}
        except ValueError as error:
            raise ConfigurationError(
                f"Connection {conn_id!r}: Incremental cannot set {', '.join(map(repr, added))} in the body: {error}. "
                f"Correct param, or set {name} to a body that has this place."
            ) from None
        return replace(request, **changes)

    def fingerprint(self, request: ListRequest, conn_id: str) -> dict[str, str]:
        """Return hashes of what determines which rows the API returns, by name.

        :param request: the list, rendered, without the parameters that :meth:`requested` adds
        :param conn_id: the connection ID
        """
        parts = {
            "connection": conn_id,
            "method": request.method.upper(),
            "endpoint": request.endpoint,
            **{name: getattr(self, name) for name in ("field", "format", "timezone", "param", "value", "param_in")},
            "json": request.json,
        }
        query = request.request_params
        if _has_query_in_data(request):
            query = request.data
        elif request.method.upper() != "GET":
            parts["data"] = request.data
        parts |= {f"request_params.{name}": value for name, value in (query or {}).items()}
        return {name: _hash(name, value) for name, value in parts.items() if value not in (None, {}, "")}

    def _problems(self, is_rendered: bool) -> Iterator[str]:
        """Yield what is wrong with the parameters, as sentences without a full stop."""
        for name in self.template_fields:
            value = getattr(self, name)
            if name == "initial" or (value is None and name in ("param", "end_param", "key")):
                continue
            if self._is_final(name, is_rendered) and not (isinstance(value, str) and value):
                yield f"{name} is {value!r}, which is invalid. Set it to text"
        if self._is_final("field", is_rendered):
            try:
                _ = self.keys
            except ValueError:
                yield (
                    f"field {self.field!r} is not a path of keys. Write keys joined by dots, and keys with special "
                    'characters in double quotes, for example attributes.updated or "a.b"'
                )
        if self._is_final("value", is_rendered) and MARK not in self.value:
            yield f"value {self.value!r} does not contain {MARK}, so the mark would not be sent. Add {MARK}"
        if self.param_in not in PLACES:
            yield f"param_in is {self.param_in!r}, which is invalid. Set it to one of {', '.join(PLACES)}"
        if self.param is None and not (self.client_side or self.descending):
            yield (
                "param is not set, so all rows would be read each time. Set it to the parameter that the API filters "
                "by. If the API cannot filter, set client_side=True, or descending=True"
            )
        yield from self._value_problems(is_rendered)

    def _value_problems(self, is_rendered: bool) -> Iterator[str]:
        try:
            values = self.values
        except ValueError as error:
            yield str(error)
            return
        if self.timezone is not None and self.format in NUMBERS:
            yield f"timezone has no effect with format {self.format!r}. Remove it"
        if self.end_param is not None and not values.is_time:
            yield f"end_param sends a time, but the values of format {self.format!r} are not times. Remove end_param"
        yield from self._lookback_problems(values)
        if not self._is_final("initial", is_rendered):
            return
        if isinstance(self.initial, bool) or not isinstance(self.initial, (str, int, float)):
            yield f"initial is {self.initial!r}, which is invalid. Set it to text or a number"
            return
        try:
            values.position(self.initial_text)
        except ValueError as error:
            yield f"initial does not match format {self.format!r}: {error}. Correct initial, format or timezone"

    def _lookback_problems(self, values: MarkValues) -> Iterator[str]:
        lookback = self.lookback
        if lookback is None:
            return
        expected = "a timedelta or a number of seconds, of at least 0" if values.is_time else "an integer of at least 0"
        number: Any = lookback.total_seconds() if isinstance(lookback, timedelta) and values.is_time else lookback
        types = (int, float) if values.is_time else (int,)
        if isinstance(number, bool) or not isinstance(number, types) or not 0 <= number < math.inf:
            yield f"lookback is {lookback!r}, which is invalid. Set it to {expected}"

    def _is_final(self, name: str, is_rendered: bool) -> bool:
        """Return whether a field stays as it is: not a template, and not the result of another task."""
        value = getattr(self, name)
        return is_rendered or (not is_template(value) if isinstance(value, str) else not hasattr(value, "resolve"))

    def _lookback(self, mark: str) -> Position:
        if self.lookback is None:
            return self.values.unit(mark)
        if isinstance(self.lookback, timedelta):
            return Decimal(self.lookback // timedelta(microseconds=1)).scaleb(-6)
        return self.lookback if isinstance(self.lookback, int) else Decimal(repr(self.lookback))

    def _sent(self, text: str, template: str, conn_id: str) -> Any:
        """Return a value as it is sent: text, or a number in a JSON body if ``initial`` is a number."""
        is_number = self.param_in == "body" and template == MARK and not isinstance(self.initial, str)
        if not is_number or self.format not in NUMBERS:
            return template.replace(MARK, text)
        number = Decimal(text)
        sent = int(number) if number == number.to_integral_value() else float(number)
        if Decimal(repr(sent)) != number:
            raise ConfigurationError(
                f"Connection {conn_id!r}: Incremental: {text} has more digits than a decimal number in a JSON body can "
                "have. If the API accepts text, set initial to text."
            )
        return sent

    def _is_set(self, request: ListRequest, name: str) -> bool:
        """Return whether the list or its paginator sets a parameter."""
        paginator = request.paginator
        if getattr(paginator, "param_in", "query") == self.param_in and name in getattr(paginator, "first_params", {}):
            return True
        if self.param_in == "header":
            return any(each.lower() == name.lower() for each, value in (request.headers or {}).items() if value)
        if self.param_in == "body":
            return value_at(getattr(request, _body_field(request)), name) is not None
        query = request.data if _has_query_in_data(request) else request.request_params
        names = {each for each, _ in parse_qsl(urlsplit(request.endpoint).query, keep_blank_values=True)}
        return name in names or (query or {}).get(name) is not None


def _has_query_in_data(request: ListRequest) -> bool:
    """Return whether ``data`` is the query, as in ``HttpHook``."""
    return request.method.upper() == "GET" and bool(request.data)


def _body_field(request: ListRequest) -> str:
    return "data" if request.data and request.method.upper() != "GET" else "json"


def _hash(name: str, value: Any) -> str:
    text = json.dumps([name, _plain(value)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def _plain(value: Any) -> Any:
    """Return a value that is JSON and the same in each process."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(json.dumps(_plain(each), sort_keys=True) for each in value)
    return value if value is None or isinstance(value, (str, int, float)) else str(value)
