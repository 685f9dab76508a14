"""The token on API requests: where it goes, where it does not, and what a 401 means."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.auth import AuthBase
from requests.utils import default_headers, rewind_body

from airflow_provider_oauth.oauth.pace import Pace
from airflow_provider_oauth.oauth.quoting import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.oauth.config import OAuthConfig
    from airflow_provider_oauth.oauth.source import TokenSource
    from airflow_provider_oauth.oauth.token import Token

Origin = tuple[str, str | None, int | None]
DEFAULT_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=256)
def on_the_wire(url: str) -> str:
    """Return ``url`` as requests sends it: host names in ASCII, odd characters escaped."""
    prepared = requests.PreparedRequest()
    prepared.prepare_url(url, None)
    return prepared.url or url


def origin(url: str) -> Origin:
    """Return scheme, host and port of ``url`` (RFC 6454 section 4)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)


@lru_cache(maxsize=256)
def _origin_on_the_wire(url: str) -> Origin:
    return origin(on_the_wire(url))


def of_api(url: str, base_url: str) -> bool:
    """Tell whether ``url``, as it is on the wire, is of the same origin as the API at ``base_url``."""
    return origin(url) == _origin_on_the_wire(base_url)


class ApiAccess:
    """What the connection adds to a request to its API, and to no other: the token, headers and parameters.

    :param source: gives the tokens
    :param scope: a scope of its own instead of the connection's, separated by spaces
    """

    def __init__(self, source: TokenSource, scope: str | None = None) -> None:
        self.source = source
        self.scope = scope

    @property
    def config(self) -> OAuthConfig:
        """The connection."""
        return self.source.config

    def token(self, rejected: Token | None = None) -> Token:
        """Return a token to send; never the one ``rejected`` by the API."""
        return self.source.token(self.scope, rejected)

    def base_url(self, token: Token | None) -> str:
        """Return the API's base URL: the token answer's, where it names one."""
        return ((token and token.base_url) or self.config.base_url).rstrip("/")

    @property
    def base_url_is_in_token(self) -> bool:
        """Whether it takes a token to know the API's base URL."""
        return "base_url" in self.config.response_map

    def owns(self, url: str, token: Token) -> bool:
        """Tell whether ``url`` is of the API's own origin, the only place that the token is sent to.

        :param url: as it is on the wire: parsers differ over what some spellings mean
        :param token: it may name the API's base URL
        """
        return of_api(url, self.base_url(token))

    def header(self, token: Token) -> tuple[str, str]:
        """Return the header that carries the token (RFC 6750 section 2.1, but for name and scheme)."""
        return self.config.header_name, f"{self.config.auth_scheme} {token.access_token}".lstrip()

    @property
    def headers(self) -> dict[str, str]:
        """The connection's own headers for API requests."""
        return {**self.config.api_headers, **self.config.secret_headers}

    def missing_params(self, url: str) -> list[tuple[str, str]]:
        """Return the connection's own query parameters for API requests, but for those that ``url`` has.

        A list is a repeated parameter, null is none, and anything else is as JSON writes it.
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


class OAuth2Auth(AuthBase):
    """Sends the token with a request to the API, and renews it once if the API answers 401.

    A 401 means that the request was not carried out (RFC 9110 section 15.5.2), so it is sent again, once, if its body
    can be. A 403 is left alone: another token of the same grant could do no more (RFC 6750 section 3.1).

    :param access: what to add
    """

    def __init__(self, access: ApiAccess) -> None:
        self._access = access

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add to ``request``, if it goes to the API's own origin, the token and what the connection adds.

        Its headers and parameters only where the caller has not set them.
        """
        token = self._access.token()
        if self._access.owns(request.url or "", token):
            body_starts_at = getattr(request, "_body_position", None)

            def renew_on_401(response: requests.Response, **kwargs: Any) -> requests.Response:
                return self._renew_on_401(response, token, body_starts_at, kwargs)

            if headers := self._access.headers:
                defaults = default_headers()
                for name, value in headers.items():
                    if request.headers.get(name) == defaults.get(name):
                        request.headers[name] = value
            if params := self._access.missing_params(request.url or ""):
                request.prepare_url(request.url, params)
            name, value = self._access.header(token)
            request.headers[name] = value
            request.register_hook("response", renew_on_401)
        return request

    def _renew_on_401(
        self, response: requests.Response, sent: Token, body_starts_at: int | object | None, kwargs: Mapping[str, Any]
    ) -> requests.Response:
        request = response.request
        name, value = self._access.header(sent)
        if response.status_code != 401 or request.headers.get(name) != value:
            return response
        _ = response.content  # read to the end, so that the connection can be used again
        response.close()
        renewed = self._access.token(rejected=sent)
        # requests notes where a body starts that can be rewound; for one that cannot, it notes something else.
        if not (isinstance(request.body, (str, bytes, type(None))) or isinstance(body_starts_at, int)):
            return response
        again = request.copy()
        again.headers.update([self._access.header(renewed)])
        if isinstance(body_starts_at, int):
            rewind_body(again)
        repeated = response.connection.send(again, **kwargs)
        repeated.history.append(response)
        repeated.request = again
        return repeated


class OAuthSession(requests.Session):
    """A ``requests.Session`` that is authenticated at the connection's API, and nowhere else.

    :param access: what to add to requests to the API
    :param pace: how fast they may follow each other
    """

    def __init__(self, access: ApiAccess, pace: Pace | None = None) -> None:
        super().__init__()
        self._access = access
        self._pace = pace or Pace(None, 0)
        # An object, not None: else requests takes what a .netrc file has for the host, over our header.
        self.auth = OAuth2Auth(access)

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: bool | str | None, cert: Any
    ) -> Any:
        """Let the connection's ``verify`` win over the environment's CA bundle, as it does for ``cert``."""
        own = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, own, cert)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send ``request``; never without a limit of time, which requests has none of by itself."""
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._access.config.transport.timeout
        send = super().send
        try:
            return self._pace.send(request, lambda: send(request, **kwargs))
        except requests.RequestException as error:
            # Its text has the URL, and that a secret parameter. The type stays, for who retries by it.
            error.args = (scrub(str(error), self._access.config.secrets),)
            raise error from None

    def close(self) -> None:
        """Leave the sockets open: the adapter belongs to all hooks of this process."""

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Take everything of the connection's off a request that was redirected to another origin.

        requests' own does so for ``Authorization`` alone, and would put in what a .netrc file has. Within the API the
        token is set again: requests makes this request of the first one, whose token may have been renewed since.
        """
        token = self._access.token()
        name, value = self._access.header(token)
        if not self._access.owns(prepared_request.url or "", token):
            for each in (name, "Authorization", *self._access.headers):
                prepared_request.headers.pop(each, None)
        elif name in prepared_request.headers:
            prepared_request.headers[name] = value
