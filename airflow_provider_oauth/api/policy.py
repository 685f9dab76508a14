"""Where a token may be sent, and what a 401 or 403 from the API means: the rules for requests and for aiohttp."""

from __future__ import annotations

import json
import re
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import requests

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.source import TokenSource

Origin = tuple[str, str | None, int | None]
DEFAULT_PORTS = {"http": 80, "https": 443}
#: The error code in a ``WWW-Authenticate`` header (RFC 6750 section 3).
ERROR_CODE = re.compile(r'(?<![\w-])error\s*=\s*"?(\w+)', re.IGNORECASE)


class ApiRefusal(Enum):
    """What the API's refusal of a request says about the token."""

    #: The API does not accept the token: renew it.
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - an error code
    #: The token may be invalid or lack a permission: use a newer one if there is one, but do not renew.
    FORBIDDEN = "forbidden"


def api_refusal(status: int, challenge: str, renew_on: tuple[int, ...] = ()) -> ApiRefusal | None:
    """Return what a response says about the token; None if it says nothing.

    A 401 means that the request was not carried out (RFC 9110 section 15.5.2). A 403 without ``insufficient_scope``
    (RFC 6750 section 3.1) is ambiguous: servers such as Django OAuth Toolkit also use it for tokens that were revoked
    by a renewal elsewhere.

    :param status: the HTTP status
    :param challenge: the ``WWW-Authenticate`` header; "" if there is none
    :param renew_on: other statuses that mean an invalid token at this API
    """
    found = ERROR_CODE.search(challenge)
    code = found[1].lower() if found else None
    if status < 400:  # carried out: to repeat it could write twice
        return None
    if status == 401 or status in renew_on or code == "invalid_token":
        return ApiRefusal.INVALID_TOKEN
    if status == 403 and code != "insufficient_scope":
        return ApiRefusal.FORBIDDEN
    return None


@lru_cache(maxsize=256)
def normalized_url(url: str) -> str:
    """Return ``url`` as requests sends it: host names in ASCII, odd characters escaped.

    :raises ValueError: if it is not a URL
    """
    prepared = requests.PreparedRequest()
    prepared.prepare_url(url, None)
    return prepared.url or url


def origin(url: str) -> Origin:
    """Return scheme, host and port of ``url`` (RFC 6454 section 4)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)


@lru_cache(maxsize=256)
def _origin_on_the_wire(url: str) -> Origin:
    return origin(normalized_url(url))


def is_api_url(url: str, base_url: str) -> bool:
    """Tell whether ``url``, as it is on the wire, is of the same origin as the API at ``base_url``."""
    return origin(url) == _origin_on_the_wire(base_url)


class ApiAccess:
    """What the connection adds to a request to its API, and to no other: the token, headers and parameters.

    :param source: provides the tokens
    :param scope: a scope for these requests instead of the connection's, separated by spaces
    """

    def __init__(self, source: TokenSource, scope: str | None = None) -> None:
        self.source = source
        self.scope = scope

    @property
    def config(self) -> OAuthConfig:
        """The connection."""
        return self.source.config

    def token(self) -> Token:
        """Return a token to send."""
        return self.source.token(self.scope)

    def refusal(self, status: int, challenge: str) -> ApiRefusal | None:
        """Return what a response of the API says about the token; see ``api_refusal``."""
        return api_refusal(status, challenge, self.config.renew_on)

    def replacement(self, refused: Token, refusal: ApiRefusal) -> Token | None:
        """Return a token to repeat a refused request with; None if the response stands. May block.

        :param refused: the token that was sent
        :param refusal: what the response says about it
        :raises OAuthError: if the token cannot be renewed
        """
        return self.source.replacement(refused, self.scope, renew=refusal is ApiRefusal.INVALID_TOKEN)

    def base_url(self, token: Token | None) -> str:
        """Return the API's base URL: the one in the token response, if there is one."""
        named = token.base_url if token and self.base_url_is_in_token else None
        return (named or self.config.base_url).rstrip("/")

    @property
    def base_url_is_in_token(self) -> bool:
        """Whether the API's base URL is known only with a token."""
        return "base_url" in self.config.response_map

    def owns(self, url: str, token: Token) -> bool:
        """Tell whether ``url`` is of the API's own origin, the only place that the token is sent to.

        :param url: as it is on the wire: parsers differ over what some spellings mean
        :param token: it may name the API's base URL
        """
        return is_api_url(url, self.base_url(token))

    def header(self, token: Token) -> tuple[str, str]:
        """Return the header with the token (RFC 6750 section 2.1, but its name and scheme can be others)."""
        return self.config.header_name, f"{self.config.auth_scheme} {token.access_token}".lstrip()

    @property
    def headers(self) -> dict[str, str]:
        """The connection's own headers for API requests."""
        return {**self.config.api_headers, **self.config.secret_headers}

    def missing_params(self, url: str) -> list[tuple[str, str]]:
        """Return the connection's own query parameters for API requests, except those that ``url`` has.

        A list is a repeated parameter, null is no parameter, and any other value except a string is written as JSON.
        """
        params = {**self.config.api_params, **self.config.secret_params}
        if not params:
            return []
        present = {name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
        return [
            (name, value if isinstance(value, str) else json.dumps(value))
            for name, values in params.items()
            for value in (values if isinstance(values, list) else [values])
            if name not in present and value is not None
        ]
