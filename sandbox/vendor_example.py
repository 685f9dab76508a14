"""Reads the examples in ``tests/vendors``: what a vendor documents, as requests and responses.

Check a file with ``python -m sandbox.vendor_example tests/vendors/NAME.toml``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import re
import sys
import tomllib
from datetime import UTC, date, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The folder of the examples.
EXAMPLES = Path(__file__).parent.parent / "tests" / "vendors"
#: A time in a response, in seconds after it is sent: ``{now+30}`` for an epoch time, ``{now+30 iso}`` and so on.
TIME = re.compile(r"\{now\+(\d+)(| ms| iso| http)\}")
#: The keys of ``connection`` that belong to the list, not to the connection.
LIST_KEYS = ("endpoint", "method", "request_params", "json", "records_path")

Format = Literal["form", "json", "multipart", "query"]


class InvalidExample(ValueError):
    """An example file is invalid."""


class Response(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A documented response.

    :param status: its status
    :param headers: its headers; a list for a header that is sent several times
    :param body: its body. ``[ROWS]`` stands for the rows, and ``{now+30}`` for a time
    :param rows: rows as JSON
    :param repeat: how many times the rows are repeated
    """

    status: int = 200
    headers: dict[str, str | tuple[str, ...]] = {}
    body: str = ""
    rows: tuple[str, ...] = ()
    repeat: int = 1

    def header_fields(self, now: datetime) -> list[tuple[str, str]]:
        """Return the headers as they are sent.

        :param now: the current time
        """
        each = {name: (value,) if isinstance(value, str) else value for name, value in self.headers.items()}
        return [(name, with_times(value, now)) for name, values in each.items() for value in values]

    def text(self, now: datetime) -> str:
        """Return the body as it is sent.

        :param now: the current time
        """
        return with_times(self.body.replace("[ROWS]", f"[{','.join(self.rows * self.repeat)}]"), now)

    def documented_rows(self) -> list[Any]:
        """Return the rows of the page: ``rows``, or the only array of objects in the body.

        :raises InvalidExample: if the body has no such array or several
        """
        if self.rows:
            return [json.loads(row) for row in self.rows * self.repeat]
        body = json.loads(self.text(datetime.now(UTC)))
        found = list(_arrays(body))
        if len(found) != 1:
            raise InvalidExample(f"the body of a page has {len(found)} arrays that may be the rows. Use rows = [...].")
        return found[0]


class Alternative(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One of several documented ways to send the same, such as the credentials of the client.

    :param headers: the headers of this way
    :param params: the parameters of this way
    """

    headers: dict[str, str] = {}
    params: dict[str, Any] = {}


class Request(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A documented request.

    :param url: its URL without query
    :param method: the HTTP method; None for POST if ``format`` is a body, otherwise GET
    :param headers: documented headers; ``*`` is any value
    :param format: where ``params`` are: in the query, a form, a JSON object or a multipart body
    :param params: documented parameters that must be sent
    :param params_contain: texts that parameters must contain, in upper or lower case
    :param optional: documented parameters that may be sent; a list of names for any values
    :param absent: parameters that the vendor forbids or refuses
    :param json: a JSON body besides ``params`` in the query
    :param any_of: headers and parameters of which one set must be sent
    :param methods: all documented methods, if there are several
    :param formats: all documented formats, if there are several
    :param response: the response
    """

    url: str
    method: str | None = None
    headers: dict[str, str] = {}
    format: Format = "query"
    params: dict[str, Any] = {}
    params_contain: dict[str, str] = {}
    optional: dict[str, Any] | tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    json: str | None = None
    any_of: tuple[Alternative, ...] = (Alternative(),)
    methods: tuple[str, ...] = ()
    formats: tuple[Format, ...] = ()
    response: Response = Response()

    @property
    def optional_params(self) -> dict[str, Any]:
        """The parameters that may be sent."""
        return self.optional if isinstance(self.optional, dict) else dict.fromkeys(self.optional, "*")

    def variants(self) -> Iterator[Self]:
        """Yield the request with each method, format and alternative."""
        methods, formats = self.methods or (self.method,), self.formats or (self.format,)
        for method, each, chosen in itertools.product(methods, formats, self.any_of):
            others = {name: "*" for other in self.any_of for name in other.params}
            yield msgspec.structs.replace(
                self,
                method=method,
                format=each,
                headers=self.headers | chosen.headers,
                params=self.params | chosen.params,
                optional=others | self.optional_params,
            )

    @property
    def sent_method(self) -> str:
        """The HTTP method."""
        is_read = self.format == "query" and self.json is None
        return self.method or ("GET" if is_read else "POST")


class TokenRequest(Request, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A documented request to the token endpoint: as ``Request``, but with other defaults."""

    method: str | None = "POST"
    format: Format = "form"


class Authorization(Request, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The documented authorization request.

    :param callback: parameters of the redirect, besides ``state``
    """

    callback: dict[str, str] = {}


class Refusal(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A documented error response.

    :param name: which one it is, if there are several
    :param status: its status
    :param headers: its headers
    :param body: its body
    :param wait: for a limit: after how many seconds the request may be repeated
    :param daily: for a limit: whether it lasts until the next day, so that a task fails
    :param text: the part of the body that users should read
    """

    status: int
    name: str = ""
    headers: dict[str, str | tuple[str, ...]] = {}
    body: str = ""
    wait: float | None = None
    daily: bool = False
    text: str | None = None

    @property
    def response(self) -> Response:
        """The response."""
        return Response(self.status, self.headers, self.body)


class Consent(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The requests of the authorization code grant, if the example is about another grant.

    :param authorize: the authorization request
    :param token: the token request
    :param refresh: the request with a refresh token; None if there is none
    :param token_error: the response to ``refresh`` if the refresh token is revoked
    """

    authorize: Authorization
    token: TokenRequest
    refresh: TokenRequest | None = None
    token_error: Refusal | None = None


class Quirk(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Anything else that the vendor documents and a client must respect."""

    text: str
    url: str | None = None


class Example(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, rename={"pages": "list"}):
    """What a vendor documents.

    :param documentation: the URLs of the documentation
    :param read: when it was read
    :param connection: what a user enters, and the list that a task reads
    :param authorize: the authorization request; None if the grant has none
    :param token: the token request
    :param refresh: the request with a refresh token; None if there is none
    :param discovery: requests for the server's metadata
    :param lookup: requests between the consent and the first request to the API
    :param pages: the pages of the list
    :param limit: the response to a request above a rate limit
    :param other_limits: the responses to requests above other limits
    :param expired: the response to an expired token, if it is not status 401
    :param error: an error response of the API
    :param token_error: the response to ``refresh`` if the refresh token is revoked
    :param authorization_code: the requests of this grant, if the others are about another grant
    :param quirks: anything else
    :param seen_in: where facts were found that are not in the documentation, by key
    """

    documentation: tuple[str, ...]
    read: date
    connection: dict[str, Any]
    authorize: Authorization | None = None
    token: TokenRequest | None = None
    refresh: TokenRequest | None = None
    discovery: Request | tuple[Request, ...] = ()
    lookup: tuple[Request, ...] = ()
    pages: tuple[Request, ...] = ()
    limit: Refusal | None = None
    other_limits: tuple[Refusal, ...] = ()
    expired: Refusal | None = None
    error: Refusal | None = None
    token_error: Refusal | None = None
    authorization_code: Consent | None = None
    quirks: tuple[Quirk, ...] = ()
    seen_in: dict[str, str] = {}

    def with_consent(self) -> Example | None:
        """Return the example for the grant in ``authorization_code``; None if there is no such table."""
        if self.authorization_code is None:
            return None
        parts = msgspec.structs.asdict(self.authorization_code)
        connection = self.connection | {"grant_type": "authorization_code"}
        return msgspec.structs.replace(self, **parts, connection=connection, authorization_code=None)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the connection."""
        return {key: value for key, value in self.connection.items() if key not in LIST_KEYS}

    @property
    def list_options(self) -> dict[str, Any]:
        """The arguments of the operator that reads the list."""
        options = {key: value for key, value in self.connection.items() if key in LIST_KEYS}
        if isinstance(options.get("json"), str):
            options["json"] = json.loads(options["json"])
        return options

    @property
    def rows(self) -> list[Any]:
        """The rows of all pages."""
        return [row for page in self.pages for row in page.response.documented_rows()]

    def named_requests(self) -> Iterator[tuple[str, Request]]:
        """Yield each request, in all its variants, with the name of its step."""
        discovery = (self.discovery,) if isinstance(self.discovery, Request) else self.discovery
        documented = [("authorize", self.authorize), ("token", self.token), ("refresh", self.refresh)]
        documented += [("discovery", request) for request in discovery]
        documented += [("lookup", request) for request in self.lookup]
        documented += [(f"page {number}", request) for number, request in enumerate(self.pages, 1)]
        for name, request in documented:
            yield from ((name, variant) for variant in (request.variants() if request else ()))


def read_example(path: Path) -> Example:
    """Return the example in a file.

    :param path: the path of the file
    :raises InvalidExample: if it is not valid TOML, a key is missing or unknown, or a value is invalid
    """
    try:
        example = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Example)
        _check(example)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, InvalidExample, json.JSONDecodeError) as error:
        raise InvalidExample(f"{path}: {error}") from None
    return example


def _check(example: Example) -> None:
    if "endpoint" not in example.connection:
        raise InvalidExample("connection has no endpoint")
    if not example.pages:
        raise InvalidExample("there is no [[list]]")
    for name, request in example.named_requests():
        url = urlsplit(request.url)
        if url.scheme != "https" or not url.hostname or url.query:
            raise InvalidExample(f"{name}: {request.url} is not an https URL without query. Put the query into params.")
        if request.json is not None:
            json.loads(request.json)
            if request.format != "query":
                raise InvalidExample(f"{name}: json excludes the format {request.format}. Use params.")
        if both := sorted({*request.params, *request.optional_params} & {*request.absent}):
            raise InvalidExample(f"{name}: {', '.join(both)} is both in absent and in params or optional")
    assert example.rows is not None  # noqa: S101 - raises an error if the rows are ambiguous


def with_times(text: str, now: datetime) -> str:
    """Return a text with the times in place of ``{now+30}``.

    :param text: the text
    :param now: the current time
    """

    def time(found: re.Match[str]) -> str:
        seconds = math.ceil(now.timestamp()) + int(found[1])
        moment = datetime.fromtimestamp(seconds, UTC)
        if found[2] == " http":
            return format_datetime(moment, usegmt=True)
        if found[2] == " iso":
            return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        return str(seconds * (1000 if found[2] else 1))

    return TIME.sub(time, text)


def _arrays(value: Any) -> Iterator[list[Any]]:
    """Yield the arrays of objects in a value, except those in other arrays."""
    if isinstance(value, list):
        if value and all(isinstance(each, dict) for each in value):
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _arrays(each)


def main(arguments: list[str] | None = None) -> int:
    """Check examples, and print the mistakes.

    :param arguments: the command line arguments, without the program name
    :return: the exit code: 1 if a file is invalid
    """
    parser = argparse.ArgumentParser("python -m sandbox.vendor_example", description="Check files in tests/vendors.")
    parser.add_argument("files", nargs="+", type=Path)
    code = 0
    for path in parser.parse_args(arguments).files:
        try:
            example = read_example(path)
        except InvalidExample as error:
            code = 1
            sys.stdout.write(f"{error}\n")
        else:
            sys.stdout.write(f"{path}: valid; {len(example.pages)} pages, {len(example.rows)} rows\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
