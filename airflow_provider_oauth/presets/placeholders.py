"""Placeholders in the fields of a vendor file, such as ``{subdomain}`` in ``https://{subdomain}.zendesk.com``.

The person who edits a connection enters the values, so a value must not be able to change the host of a URL to one that
the vendor file does not allow.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_oauth.protocol.config import url_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

#: Fields with a URL.
URL_FIELDS = ("host", "grant_url", "refresh_url", "authorize_url", "revoke_url", "par_url", "device_url", "issuer")
#: A placeholder.
NAME = re.compile(r"\{([A-Za-z_]\w*)\}")
#: One label of a host name (RFC 1123 section 2.1). A label such as ``xn--…`` is a label too.
LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
#: How many labels must follow a placeholder without choices: ``{name}.com`` could be any company.
FIXED_LABELS = 2


def names_in(value: Any) -> set[str]:
    """Return the names of the placeholders in a text, or in the texts of a JSON value."""
    if isinstance(value, str):
        return set(NAME.findall(value))
    if isinstance(value, dict):
        value = list(value.values())
    return {name for each in value for name in names_in(each)} if isinstance(value, list) else set()


def filled(value: Any, values: Mapping[str, str], *, is_url: bool) -> Any:
    """Return a field with values instead of its placeholders. Placeholders without a value stay.

    :param value: the field in the vendor file
    :param values: the texts to insert, by name
    :param is_url: whether the field is a URL. After the host, values are then URL-encoded
    """
    if isinstance(value, dict):
        return {key: filled(each, values, is_url=False) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, values, is_url=False) for each in value]
    if not isinstance(value, str):
        return value
    if not is_url:
        return _replaced(value, values, str)
    host, rest = _split(value)
    return _replaced(host, values, str) + _replaced(rest, values, lambda text: quote(text, safe=""))


def host_names(url: str) -> set[str]:
    """Return the names of the placeholders in the host of a URL."""
    return names_in(_split(url)[0])


def template_problem(url: str, choices: Mapping[str, Collection[str]]) -> str | None:
    """Return why a URL of a vendor file is refused, as a predicate; None if it is accepted.

    :param url: the URL, or a path that is relative to the API base URL
    :param choices: the texts that can be inserted, by placeholder; empty if a placeholder can be any text
    """
    if "://" not in url:
        return None
    if not url.startswith("https://"):
        return "is not an https URL"
    host, rest = _split(url)
    authority = host.removeprefix("https://")
    if "@" in authority:
        return "must not contain a user name or password"
    for name in names_in(authority):
        if not choices[name] and (problem := _open_placeholder_problem(authority, name)):
            return problem
    for sample in _samples(authority, choices):
        if not all(map(LABEL.fullmatch, re.sub(r":[0-9]+$", "", sample).split("."))):
            return f"has the host {sample!r}, which is not a valid host name"
    return url_problem(f"https://example.com{NAME.sub('x', rest)}", allow_http=False)


def _open_placeholder_problem(authority: str, name: str) -> str | None:
    """Return why a placeholder that can be any text is refused in a host; None if it is accepted."""
    text = f"{{{name}}}"
    labels = authority.split(".")
    for place in [i for i, label in enumerate(labels) if text in label]:
        if labels[place] != text or place == len(labels) - 1:
            return f"has {text} next to other characters of its host. It must be a whole name between two dots"
        # Numbers do not count: 127.0.0.1 is an address.
        if len([each for each in labels[place:] if LABEL.fullmatch(each) and not each.isdigit()]) < FIXED_LABELS:
            return f"needs at least two fixed names after {text} in its host, such as {text}.example.com"
    return None


def _samples(authority: str, choices: Mapping[str, Collection[str]]) -> list[str]:
    """Return the hosts that are possible, with ``x`` for a placeholder that can be any text."""
    samples = [authority]
    for name in names_in(authority):
        samples = [each.replace(f"{{{name}}}", text) for each in samples for text in (choices[name] or ["x"])]
    return samples


def _split(url: str) -> tuple[str, str]:
    """Split a URL into scheme and host, and the rest. A relative URL has no host."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*://[^/?#\\]*)?(.*)", url, re.DOTALL)
    return (found[1] or "", found[2]) if found else ("", url)


def _replaced(text: str, values: Mapping[str, str], encode: Callable[[str], str]) -> str:
    return NAME.sub(lambda found: encode(values[found[1]]) if found[1] in values else found[0], text)
