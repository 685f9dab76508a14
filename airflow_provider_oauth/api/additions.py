"""Provides what a connection adds to requests to its API: the token, headers, parameters, and parts of the URL."""

from __future__ import annotations

import json
import re
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth.api.endpoints import is_absolute, with_prefix
from airflow_provider_oauth.protocol.callback_values import (
    filled,
    filled_endpoint,
    is_header_value,
    named_values,
    names_in,
    stored_names,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

Origin = tuple[str, str | None, int | None]
DEFAULT_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=256)
def normalized_url(url: str) -> str:
    """Return ``url`` as requests sends it: with the host name in ASCII, and special characters escaped.

    :raises ValueError: if ``url`` is not a valid URL
    """
    prepared = requests.PreparedRequest()
    prepared.prepare_url(url, None)
    return prepared.url or url


def origin(url: str) -> Origin:
    """Return scheme, host and port of ``url`` (RFC 6454 section 4)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)


@lru_cache(maxsize=256)
def _normalized_origin(url: str) -> Origin:
    return origin(normalized_url(url))


def is_api_url(url: str, base_url: str) -> bool:
    """Return whether ``url`` has the same origin as the API.

    :param url: the URL as it is sent (see ``normalized_url``); parsers can disagree about the origin of other URLs
    :param base_url: the API's base URL
    """
    return origin(url) == _normalized_origin(base_url)


class ApiAdditions:
    """What a connection adds to requests to its API. Requests to other origins get nothing.

    :param config: the settings of the connection
    """

    def __init__(self, config: OAuthConfig) -> None:
        #: The settings of the connection.
        self.config = config
        self._has_stored_values = bool(stored_names(config))

    def base_url(self, token: Token | None) -> str:
        """Return the API's base URL: from the token response if it contains one, otherwise from the connection."""
        from_response = token.base_url if token and self.base_url_is_in_token else None
        return (from_response or self.config.base_url).rstrip("/")

    @property
    def base_url_is_in_token(self) -> bool:
        """Whether the API's base URL is part of the token response."""
        return "base_url" in self.config.response_map

    def is_api_url(self, url: str, token: Token) -> bool:
        """Return whether ``url`` has the API's origin. The token is sent only to this origin.

        :param url: the URL as it is sent
        :param token: the token to send; its token response can contain the API's base URL
        """
        return is_api_url(url, self.base_url(token))

    def names_in(self, endpoint: str | None) -> frozenset[str]:
        """Return the names of the values that an endpoint and the vendor's prefix need, such as ``realm_id``.

        :param endpoint: a path relative to the API's base URL, or an absolute URL
        """
        found = names_in(endpoint, self.config)
        if endpoint and is_absolute(endpoint):
            return found
        # A name that the connection does not know is needed, too: otherwise, it would be sent instead of a value.
        return found | frozenset(re.findall(r"\{(\w+)\}", self.config.endpoint_prefix))

    def complete_endpoint(self, endpoint: str | None, token: Token | None) -> str | None:
        """Return an endpoint with the vendor's prefix, and with the values of the token's grant.

        :param endpoint: a path relative to the API's base URL, or an absolute URL
        :param token: the token; None if the endpoint and the prefix need no stored value
        """
        values = self._values(token)
        if endpoint and values:
            endpoint = filled_endpoint(endpoint, values)
        return with_prefix(endpoint, filled_endpoint(self.config.endpoint_prefix, values).strip("/"))

    def _values(self, token: Token | None) -> Mapping[str, str]:
        """Return the values to use in requests with a token, by their names."""
        if not self._has_stored_values:
            return self.config.vendor_values
        return named_values(self.config, token.callback if token else {})

    def token_header(self, token: Token) -> tuple[str, str]:
        """Return the name and value of the header with the token (RFC 6750 section 2.1).

        The connection can define a name other than ``Authorization``.
        """
        return self.config.header_name, f"{self.config.auth_scheme} {token.access_token}".lstrip()

    @property
    def headers(self) -> dict[str, str]:
        """The headers that the connection's fields define for API requests."""
        return {**self.config.api_headers, **self.config.secret_headers}

    def headers_to_set(
        self, headers: Mapping[str, str], defaults: Mapping[str, str], token: Token
    ) -> CaseInsensitiveDict[str]:
        """Return the headers to set on a request: the token, and the connection's headers that the caller did not set.

        If the connection has two headers whose names differ only in case, the first one is used.

        :param headers: the headers of the request, with case-insensitive names
        :param defaults: headers that the HTTP client sets by default
        :param token: the token to send
        """
        result: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        for name, value in self.headers.items():
            if name not in result and headers.get(name) == defaults.get(name):
                result[name] = self._filled_header(name, value, token)
        result.update([self.token_header(token)])
        return result

    def _filled_header(self, name: str, value: str, token: Token) -> str:
        """Return the value of a header with the values of the token's grant."""
        values = {name: each for name, each in self._values(token).items() if name in names_in(value, self.config)}
        if not values:
            return value
        text: str = filled(value, values)
        # requests and aiohttp encode other characters differently.
        if not all(map(str.isascii, values.values())) or not is_header_value(text):
            field = "vendor_values" if self.config.vendor_values.keys() & values.keys() else "callback_map"
            raise self.config.error(
                field,
                f"is used in the header {name!r}, but the value that is stored cannot be sent in a header. Use it only "
                "in endpoints and API parameters",
            )
        return text

    @property
    def _params(self) -> dict[str, Any]:
        return {**self.config.api_params, **self.config.secret_params}

    @cached_property
    def _names_in_fields(self) -> frozenset[str]:
        """The names of the values that the connection's parameters and headers contain."""
        return names_in([*self._params.values(), *self.headers.values()], self.config)

    def missing_names(self, token: Token, names: frozenset[str]) -> frozenset[str]:
        """Return the names of the values that a request needs and the token's grant does not have.

        :param token: the token to send
        :param names: the names that the endpoint needs, besides those in the connection's parameters and headers
        """
        needed = self._names_in_fields | names
        return needed.difference(self._values(token)) if needed else needed

    def missing_params(self, url: str, token: Token) -> list[tuple[str, str]]:
        """Return the query parameters that the connection's fields define, without those that ``url`` already has.

        For a list, the parameter is repeated. null is left out. A string is sent unchanged, any other value as JSON.

        :param url: the URL of the request
        :param token: the token to send; its grant can have values that the parameters contain
        """
        params = self._params
        if not params:
            return []
        if self._names_in_fields:
            params = filled(params, self._values(token))
        present = {name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
        return [
            (name, value if isinstance(value, str) else json.dumps(value))
            for name, values in params.items()
            for value in (values if isinstance(values, list) else [values])
            if name not in present and value is not None
        ]
