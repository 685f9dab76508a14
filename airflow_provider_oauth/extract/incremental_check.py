"""Checks the parameters of an incremental extract."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.jmes import is_template
from airflow_provider_oauth.extract.mark_request import MARK, PLACE, written
from airflow_provider_oauth.extract.mark_values import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.extract.incremental import Incremental

#: Where the parameters can be sent.
PLACES = ("query", "header", "body")
#: The templated parameters that can be None.
OPTIONAL = ("param", "end_param", "key")


def check_incremental(incremental: Incremental, conn_id: str, *, is_rendered: bool) -> None:
    """Check the parameters.

    :param incremental: the parameters
    :param conn_id: the connection ID, for errors
    :param is_rendered: whether the templates were rendered. If false, templates and results of other tasks are not
        checked
    :raises ConfigurationError: if one of them is invalid
    """
    values = {name: getattr(incremental, name) for name in incremental.template_fields}
    final = {name: value for name, value in values.items() if is_rendered or _is_final(value)}
    problem = (
        _text_problem(final)
        or _field_problem(incremental, final)
        or _request_problem(incremental, final)
        or _format_problem(incremental)
        or _lookback_problem(incremental)
        or _initial_problem(incremental, final)
        or _notation_problem(incremental, final)
    )
    if problem:
        raise ConfigurationError(f"Connection {conn_id!r}: {problem}.")


def _text_problem(final: Mapping[str, Any]) -> str | None:
    for name, value in final.items():
        is_text = isinstance(value, str) and value
        if name != "initial" and not (is_text or (value is None and name in OPTIONAL)):
            return f"{name} of Incremental is {value!r}. Set it to text that is not empty"
    return None


def _field_problem(incremental: Incremental, final: Mapping[str, Any]) -> str | None:
    if "field" not in final:
        return None
    try:
        _ = incremental.keys
    except ValueError:
        return (
            f"field {incremental.field!r} of Incremental is not a path of keys. Write keys joined by dots, with "
            'special characters in double quotes: attributes.updated or "a.b"'
        )
    return None


def _request_problem(incremental: Incremental, final: Mapping[str, Any]) -> str | None:
    if "value" in final and not PLACE.search(incremental.value):
        return (
            f"value {incremental.value!r} of Incremental does not contain {MARK}, so it would never change. Add {MARK}"
        )
    if incremental.param_in not in PLACES:
        return f"param_in of Incremental is {incremental.param_in!r}. Set it to one of {', '.join(PLACES)}"
    if incremental.param is None and not (incremental.client_side or incremental.descending):
        return (
            "param of Incremental is not set, so each run would read all rows. Set it to the parameter by which the "
            "API filters. If the API does not filter, set client_side=True or descending=True"
        )
    if incremental.param is not None and incremental.param == incremental.end_param:
        return "param and end_param of Incremental are the same. Correct one of them"
    return None


def _format_problem(incremental: Incremental) -> str | None:
    for name in ("format", "timezone"):
        value = getattr(incremental, name)
        if not (isinstance(value, str) or (value is None and name == "timezone")):
            return f"{name} of Incremental is {value!r}. Set it to text"
    try:
        is_time = incremental.values.is_time
    except ValueError as error:
        return f"Incremental: {error}"
    if incremental.timezone is not None and incremental.format in NUMBERS and incremental.value == MARK:
        return f"timezone of Incremental has no effect with the format {incremental.format!r}. Remove it"
    if incremental.end_param is not None and not is_time:
        return f"end_param of Incremental is a time, and the values of format {incremental.format!r} are not. Remove it"
    return None


def _lookback_problem(incremental: Incremental) -> str | None:
    lookback, is_time = incremental.lookback, incremental.values.is_time
    number: Any = lookback.total_seconds() if isinstance(lookback, timedelta) and is_time else lookback
    types = (int, float) if is_time else (int,)
    if lookback is None or (isinstance(number, types) and not isinstance(number, bool) and 0 <= number < math.inf):
        return None
    expected = "a timedelta or a number of seconds" if is_time else "an integer"
    return f"lookback of Incremental is {lookback!r}. Set it to {expected} that is not negative"


def _initial_problem(incremental: Incremental, final: Mapping[str, Any]) -> str | None:
    initial = incremental.initial
    if "initial" not in final:
        return None
    if isinstance(initial, bool) or not isinstance(initial, (str, int, float)):
        return f"initial of Incremental is {initial!r}. Set it to text or a number"
    try:
        incremental.values.position(incremental.initial_text)
    except ValueError as error:
        return f"initial of Incremental does not match its format {incremental.format!r}: {error}"
    return None


def _notation_problem(incremental: Incremental, final: Mapping[str, Any]) -> str | None:
    if not {"value", "initial"} <= final.keys():
        return None
    for notation in filter(None, PLACE.findall(incremental.value)):
        try:
            written(incremental, incremental.initial_text, notation)
        except ValueError as error:
            return f"value of Incremental cannot be sent in the format {notation!r}: {error}"
    return None


def _is_final(value: Any) -> bool:
    """Return whether a value stays as it is: not a template, and not the result of another task."""
    return not is_template(value) if isinstance(value, str) else not hasattr(value, "resolve")
