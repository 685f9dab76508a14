"""A vendor as data: how its authorization server and its API work.

``presets/vendor_file.py`` reads vendors from files, ``presets/vendors.py`` finds the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_oauth.extract.body import value_at, with_values

if TYPE_CHECKING:
    from datetime import date

    from airflow_provider_oauth.api.rate_limit import Budget
    from airflow_provider_oauth.api.wait_time import LimitHeaders
    from airflow_provider_oauth.extract.error_rules import ErrorRule
    from airflow_provider_oauth.extract.paginators import Paginator
    from airflow_provider_oauth.extract.request import ListRequest
    from airflow_provider_oauth.protocol.lookup import Lookup


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Which lists of an API a paginator is for, and their options.

    :param paths: patterns of URL paths, such as ``*/search``; ``*`` matches any characters. Empty for all lists that
        match no other pattern
    :param method: HTTP method of the lists
    :param params: other parameters of every request, such as a page size. They are sent where the paginator sends its
        own parameters. If it sends none, they are in the query of GET, and in the body of other methods
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
        param_in = getattr(self.paginator, "param_in", "query" if request.method == "GET" else "body")
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
class VendorValue:
    """A value that users enter in ``vendor_values``. It replaces ``{name}`` in the vendor's fields.

    :param label: the name of the value for users
    :param description: what it is, and where users find it
    :param example: a valid value
    :param choices: the texts that are inserted, by the names that users enter; empty if every text is allowed
    :param default: what is used if the user enters nothing; None if the user must enter a value
    """

    label: str
    description: str
    example: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None

    @property
    def sample(self) -> str:
        """A text that can be inserted, for checks and documentation."""
        entered = self.default or self.example
        return self.choices.get(entered, entered) or next(iter(self.choices.values()), "")


@dataclass(frozen=True, kw_only=True)
class VendorTest:
    """A GET request that changes nothing. The action *Test* sends it.

    :param endpoint: the endpoint, relative to the API base URL and the vendor's ``endpoint_prefix``
    :param params: the query
    :param grants: the grant types for which the API accepts it; empty for all
    """

    endpoint: str
    params: Mapping[str, Any] = field(default_factory=dict)
    grants: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class VendorExample:
    """A typical list, for the documentation.

    :param endpoint: the endpoint, as in a task
    :param method: the HTTP method
    :param request_params: the query
    :param json: the JSON body
    :param records_path: the path of the rows; None for that of the vendor
    """

    endpoint: str
    method: str = "GET"
    request_params: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    records_path: str | tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """The description of a vendor's API. Most attributes are keys of the vendor's file.

    :param name: the name of the file without its suffix
    :param label: the name of the vendor
    :param documentation: URLs of the vendor's documentation
    :param read: when the documentation was read; None if this is not recorded
    :param connection_type: the vendor's own connection type; None if connections of type OAuth 2.0 API are used
    :param register: what to do at the vendor, one step each, in Markdown; ``{redirect_uri}`` stands for the redirect
        URI
    :param ask: the connection's fields that users must fill in, besides the client ID and secret
    :param values: the values that users must enter in ``vendor_values``, by name
    :param fields: fields of the connection for all grant types, by name
    :param grants: the grant types that the vendor supports, each with fields for this grant type only. The first one is
        the default; empty if the file does not specify them
    :param scopes: scopes that users may need, each with what it permits
    :param endpoint_prefix: what is added to endpoints that are relative to the API base URL
    :param api_hosts: the hosts that a base URL in a token response may have; ``*.`` at the beginning stands for any
        subdomain
    :param lookup: a request after a consent whose result is kept with the grant
    :param test: the request that the action *Test* sends to the API
    :param limit_headers: the headers of the API's rate limit, if they are not the usual ones
    :param example: a typical list
    :param notes: what users should know, in Markdown
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
    connection_type: str | None = None
    register: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    values: Mapping[str, VendorValue] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    grants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scopes: Mapping[str, str] = field(default_factory=dict)
    endpoint_prefix: str = ""
    api_hosts: tuple[str, ...] = ()
    lookup: Lookup | None = None
    test: VendorTest | None = None
    limit_headers: LimitHeaders | None = None
    example: VendorExample | None = None
    notes: tuple[str, ...] = ()
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
        path = path.rstrip("/")  # most APIs accept the slash, and the patterns do not have it
        for each in lists:
            if any(fnmatchcase(path, pattern) for pattern in each.paths):
                return each
        return next((each for each in lists if not each.paths), None)
