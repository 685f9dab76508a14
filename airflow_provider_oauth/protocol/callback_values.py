"""Values that are kept with the grant, and their use in requests to the API.

Callback values (``callback_map``) come from the callback. QuickBooks, for example, sends the ID of the company that the
user has chosen (``realmId``). They come through the browser, so they are not trusted. Lookup values come from the API
(``lookup.py``). Each value is checked when it is received and when it is read from the store. A value that is entered
in the connection (``vendor_values``) is used instead of a stored one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig

#: The name in ``callback_map`` that renames the parameter with the code, instead of keeping a value.
CODE = "code"
#: Parameters of the callback that this package checks itself (RFC 6749 section 4.1.2, RFC 9207).
RESERVED = ("state", "iss", "error")
#: Maximum number of characters of a value.
MAX_LENGTH = 512
#: Replaces bytes that are not valid UTF-8 when a callback is read. The value that was sent is lost.
UNREADABLE = "\N{REPLACEMENT CHARACTER}"
#: Minimum length of a part of a secret. A shorter one could be part of other words.
MIN_SECRET = 8
#: Matches the first character after the host of a URL.
AFTER_HOST = re.compile(r"[/?#\\]")
#: The fields with URLs, which must not contain values.
URLS = ("base_url", "token_url", "refresh_url", "authorize_url", "revoke_url", "par_url", "device_url", "issuer")


def code_parameter(callback_map: Mapping[str, str]) -> str:
    """Return the name of the callback's parameter that contains the code."""
    return callback_map.get(CODE, CODE)


def kept_values(callback_map: Mapping[str, str]) -> dict[str, str]:
    """Return the callback's parameter of each value that is kept, by the name of the value."""
    return {name: parameter for name, parameter in callback_map.items() if name != CODE}


def stored_names(config: OAuthConfig) -> dict[str, str]:
    """Return under which key each value is stored with the grant, by its name.

    The key of a callback value is the callback's parameter. The key of a lookup value is its name.
    """
    looked_up = config.lookup.values if config.lookup else {}
    return {**kept_values(config.callback_map), **{name: name for name in looked_up}}


def check_values(config: OAuthConfig) -> None:
    """Check the names of callback and lookup values, the entered values, and that no URL contains one of the names.

    :raises ConfigurationError: if a name or value is not allowed
    """
    if config.callback_map:
        _check_callback_map(config)
    for name in config.lookup.values if config.lookup else ():
        if name in config.callback_map or name in config.callback_map.values():
            problem = f"has {name!r}, which is the name of a value that the vendor's API returns. Use another name"
            raise config.error("callback_map", problem)
    for name, value in config.vendor_values.items():
        if not is_valid(value):
            problem = f"has a value of {name} that is blank, not printable, or longer than {MAX_LENGTH} characters"
            raise config.error("vendor_values", f"{problem}. Correct it")
    names = _all_names(config)
    for field in URLS:
        for name in _names(getattr(config, field) or "", names):
            raise config.error(
                field,
                f"contains {{{name}}}, but callback and lookup values cannot be part of this URL. Remove it, and use "
                "the value in endpoints, API parameters or API headers",
            )


def _check_callback_map(config: OAuthConfig) -> None:
    if config.grant_type != "authorization_code":
        problem = f"has no effect with the grant type {config.grant_type}, which has no callback. Remove it"
        raise config.error("callback_map", problem)
    code = code_parameter(config.callback_map)
    for name in filter(config.callback_map.__contains__, RESERVED):
        raise config.error("callback_map", f"must not contain the name {name!r}. Choose another name")
    for name, parameter in config.callback_map.items():
        if parameter in RESERVED or (name != CODE and parameter in (CODE, code)):
            problem = f"must not use the parameter {parameter!r}, because it is not a value of the user's account"
            raise config.error("callback_map", f"{problem}. Remove {name}={parameter}")


def is_valid(value: Any) -> bool:
    """Return whether a value may be used: printable text that is not blank and cannot change the path of a URL."""
    if not isinstance(value, str) or len(value) > MAX_LENGTH:
        return False
    return value.isprintable() and UNREADABLE not in value and value.strip(". ") != ""


def is_header_value(text: str) -> bool:
    """Return whether ``text`` is allowed as the value of a header (RFC 9110 section 5.5), in Latin-1."""
    return re.fullmatch(r"(?!\s)[\t\x20-\x7e\x80-\xff]*", text) is not None


def stored_values(config: OAuthConfig, stored: Mapping[str, str]) -> dict[str, str]:
    """Return the values that are stored with a grant, by their names. Names without a stored value are left out.

    :param config: the connection
    :param stored: the stored values, by their keys; see ``stored_names``
    """
    return {name: stored[key] for name, key in stored_names(config).items() if key in stored}


def named_values(config: OAuthConfig, stored: Mapping[str, str]) -> dict[str, str]:
    """Return the values to use in requests, by their names: those in the connection, otherwise the stored ones.

    :param config: the connection
    :param stored: the stored values, by their keys; see ``stored_names``
    """
    return {**stored_values(config, stored), **config.vendor_values}


def names_in(value: Any, config: OAuthConfig) -> frozenset[str]:
    """Return the names of values that occur as ``{name}`` in a text, or in the texts of a JSON value."""
    names = _all_names(config)
    return frozenset(name for text in _texts(value) for name in _names(text, names)) if names else frozenset()


def fixed_parts(text: str, config: OAuthConfig) -> list[str]:
    """Return a secret, and its parts before and after the places of values: it is sent with other text between them.

    :param text: the value of a secret parameter or header
    :param config: the connection
    """
    names = _all_names(config)
    if not any(_names(text, names)):
        return [text]
    parts = re.split("|".join(re.escape(f"{{{name}}}") for name in names), text)
    return [text, *(part for part in parts if len(part) >= MIN_SECRET)]


def filled(value: Any, values: Mapping[str, str]) -> Any:
    """Return a text, or a JSON value, with the values instead of ``{name}``. All other braces stay.

    :param value: the value of a parameter or header
    :param values: the values by name
    """
    if isinstance(value, str):
        return _filled(value, values, str)
    if isinstance(value, list):
        return [filled(each, values) for each in value]
    if isinstance(value, dict):
        return {name: filled(each, values) for name, each in value.items()}
    return value


def filled_endpoint(endpoint: str, values: Mapping[str, str]) -> str:
    """Return an endpoint with the values, URL-encoded, instead of ``{name}``. The host stays as it is.

    :param endpoint: a path relative to the API's base URL, or an absolute URL
    :param values: the values by name
    """
    scheme, separator, rest = endpoint.partition("://")
    if separator and "?" not in scheme:
        found = AFTER_HOST.search(rest)
        start = len(scheme + separator) + (found.start() if found else len(rest))
    else:
        start = 0
    return endpoint[:start] + _filled(endpoint[start:], values, lambda value: quote(value, safe=""))


def _filled(text: str, values: Mapping[str, str], encode: Callable[[str], str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: encode(values[found[1]]) if found[1] in values else found[0], text)


def _all_names(config: OAuthConfig) -> set[str]:
    """Return the names of all values that requests can have."""
    return {*stored_names(config), *config.vendor_values}


def _names(text: str, names: Collection[str]) -> Iterator[str]:
    return filter(names.__contains__, re.findall(r"\{(\w+)\}", text))


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value, without the names of members."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
