"""The token on API requests made with requests; see ``policy.py`` for the rules."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
from requests.auth import AuthBase
from requests.utils import default_headers, rewind_body

from airflow_provider_oauth.api.errors import TRANSPORT_ERRORS, transport_error
from airflow_provider_oauth.api.rate_limit import RateLimiter
from airflow_provider_oauth.exceptions import OAuthError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_oauth.api.policy import ApiAccess
    from airflow_provider_oauth.protocol.token import Token


class OAuth2Auth(AuthBase):
    """Sends the token with a request to the API; repeats it once with another token if the API refuses the first one.

    A refused request was not carried out (RFC 9110 section 15.5.2), so it can be sent again if its body can be.

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

            def repeat_if_refused(response: requests.Response, **kwargs: Any) -> requests.Response:
                return self._repeat_if_refused(response, token, body_starts_at, kwargs)

            if headers := self._access.headers:
                defaults = default_headers()
                for name, value in headers.items():
                    if request.headers.get(name) == defaults.get(name):
                        request.headers[name] = value
            if params := self._access.missing_params(request.url or ""):
                request.prepare_url(request.url, params)
            name, value = self._access.header(token)
            request.headers[name] = value
            request.register_hook("response", repeat_if_refused)
        return request

    def _repeat_if_refused(
        self, response: requests.Response, sent: Token, body_starts_at: int | object | None, kwargs: Mapping[str, Any]
    ) -> requests.Response:
        request = response.request
        name, value = self._access.header(sent)
        refusal = self._access.refusal(response.status_code, response.headers.get("WWW-Authenticate", ""))
        if refusal is None or request.headers.get(name) != value:
            return response
        if not kwargs.get("stream"):
            _ = response.content  # to the end, so that the connection can be used while the token is renewed
        replacement = self._access.replacement(sent, refusal)
        # requests notes where a body starts that can be rewound; for one that cannot, it notes something else.
        repeatable = isinstance(request.body, (str, bytes, type(None))) or isinstance(body_starts_at, int)
        if replacement is None or not repeatable:
            return response
        _ = response.content
        response.close()
        again = request.copy()
        again.headers.update([self._access.header(replacement)])
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

    def __init__(self, access: ApiAccess, pace: RateLimiter | None = None) -> None:
        super().__init__()
        self._access = access
        self._pace = pace or RateLimiter(None, 0)
        # An object, not None: else requests takes what a .netrc file has for the host, over our header.
        self.auth = OAuth2Auth(access)

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: bool | str | None, cert: Any
    ) -> Any:
        """Let the connection's ``verify`` win over the environment's CA bundle, as it does for ``cert``."""
        own = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, own, cert)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare ``request``, as ``requests.Session`` does.

        :raises ConfigurationError: if it cannot be sent
        """
        with self._converted(request.method, request.url):
            return super().prepare_request(request)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send ``request``, always with a timeout: requests has none by default.

        :raises ApiConnectionError: if there is no response, or not a complete one
        :raises ApiTimeout: if it is not there in time
        :raises ConfigurationError: if the request cannot be sent, or a file of ``verify`` or ``cert`` cannot be used
        """
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._access.config.transport.timeout
        send = super().send
        with self._converted(request.method, request.url, kwargs.get("verify"), kwargs.get("cert")):
            return self._pace.send(request, lambda: send(request, **kwargs))

    @contextmanager
    def _converted(self, method: str | None, url: Any, verify: Any = None, cert: Any = None) -> Iterator[None]:
        """Raise this package's errors instead of those of the HTTP client, which can contain a secret."""
        try:
            yield
        except OAuthError:
            raise
        except TRANSPORT_ERRORS as error:
            raise transport_error(
                self._access.config, error, method=str(method), url=str(url), verify=verify, cert=cert
            ) from None

    def close(self) -> None:
        """Leave the sockets open: the adapter belongs to all hooks of this process."""

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Take everything of the connection's off a request that was redirected to another origin.

        requests' own does so for ``Authorization`` alone, and would put in what a .netrc file has. Within the API the
        token is set again: requests makes this request of the first one, whose token may have been renewed since. The
        parameters are added again, because the new URL may lack them.
        """
        token = self._access.token()
        name, value = self._access.header(token)
        if not self._access.owns(prepared_request.url or "", token):
            for each in (name, "Authorization", *self._access.headers):
                prepared_request.headers.pop(each, None)
        elif name in prepared_request.headers:
            prepared_request.headers[name] = value
            if params := self._access.missing_params(prepared_request.url or ""):
                prepared_request.prepare_url(prepared_request.url, params)
