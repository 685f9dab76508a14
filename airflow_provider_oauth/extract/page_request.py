"""The request for one page of a list, and how it changes for the next page."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from airflow_provider_oauth.extract.body import value_at, with_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.extract.paginators import ParamIn
    from airflow_provider_oauth.extract.request import ListRequest


@dataclass(frozen=True)
class PageRequest:
    """The request for one page.

    :param url: the URL of the page; None for the list's endpoint
    :param query: query parameters
    :param headers: headers
    :param json: JSON body; None if there is none
    :param data: another body; None if there is none
    :param values: the values that the paginator has set since the first page, or since the last link
    """

    url: str | None = None
    query: Mapping[str, Any] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)
    data: Any = field(default=None, repr=False)
    values: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def first(cls, request: ListRequest) -> PageRequest:
        """Return the request for the first page, without the paginator's parameters."""
        data, query = request.data or None, request.request_params or {}
        if request.method.upper() == "GET":
            data, query = None, query or data or {}
        return cls(None, _present(query), _present(request.headers or {}), request.json, data)

    def params(self, param_in: ParamIn, names: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters that a paginator may change.

        :param param_in: where the paginator puts its parameters
        :param names: the names of the parameters of the first page
        """
        if param_in == "query":
            return self.query
        if param_in == "header":
            return self.headers
        found = {name: value_at(self._body, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def changed(self, param_in: ParamIn, values: Mapping[str, Any]) -> PageRequest:
        """Return the request with other parameters.

        :raises ValueError: if the body has no such place
        """
        if param_in == "query":
            return replace(self, query={**values, **self.query, **values})
        if param_in == "header":
            return replace(self, headers={**self.headers, **{name: str(value) for name, value in values.items()}})
        body = with_values(self._body, values)
        return replace(self, data=body) if self.data is not None else replace(self, json=body)

    @property
    def _body(self) -> Any:
        return self.json if self.data is None else self.data


def absolute_url(base: str, link: str) -> str:
    """Return the URL of a link. A link to the same host over http is changed to https."""
    url = urljoin(base, link)
    old, new = urlsplit(base), urlsplit(url)
    is_downgrade = old.scheme == "https" and new.scheme == "http" and old.hostname == new.hostname
    if not is_downgrade or new.port not in (None, 80, 443, old.port):
        return url
    # Behind a proxy that ends TLS, some APIs name the port of the unencrypted connection.
    host = new.netloc.removesuffix(f":{new.port}") if new.port in (80, 443) else new.netloc
    return urlunsplit(new._replace(scheme="https", netloc=host))


def parts_of(request: PageRequest) -> tuple[Any, ...]:
    """Return what distinguishes a request from others."""
    return (request.url, request.query, request.headers, request.json, request.data)


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
