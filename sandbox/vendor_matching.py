"""Compares a request with a documented one."""

from __future__ import annotations

import email
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sandbox.vendor_example import Request

MEDIA_TYPES = {
    "form": "application/x-www-form-urlencoded",
    "json": "application/json",
    "multipart": "multipart/form-data",
}
#: Headers that every HTTP client sends.
USUAL_HEADERS = {"host", "user-agent", "accept", "accept-encoding", "connection", "content-length", "content-type"}


@dataclass(frozen=True)
class Received:
    """A request that was sent.

    :param method: the HTTP method
    :param url: the URL without query
    :param query: the query
    :param headers: the headers, by name in lower case
    :param body: the body
    """

    method: str
    url: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media_type(self) -> str:
        """The media type of the body."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def parameters(self) -> dict[str, Any]:
        """Return the parameters in the query and in the body, by place and name, such as ``query page``.

        :raises ValueError: if the body cannot be read
        """
        return _placed("query", _once(parse_qsl(self.query, keep_blank_values=True))) | _placed("body", self._fields())

    def _fields(self) -> Any:
        if not self.body:
            return {}
        if self.media_type == MEDIA_TYPES["json"]:
            return json.loads(self.body)
        if self.media_type == MEDIA_TYPES["form"]:
            return _once(parse_qsl(self.body.decode(), keep_blank_values=True))
        if self.media_type == MEDIA_TYPES["multipart"]:
            content_type = self.headers["content-type"].encode()
            parts = email.message_from_bytes(b"Content-Type: " + content_type + b"\r\n\r\n" + self.body).get_payload()
            return _once((_name(part), part.get_payload(decode=True).decode()) for part in parts)
        raise ValueError(f"the content type {self.media_type or '(none)'} is not known")


@dataclass(frozen=True)
class Comparison:
    """How a request differs from a documented one.

    :param differences: what contradicts the documentation
    :param extras: what the documentation does not mention, such as ``query page``
    """

    differences: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()


def has_url(documented: Request, received: Received) -> bool:
    """Return whether a request was sent to the URL of a documented one."""
    return _normal(documented.url) == _normal(received.url)


def compare(
    documented: Request, received: Received, tokens: Mapping[str, str], elsewhere: Collection[str] = ()
) -> Comparison:
    """Compare a request with a documented one.

    :param documented: the documented request
    :param received: the request
    :param tokens: texts in the documented request, and the texts that they stand for
    :param elsewhere: parameters of other pages of the list, such as ``query page``
    """
    differences = []
    if received.method != documented.sent_method:
        differences.append(f"the method is {received.method}; documented: {documented.sent_method}")
    try:
        sent = received.parameters()
    except ValueError as error:
        return Comparison((*differences, f"the body cannot be read: {error}"))
    expected, optional = (_replaced(each, tokens) for each in documented_parameters(documented))
    differences += _media_type_differences(documented, received)
    differences += [text for name, value in expected.items() if (text := _difference(name, value, sent))]
    differences += [
        text for name, value in optional.items() if _present(name, sent) and (text := _difference(name, value, sent))
    ]
    for name, part in _replaced(contained_parameters(documented), tokens).items():
        if part.lower() not in str(sent.get(name, "")).lower():
            differences.append(f"{name} is {_shown(sent.get(name))}; documented: it contains {part!r}")
    names = {name.split(" ", 1)[1]: name for name in sent}
    names |= {name: f"header {name}" for name in received.headers}
    differences += [
        f"{names[name]} is sent; documented: it must not be sent" for name in documented.absent if name in names
    ]
    headers = {name.lower(): _as_text(value, tokens) for name, value in documented.headers.items()}
    for name, value in headers.items():
        found = received.headers.get(name)
        if found is None or not _matches(value, found):
            differences.append(f"header {name} is {_shown(found)}; documented: {value!r}")
    unknown = [name for name in sent if not _covered(name, {*expected, *optional, *contained_parameters(documented)})]
    differences += [f"{name} is sent; documented: only for other pages" for name in unknown if name in elsewhere]
    extras = [name for name in unknown if name not in elsewhere]
    extras += [f"header {name}" for name in received.headers if name not in {*headers, *USUAL_HEADERS}]
    return Comparison(tuple(differences), tuple(extras))


def documented_parameters(documented: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters that must be sent and those that may be sent, by place and name."""
    place = "query" if documented.format == "query" else "body"
    nested = documented.format == "json"
    required, optional = (
        _placed(place, each, nested=nested) for each in (documented.params, documented.optional_params)
    )
    if documented.json is not None:
        required |= _placed("body", json.loads(documented.json))
    return required, optional


def contained_parameters(documented: Request) -> dict[str, Any]:
    """Return the texts that parameters must contain, by place and name."""
    place = "query" if documented.format == "query" else "body"
    return _placed(place, documented.params_contain, nested=False)


def _media_type_differences(documented: Request, received: Received) -> list[str]:
    kind = "json" if documented.json is not None else documented.format
    if kind == "query" or not (received.body or documented.params or documented.json):
        return []
    if received.media_type == MEDIA_TYPES[kind]:
        return []
    return [f"the content type is {received.media_type or '(none)'}; documented: {MEDIA_TYPES[kind]}"]


def _difference(name: str, value: Any, sent: Mapping[str, Any]) -> str | None:
    """Return how a parameter differs from the documented one; None if it does not."""
    if value == "*" and _present(name, sent) and sent.get(name) not in ("", None):
        return None
    if name not in sent:
        return f"{name} is not sent; documented: {value!r}"
    found = sent[name]
    if name.startswith("query ") or isinstance(found, str):
        value = [str(each) for each in value] if isinstance(value, list) else _text(value)
    if value != "*" and (_matches(value, found) if isinstance(value, str) else _same(value, found)):
        return None
    return f"{name} is {found!r}; documented: {value!r}"


def _same(value: Any, found: Any) -> bool:
    """Return whether two JSON values are equal; ``True`` and ``1`` are not."""
    return type(value) is type(found) and value == found


def _present(name: str, sent: Iterable[str]) -> bool:
    return any(each == name or each.startswith(f"{name}.") for each in sent)


def _covered(name: str, documented: Collection[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in documented)


def _matches(value: str, found: Any) -> bool:
    if not isinstance(found, str) or not found:
        return value == found
    return value in ("*", found) or (value.endswith(" *") and found.startswith(value[:-1]))


def _placed(place: str, value: Any, *, nested: bool | None = None) -> dict[str, Any]:
    """Return values by place and path, such as ``body filter.from``.

    :param place: ``query`` or ``body``
    :param value: the values by name
    :param nested: whether the values are JSON; None if ``place`` tells
    """
    is_json = place == "body" if nested is None else nested
    if not isinstance(value, dict):
        return {f"{place} @": value}
    if not is_json:
        return {f"{place} {name}": each for name, each in value.items()}
    return {f"{place} {path}": each for path, each in _leaves(value, "")}


def _leaves(value: Any, path: str) -> Iterable[tuple[str, Any]]:
    children: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list) and any(isinstance(each, (dict, list)) for each in value):
        children = enumerate(value)
    found = [leaf for name, each in children for leaf in _leaves(each, f"{path}.{name}" if path else str(name))]
    yield from found or ([(path, value)] if path else [])


def _once(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return parameters by name. The values of a repeated parameter are a list."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def _name(part: Any) -> str:
    return str(part.get_param("name", header="Content-Disposition"))


def _replaced(values: Mapping[str, Any], tokens: Mapping[str, str]) -> dict[str, Any]:
    return {name: _as_text(value, tokens) if isinstance(value, str) else value for name, value in values.items()}


def _as_text(value: str, tokens: Mapping[str, str]) -> str:
    for name, token in tokens.items():
        value = value.replace(name, token)
    return value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(found: Any) -> str:
    return "not sent" if found is None else repr(found)


def _normal(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), unquote(parts.path) or "/"
