"""The rules for requests to the API: where a token may be sent, what is added, and what a 401 or 403 means.

``requests_auth.py`` and ``aiohttp_auth.py`` apply these rules. They get a token. If the URL belongs to the API, they
add the token and the connection's headers and parameters. Then they send the request. If the API refuses the token,
they get another token and repeat the request once.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.protocol.callback_values import (
    filled,
    filled_endpoint,
    is_header_value,
    named_values,
    names_in,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.metrics import Report
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.source import TokenSource

Origin = tuple[str, str | None, int | None]
DEFAULT_PORTS = {"http": 80, "https": 443}
#: The error code in a ``WWW-Authenticate`` header (RFC 6750 section 3).
ERROR_CODE = re.compile(r'(?<![\w-])error\s*=\s*"?(\w+)', re.IGNORECASE)

#: Parts of the names of headers that contain a secret.
SECRET_NAME = re.compile("auth|key|token|secret|password|session|signature|credential", re.IGNORECASE)


class ApiRefusal(Enum):
    """Why the API refused a request, if the token can be the reason."""

    #: The API does not accept the token: renew it.
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - an error code
    #: The token is invalid or lacks a permission: use a newer token if one is stored, but do not renew.
    FORBIDDEN = "forbidden"


class RenewalNeeded(Exception):  # noqa: N818 - it is not an error
    """The API refused the token of a request that was sent ahead. Such a request never renews the token."""


def api_refusal(status: int, challenge: str, renew_on: tuple[int, ...] = ()) -> ApiRefusal | None:
    """Return why the API refused a request; None if it did not refuse it, or if the token is not the reason.

    After a 401, it is safe to repeat the request, because the API did not carry it out (RFC 9110 section 15.5.2). A 403
    without ``insufficient_scope`` (RFC 6750 section 3.1) is ambiguous: servers such as Django OAuth Toolkit also use it
    for tokens that were revoked by a renewal in another process.

    :param status: the HTTP status
    :param challenge: the ``WWW-Authenticate`` header; "" if there is none
    :param renew_on: other statuses with which this API refuses invalid tokens
    """
    if status < 400:  # the API carried out the request, so repeating it could write twice
        return None
    found = ERROR_CODE.search(challenge)
    code = found[1].lower() if found else None
    if status == 401 or status in renew_on or code == "invalid_token":
        return ApiRefusal.INVALID_TOKEN
    if status == 403 and code != "insufficient_scope":
        return ApiRefusal.FORBIDDEN
    return None


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


def is_secret_header(name: str) -> bool:
    """Return whether a header of a request must not be sent to another origin after a redirect, such as X-Api-Key.

    Cookies are not included, because the HTTP client knows to which origin they belong.

    :param name: the name of the header
    """
    return SECRET_NAME.search(name) is not None


def is_api_url(url: str, base_url: str) -> bool:
    """Return whether ``url`` has the same origin as the API.

    :param url: the URL as it is sent (see ``normalized_url``); parsers can disagree about the origin of other URLs
    :param base_url: the API's base URL
    """
    return origin(url) == _normalized_origin(base_url)


class ApiAccess:
    """Provides the token, headers and query parameters that a connection adds to requests to its API.

    Requests to other origins get none of them.

    :param source: provides the tokens
    :param scope: the scopes to request, separated by spaces; None for the connection's scopes
    :param one_account: whether all tokens must have the same callback values, because the rows of several requests
        belong together
    """

    def __init__(self, source: TokenSource, scope: str | None = None, *, one_account: bool = False) -> None:
        self.source = source
        self.scope = scope
        self._one_account = one_account
        self._account: dict[str, str] = {}
        #: The settings of the connection.
        self.config: OAuthConfig = source.config

    @property
    def report(self) -> Report:
        """Reports metrics of the connection."""
        return self.source.report

    def token(self, names: frozenset[str] = frozenset()) -> Token:
        """Return a valid token. This can block, because it may request one.

        :param names: names of callback values that the token's grant must have, besides those that the connection's
            parameters and headers contain
        :raises ConsentRequired: if no value is stored for one of the names
        :raises OAuthError: if there is no valid token and none can be obtained, or the token is for another account
        """
        token = self._token(names)
        if self._one_account:
            values = self._values(token)
            self._account = {**values, **self._account}
            for name in [name for name, value in values.items() if self._account[name] != value]:
                raise OAuthError(
                    f"Connection {self.config.conn_id!r}: a user authorized the connection with another {name} while a "
                    "list was read, so its rows would belong to two accounts. Run the task again."
                )
        return token

    def _token(self, names: frozenset[str]) -> Token:
        token = self.source.token(self.scope)
        if self.has_values(token, names):
            return token
        # A user may have authorized the connection since this process read the token.
        newer = self.source.replacement(token, self.scope, renew=False)
        if newer is not None and self.has_values(newer, names):
            return newer
        raise self.source.consent_required(
            f"no value of {', '.join(sorted(self._missing_parameters(token, names)))} in the callback is stored, "
            "because no user has authorized the connection since it was added to Callback values (callback_map)"
        )

    def has_values(self, token: Token, names: frozenset[str] = frozenset()) -> bool:
        """Return whether the token's grant has the callback values that requests need; see ``token``."""
        return not self._missing_parameters(token, names)

    def _missing_parameters(self, token: Token, names: frozenset[str]) -> set[str]:
        """Return the names and parameters of the callback values that the token's grant does not have."""
        needed = self._names_in_fields | names
        missing = needed - self._values(token).keys()
        return {f"{name} ({self.config.callback_map[name]})" for name in missing}

    @cached_property
    def _names_in_fields(self) -> frozenset[str]:
        """The names of the callback values that the connection's parameters and headers contain."""
        return names_in([*self._params.values(), *self.headers.values()], self.config)

    def callback_values(self) -> dict[str, str]:
        """Return the callback values of the grant, by their names. If there can be any, this method gets a token.

        :raises OAuthError: as for ``token``
        """
        return self._values(self.token()) if self.config.callback_map else {}

    def names_in(self, endpoint: str | None) -> frozenset[str]:
        """Return the names of the callback values that an endpoint contains, such as ``{realm_id}``."""
        return names_in(endpoint, self.config)

    def filled_endpoint(self, endpoint: str, token: Token) -> str:
        """Return an endpoint with the callback values of the token's grant."""
        return filled_endpoint(endpoint, self._values(token))

    def _values(self, token: Token) -> dict[str, str]:
        """Return the callback values of the token's grant, by their names."""
        return named_values(self.config, token.callback) if self.config.callback_map else {}

    def current_endpoint(self, endpoint: str | None) -> str | None:
        """Return an endpoint with the callback values. If it contains any, this method gets a token, which can block.

        :raises OAuthError: as for ``token``
        """
        names = self.names_in(endpoint)
        return self.filled_endpoint(endpoint, self.token(names)) if endpoint and names else endpoint

    def refusal(self, status: int, challenge: str) -> ApiRefusal | None:
        """Return why the API refused a request; see ``api_refusal``."""
        return api_refusal(status, challenge, self.config.renew_on)

    def replacement(self, refused: Token, refusal: ApiRefusal) -> Token | None:
        """Return a token with which to repeat a refused request; None if there is no other token. This can block.

        :param refused: the token that was sent
        :param refusal: why the request was refused
        :raises OAuthError: if the token cannot be renewed
        """
        return self.source.replacement(refused, self.scope, renew=refusal is ApiRefusal.INVALID_TOKEN)

    def base_url(self, token: Token | None) -> str:
        """Return the API's base URL: from the token response if it contains one, otherwise from the connection."""
        from_response = token.base_url if token and self.base_url_is_in_token else None
        return (from_response or self.config.base_url).rstrip("/")

    def current_base_url(self) -> str:
        """Return the API's base URL. If it is part of the token response, this method gets a token, which can block.

        :raises OAuthError: if there is no valid token and none can be obtained
        """
        return self.base_url(self.token() if self.base_url_is_in_token else None)

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
        """Return the value of a header with the callback values of the token's grant."""
        values = {name: each for name, each in self._values(token).items() if name in names_in(value, self.config)}
        if not values:
            return value
        text: str = filled(value, values)
        # requests and aiohttp encode other characters differently.
        if not all(map(str.isascii, values.values())) or not is_header_value(text):
            raise self.config.error(
                "callback_map",
                f"is used in the header {name!r}, but the value that is stored cannot be sent in a header. Use it only "
                "in endpoints and API parameters",
            )
        return text

    @property
    def _params(self) -> dict[str, Any]:
        return {**self.config.api_params, **self.config.secret_params}

    def missing_params(self, url: str, token: Token) -> list[tuple[str, str]]:
        """Return the query parameters that the connection's fields define, without those that ``url`` already has.

        For a list, the parameter is repeated. null is left out. A string is sent unchanged, any other value as JSON.

        :param url: the URL of the request
        :param token: the token to send; its grant can have callback values that the parameters contain
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
