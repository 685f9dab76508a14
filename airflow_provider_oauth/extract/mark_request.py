"""The request of an incremental extract: adds the parameters of a run, and returns hashes that show what changed."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.body import value_at, with_values
from airflow_provider_oauth.extract.mark_values import NUMBERS, values_of
from airflow_provider_oauth.extract.request import check_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.extract.incremental import Incremental
    from airflow_provider_oauth.extract.mark_values import Position
    from airflow_provider_oauth.extract.request import ListRequest

#: The place of the mark in ``value``, in the notation of the API's rows.
MARK = "{mark}"
#: The place of the mark, with or without a notation: ``{mark:epoch_ms}``.
PLACE = re.compile(r"\{mark(?::([^{}]+))?\}")
#: Number of hexadecimal digits of a hash.
HASH_LENGTH = 16
#: The parameters of ``Incremental`` that determine which rows the API returns.
DISTINGUISHING = ("field", "format", "timezone", "param", "value", "param_in")


def with_parameters(
    incremental: Incremental, request: ListRequest, since: str, end: str | None, conn_id: str
) -> ListRequest:
    """Return a list with the parameters of a run.

    :param incremental: the names of the parameters
    :param request: the list, whose templates were rendered
    :param since: the value that the run sends
    :param end: the value of ``end_param``; None if there is none
    :param conn_id: the connection ID, for errors
    :raises ConfigurationError: if the list is invalid or has one of the parameters, or its body has no such place
    """
    check_list(request, conn_id)
    added: dict[str, Any] = {}
    if incremental.param is not None:
        added[incremental.param] = _sent(incremental, since, incremental.value, conn_id)
    if incremental.end_param is not None and end is not None:
        place = PLACE.search(incremental.value)
        added[incremental.end_param] = _sent(incremental, end, place[0] if place else MARK, conn_id)
    for name in added:
        if _is_set(incremental.param_in, request, name):
            raise ConfigurationError(
                f"Connection {conn_id!r}: Incremental sets the parameter {name!r}, but the list or its paginator sets "
                "it too. Remove it there, or correct param and end_param of Incremental."
            )
    if not added:
        return request
    where = _field_of(incremental.param_in, request)
    old = getattr(request, where) or None
    try:
        new = with_values(old, added) if incremental.param_in == "body" else {**(old or {}), **added}
    except ValueError as error:
        raise ConfigurationError(
            f"Connection {conn_id!r}: Incremental cannot set {', '.join(map(repr, added))} in the body of the request: "
            f"{error}. Correct param and end_param, or set {where} to an object that has this place."
        ) from None
    changes: dict[str, Any] = {where: new}
    return replace(request, **changes)


def fingerprint(
    incremental: Incremental, request: ListRequest, conn_id: str, account_values: Mapping[str, str]
) -> dict[str, str]:
    """Return a hash of each parameter that determines which rows the API returns, by its name.

    Headers, parameters that are not sent, and parameters that only determine the pages are left out.

    :param incremental: the parameters of the incremental extract
    :param request: the list, whose templates were rendered, without the parameters of a run
    :param conn_id: the connection ID
    :param account_values: the callback, lookup and vendor values of the connection, by their names. They identify the
        account whose rows the API returns
    :raises ConfigurationError: if the list is invalid
    """
    check_list(request, conn_id)
    parts: dict[str, Any] = {"connection": conn_id, "method": request.method.upper(), "endpoint": request.endpoint}
    parts |= {name: getattr(incremental, name) for name in DISTINGUISHING}
    parts |= {f"account.{name}": value for name, value in account_values.items()}
    query = getattr(request, _query_field(request)) or {}
    parts |= {f"request_params.{name}": value for name, value in query.items()}
    parts["json"] = request.json or None
    if _query_field(request) != "data":
        parts["data"] = request.data or None
    return {name: _hash(name, value) for name, value in parts.items() if value is not None}


def _sent(incremental: Incremental, text: str, template: str, conn_id: str) -> Any:
    """Return a value as it is sent: text, or a number in a JSON body."""
    is_number = template == MARK and incremental.param_in == "body" and not isinstance(incremental.initial, str)
    if not is_number or incremental.format not in NUMBERS:
        return PLACE.sub(lambda place: written(incremental, text, place[1]), template)
    number = Decimal(text)
    sent = int(number) if number == number.to_integral_value() else float(number)
    if Decimal(repr(sent)) != number:
        raise ConfigurationError(
            f"Connection {conn_id!r}: Incremental cannot send {text} as a number in the body, because a float would "
            "change its digits. If the API accepts text, set initial to text."
        )
    return sent


def written(incremental: Incremental, text: str, notation: str | None) -> str:
    """Return a value in the notation that ``value`` names, rounded down.

    :param incremental: the parameters
    :param text: the value as the API wrote it
    :param notation: the notation, like ``format`` of ``Incremental``; None for that of the API
    :raises ValueError: if the notation is not supported, or it has no offset and ``timezone`` is not set
    """
    if notation is None:
        return text
    values = values_of(notation, incremental.timezone)
    if not (values.is_time and incremental.values.is_time):
        raise ValueError("only times can be written in another format")
    # In an hour that a zone repeats, the time before that hour is sent, as by Incremental.since.
    return values.earlier(values.write(incremental.values.position(text), values.example), 0)


def sent_position(incremental: Incremental, since: str) -> Position:
    """Return the position of the value that is sent, which is before ``since`` if its notation has larger units.

    :param incremental: the parameters, which are valid
    :param since: the value that the run sends, as the API wrote it
    """
    positions = [incremental.values.position(since)]
    for notation in filter(None, PLACE.findall(incremental.value)):
        values = values_of(notation, incremental.timezone)
        positions.append(values.position(written(incremental, since, notation)))
    return min(positions)


def _is_set(param_in: str, request: ListRequest, name: str) -> bool:
    """Return whether the list or its paginator sets a parameter."""
    paginator = request.paginator
    if getattr(paginator, "param_in", "query") == param_in and name in getattr(paginator, "first_params", {}):
        return True
    values = getattr(request, _field_of(param_in, request))
    if param_in == "body":
        return value_at(values, name) is not None
    if param_in == "header":
        return any(each.lower() == name.lower() for each, value in (values or {}).items() if value is not None)
    in_endpoint = parse_qsl(urlsplit(request.endpoint).query, keep_blank_values=True)
    return (values or {}).get(name) is not None or any(each == name for each, _ in in_endpoint)


def _field_of(param_in: str, request: ListRequest) -> str:
    """Return the name of the field of the list to which the parameters are added."""
    if param_in == "header":
        return "headers"
    if param_in == "query":
        return _query_field(request)
    return "data" if request.data and request.method.upper() != "GET" else "json"


def _query_field(request: ListRequest) -> str:
    """Return the name of the field with the query. With GET, ``data`` is the query too, as in ``HttpHook``."""
    return "data" if request.data and request.method.upper() == "GET" else "request_params"


def _hash(name: str, value: Any) -> str:
    text = json.dumps([name, _plain(value)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def _plain(value: Any) -> Any:
    """Return a value as JSON that is the same in each process."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(json.dumps(_plain(each), sort_keys=True) for each in value)
    return value if value is None or isinstance(value, (str, int, float)) else str(value)
