"""Converts the values in a connection's ``extra`` to the types of their fields."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_oauth.protocol.callback_values import is_header_value
from airflow_provider_oauth.protocol.field_labels import label_and_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.fields import Field


class InvalidField(Exception):
    """A field is missing or invalid. The text names the field and does not quote secrets."""


def coerce(key: str, field: Field, value: Any) -> Any:
    """Convert ``value`` to the type of its field.

    In a connection that was created from a URI, any value can be a string, and the value of a string field can be a
    number or a boolean.

    :param key: the key in ``extra``
    :param field: the definition of the field
    :param value: the value in ``extra``
    :raises InvalidField: if the value is not valid for the field
    """
    coercion = BY_KEY.get(key) or BY_TYPE[field.type]
    try:
        result = coercion.convert(value)
    except (ValueError, TypeError, RecursionError):
        advice = coercion.advice or f"Example: {field.example or coercion.example}"
        raise InvalidField(f"{label_and_key(field.label, key)} is not a valid {coercion.kind}. {advice}") from None
    if field.minimum is not None and result < field.minimum:
        raise InvalidField(f"{label_and_key(field.label, key)} must be at least {field.minimum}.")
    return result


def to_headers(value: Any) -> dict[str, str]:
    """Convert a JSON object to headers. Headers that are null are omitted.

    :raises ValueError: if a name or value is not allowed (RFC 9110 sections 5.1 and 5.5), for example because a line
        break in it would start another header
    :raises TypeError: if it is not a JSON object of strings and integers
    """
    headers = {name: _to_string(text) for name, text in _to_object(value).items() if text is not None}
    for name, text in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not is_header_value(text):
            raise ValueError
    return headers


def _to_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    # Airflow turns a string in a connection URI into a number or a boolean if it looks like one. Integers and booleans
    # are turned back. A float is refused, because its spelling is lost: 1e10 and 10000000000.0 are the same number.
    if not isinstance(value, int):
        raise TypeError
    return json.dumps(value)


def _to_integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError
    return int(value)


def _to_boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("true", "t", "yes", "y", "on", "1"):
        return True
    if text in ("false", "f", "no", "n", "off", "0"):
        return False
    raise ValueError


def _to_object(value: Any) -> dict[str, Any]:
    decoded = json.loads(value) if isinstance(value, str) else value
    if not isinstance(decoded, dict):
        raise TypeError
    return decoded


def _to_scheme(value: Any) -> str:
    scheme = _to_string(value)
    if not re.fullmatch(r"[\x21-\x7e]+( [\x21-\x7e]+)*", scheme):
        raise ValueError
    return scheme


def _to_proxies(value: Any) -> dict[str, str]:
    # A single URL is the proxy for both http and https, like ``proxy`` in HttpHook.
    if isinstance(value, str) and re.fullmatch(r"[^\s{}\x00-\x1f]+", value):
        return {"http": value, "https": value}
    return {scheme: _to_string(proxy) for scheme, proxy in _to_object(value).items()}


def _to_header_name(value: Any) -> str:
    return next(iter(to_headers({_to_string(value): ""})))


def _to_private_key(value: Any) -> str:
    # A JWK or a Google service account may be in extra as an object.
    return json.dumps(value) if isinstance(value, dict) else _to_string(value)


def _to_statuses(value: Any) -> tuple[int, ...]:
    statuses = tuple(map(int, _to_string(value).replace(",", " ").split()))
    # After a status below 400 the API has carried out the request, so the request must not be repeated.
    if not all(400 <= status <= 599 for status in statuses):
        raise ValueError
    return statuses


def _to_jmespath(value: Any) -> str:
    import jmespath  # here and below only when it is used: few connections have a JMESPath

    return str(jmespath.compile(_to_string(value)).expression)


def _pairs(value: Any, name: str, is_valid: Callable[[str, str], bool], kind: str, example: str) -> dict[str, str]:
    """Convert ``name=value, name=value`` to a dict.

    :param value: the value in ``extra``
    :param name: the label and the key of the field, for errors
    :param is_valid: whether the parts of a pair are valid
    :param kind: what a pair must be, as in "is not a pair of a name and a JMESPath"
    :param example: a valid pair
    """
    pairs: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in _to_string(value).split(","))):
        left, _, right = (part.strip() for part in pair.partition("="))
        if left in pairs:
            raise InvalidField(f"{name} has {left!r} twice. Remove one of them.")
        if not (left and right and is_valid(left, right)):
            raise InvalidField(f"{name} has {pair!r}, which is not a pair of {kind}. Example: {example}")
        pairs[left] = right
    return pairs


def _to_response_map(value: Any) -> dict[str, str]:
    field = "Token response map (response_map)"
    return _pairs(value, field, lambda _, path: _is_jmespath(path), "a name and a JMESPath", "access_token=data.token")


def _to_request_map(value: Any) -> dict[str, str]:
    field = "Request map (request_map)"
    return _pairs(value, field, _is_renaming, "a parameter and its other name", "client_id=client_key")


def _to_callback_map(value: Any) -> dict[str, str]:
    field = "Callback values (callback_map)"
    kind = "a name (letters, digits and _) and a parameter of the callback"
    return _pairs(value, field, _is_renaming, kind, "realm_id=realmId")


def _is_renaming(name: str, parameter: str) -> bool:
    """Return whether both are the names of parameters; the first one must be an identifier."""
    is_identifier = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None
    return is_identifier and re.fullmatch(r"[\x21-\x3c\x3e-\x7e]+", parameter) is not None


def _is_jmespath(path: str) -> bool:
    import jmespath
    from jmespath.exceptions import JMESPathError, JMESPathTypeError

    try:
        jmespath.search(path, {})
    except JMESPathTypeError:
        return True  # a function in it fails, but only because there is no data
    except JMESPathError:
        return False
    return True


def _to_verify(value: Any) -> bool | str:
    try:
        return _to_boolean(value)
    except ValueError:
        return _to_string(value)


def _to_cert(value: Any) -> str | tuple[str, str]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = json.loads(value)
    if isinstance(value, list):
        certificate, key = map(_to_string, value)
        return certificate, key
    return _to_string(value)


class _Coercion(NamedTuple):
    """How a value is converted, and the parts of the error text if the conversion fails.

    :param convert: returns the converted value; raises ``ValueError`` or ``TypeError`` if the value is invalid
    :param kind: what the value must be, as in "is not a valid integer"
    :param example: a valid value; used if the field itself defines no example
    :param advice: what to do; used in place of an example
    """

    convert: Callable[[Any], Any]
    kind: str
    example: str = ""
    advice: str = ""


_HEADERS = _Coercion(to_headers, "JSON object of headers")
_VERIFY = _Coercion(_to_verify, "boolean or path")
_PROXIES = _Coercion(_to_proxies, "JSON object or URL")

BY_TYPE = {
    "string": _Coercion(_to_string, "string", advice="Write the value in quotes."),
    "integer": _Coercion(_to_integer, "integer"),
    "boolean": _Coercion(_to_boolean, "boolean", advice="Set it to true or false."),
    "object": _Coercion(_to_object, "JSON object", '{"name": "value"}'),
}
#: Conversions of single fields. They take precedence over the conversion for the field's type.
BY_KEY = {
    "api_headers": _HEADERS,
    "secret_headers": _HEADERS,
    "grant_headers": _HEADERS,
    "secret_grant_headers": _HEADERS,
    "private_key": _Coercion(_to_private_key, "string", advice="Write the value in quotes."),
    "header_name": _Coercion(_to_header_name, "header name"),
    "auth_scheme": _Coercion(_to_scheme, "authorization scheme"),
    "renew_on": _Coercion(_to_statuses, "list of statuses from 400 to 599"),
    "error_path": _Coercion(_to_jmespath, "JMESPath expression"),
    "response_map": _Coercion(_to_response_map, "list of pairs"),
    "request_map": _Coercion(_to_request_map, "list of pairs"),
    "callback_map": _Coercion(_to_callback_map, "list of pairs"),
    "verify": _VERIFY,
    "verify_ssl": _VERIFY,
    "cert": _Coercion(_to_cert, "path or list of two paths"),
    "proxies": _PROXIES,
    "proxy": _PROXIES,
}
