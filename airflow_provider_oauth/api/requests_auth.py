"""Adds the token to API requests that are sent with the library ``requests``. The rules are in ``policy.py``."""

from __future__ import annotations

import os
from contextlib import contextmanager
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import requests
from requests.auth import AuthBase
from requests.utils import default_headers, get_environ_proxies, rewind_body

from airflow_provider_oauth.api.endpoints import is_absolute, joined_url
from airflow_provider_oauth.api.errors import TRANSPORT_ERRORS, transport_error
from airflow_provider_oauth.api.policy import ApiRefusal, RenewalNeeded, is_secret_header
from airflow_provider_oauth.api.rate_limit import RateLimiter
from airflow_provider_oauth.api.recovery import RecoveryPolicy
from airflow_provider_oauth.api.sender import ApiSender
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.protocol.metrics import refusal_reported

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from requests.adapters import HTTPAdapter

    from airflow_provider_oauth.api.policy import ApiAccess
    from airflow_provider_oauth.protocol.token import Token


class OAuth2Auth(AuthBase):
    """Adds the token to a request to the API, and repeats the request once if the API refuses the token.

    :param access: provides the token, the headers and the parameters that are added to the request
    """

    def __init__(self, access: ApiAccess) -> None:
        self._access = access

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token, and the connection's headers and parameters, if ``request`` goes to the API."""
        token = self._access.token()
        url = request.url or ""
        if not self._access.is_api_url(url, token):
            return request
        request.headers.update(self._access.headers_to_set(request.headers, default_headers(), token))
        if params := self._access.missing_params(url, token):
            request.prepare_url(url, params)
        body_position = getattr(request, "_body_position", None)
        request.register_hook("response", partial(self._repeat_if_refused, sent=token, body_position=body_position))
        return request

    def _repeat_if_refused(
        self, response: requests.Response, *, sent: Token, body_position: int | object | None, **send_options: Any
    ) -> requests.Response:
        """Return the response to the repeated request, or ``response`` if the request is not repeated.

        The library also calls this method for redirected requests, which may contain a token other than ``sent``, or no
        token.

        :param response: the response to the first request
        :param sent: the token that was added to the first request
        :param body_position: the int position at which the body starts; not an int if the body cannot be rewound
        :param send_options: the options with which the request was sent
        """
        refusal = self._access.refusal(response.status_code, response.headers.get("WWW-Authenticate", ""))
        request = response.request
        if refusal is None or not self._contains(request, sent):
            return response
        if not send_options.get("stream"):
            _ = response.content  # read the body, so that other requests can use the TCP connection during the renewal
        is_repeatable = isinstance(request.body, (str, bytes, type(None))) or isinstance(body_position, int)
        with refusal_reported(self._access.report, response.status_code) as reported:
            try:
                replacement = self._access.replacement(sent, refusal)
            except BaseException:
                response.close()
                raise
            reported.is_repeated = replacement is not None and is_repeatable
        if replacement is None or not is_repeatable:
            return response
        _ = response.content
        response.close()
        repetition = request.copy()
        repetition.headers.update([self._access.token_header(replacement)])
        if isinstance(body_position, int):
            rewind_body(repetition)
        repeated = response.connection.send(repetition, **send_options)
        repeated.history.append(response)
        repeated.request = repetition
        return repeated

    def refreshed(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return a copy of a request with the current token, to send it again.

        A request whose token was not added by this class is returned unchanged.
        """
        hooks = request.hooks.get("response", [])
        others = [hook for hook in hooks if getattr(hook, "func", None) != self._repeat_if_refused]
        if len(others) == len(hooks):
            return request
        repetition = request.copy()
        repetition.hooks = {**request.hooks, "response": []}
        repetition = self(repetition)
        # Other hooks, such as the one that stores the body, need the response to the request with a renewed token.
        repetition.hooks["response"] += others
        return repetition

    def without_renewal(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return a copy of a request that keeps its token whatever the API responds."""
        copied = request.copy()
        hooks = request.hooks.get("response", [])
        others = [hook for hook in hooks if getattr(hook, "func", None) != self._repeat_if_refused]
        copied.hooks = {**request.hooks, "response": [_never_renew, *others]}
        return copied

    def renew(self, response: requests.Response) -> bool:
        """Renew the token after a response that refuses it according to an error rule, whatever its status.

        :return: whether the token has changed since the request was sent
        :raises RenewalNeeded: if the request must not renew the token
        """
        if _never_renew in response.request.hooks.get("response", []):
            response.close()
            raise RenewalNeeded
        with refusal_reported(self._access.report) as refusal:
            refusal.is_repeated = self._has_changed(response)
        return refusal.is_repeated

    def _has_changed(self, response: requests.Response) -> bool:
        """Return whether the token has changed since a request was sent; renew it if necessary."""
        token = self._access.token()
        if not self._access.is_api_url(response.request.url or "", token):
            return False
        if not self._contains(response.request, token):
            return True  # another thread or process renewed it meanwhile
        return self._access.replacement(token, ApiRefusal.INVALID_TOKEN) is not None

    def _contains(self, request: requests.PreparedRequest, token: Token) -> bool:
        name, value = self._access.token_header(token)
        return request.headers.get(name) == value


def _never_renew(response: requests.Response, **_: Any) -> None:
    """Do nothing. This response hook marks a request that must not renew the token."""


def iter_requests(request: requests.PreparedRequest, auth: OAuth2Auth) -> Iterator[requests.PreparedRequest]:
    """Yield the request, and then copies with the current token, because the token may expire during a wait."""
    yield request
    while True:
        request = auth.refreshed(request)
        yield request


class OAuthSession(requests.Session):
    """A ``requests.Session`` that adds the token to requests to the connection's API, but not to other requests.

    :param access: provides the token, the headers and the parameters that are added to requests to the API
    :param sender: limits the rate of requests, and repeats them; None to send each request once, without a limit
    """

    def __init__(self, access: ApiAccess, sender: ApiSender | None = None) -> None:
        super().__init__()
        self._access = access
        self._sender = sender or ApiSender(RateLimiter(None), RecoveryPolicy(), access.config.conn_id)
        self._oauth = OAuth2Auth(access)
        self._environment_proxies: dict[str, dict[str, str]] = {}
        #: The URL of the previous page without its query, and the same URL as requests sends it.
        self._plain_url = ("", "")
        # With auth=None, requests would replace the Authorization header with credentials from a .netrc file.
        self.auth = self._oauth

    def set_options(self, options: Mapping[str, Any]) -> None:
        """Set the transport options of all requests.

        :param options: the fields of ``TransportOptions``; ``verify_ssl`` and ``proxy``, as in ``HttpHook``, replace
            ``verify`` and ``proxies``
        """
        self.verify = options.get("verify_ssl", options["verify"])
        self.proxies = dict(options.get("proxy") or options["proxies"])
        self.cert, self.stream = options["cert"], options["stream"]
        self.trust_env, self.max_redirects = options["trust_env"], options["max_redirects"]

    def mount_adapter(self, adapter: HTTPAdapter) -> None:
        """Send all requests with ``adapter``."""
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: bool | str | None, cert: Any
    ) -> Any:
        """Return the options of a request. A file or False in ``verify`` takes precedence over the environment.

        The proxies in the environment are looked up once per session and origin, because each lookup takes 100 µs.
        """
        verify = self.verify if verify is None else verify
        if proxies or not self.trust_env:
            return super().merge_environment_settings(url, proxies, stream, verify, cert)
        if verify is True:
            verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        key = url[: url.find("/", len("https://"))]
        if key not in self._environment_proxies:
            self._environment_proxies[key] = get_environ_proxies(url)
        return {
            "proxies": {**self.proxies, **self._environment_proxies[key]},
            "stream": self.stream if stream is None else stream,
            "verify": verify,
            "cert": cert or self.cert,
        }

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare ``request``, as ``requests.Session`` does. Its URL can be relative to the API's base URL.

        :raises ConfigurationError: if the request cannot be sent
        :raises OAuthError: if there is no valid token and none can be obtained
        """
        with self._errors_converted(request.method, request.url):
            if isinstance(request.url, str) and not is_absolute(request.url):
                request = copy(request)
                endpoint = self._access.current_endpoint(request.url)
                request.url = joined_url(self._access.current_base_url(), endpoint)
            return super().prepare_request(request)

    def prepare_next(
        self, request: requests.PreparedRequest, url: str, params: Mapping[str, Any]
    ) -> requests.PreparedRequest:
        """Return a copy of a prepared request with another URL and the current token.

        This takes a third of the time of ``prepare_request``, but does not update the cookies of the request.

        :param request: the prepared request
        :param url: the URL, which must have the API's origin
        :param params: the query parameters
        :raises ConfigurationError: if the request cannot be sent
        :raises OAuthError: if there is no valid token and none can be obtained
        """
        with self._errors_converted(request.method, url):
            copied = request.copy()
            if url != self._plain_url[0]:
                copied.prepare_url(url, None)
                self._plain_url = (url, copied.url or "")
            plain = self._plain_url[1]
            if "?" not in plain and "#" not in plain and all(type(value) in (str, int) for value in params.values()):
                copied.url = f"{plain}?{urlencode(params)}" if params else plain
            else:
                copied.prepare_url(url, params)
            return self._oauth.refreshed(copied)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send ``request`` as fast as the rate limiter allows, and always with a timeout. Repeat it as the rules say.

        :raises ApiConnectionError: if there is no complete response
        :raises ApiTimeout: if there is no response within the timeout
        :raises ConfigurationError: if the request cannot be sent, or a file in ``verify`` or ``cert`` cannot be used
        """
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._access.config.transport.timeout
        verify, cert = kwargs.get("verify"), kwargs.get("cert")
        to_send, send_once = iter_requests(request, self._oauth), super().send

        def converted(error: Exception, problem: str) -> Exception:
            return self._converted(error, request.method, request.url, verify, cert, problem)

        with self._errors_converted(request.method, request.url, verify, cert):
            return self._sender.send(request, lambda: send_once(next(to_send), **kwargs), self._oauth.renew, converted)

    def send_ahead(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request as ``send`` does, but never renew the token. Several threads can do this at the same time.

        A thread that renewed the token could be stopped by the end of the process, and the new token would be lost.

        :raises RenewalNeeded: if the API refuses the token
        """
        response = self.send(self._oauth.without_renewal(request), **kwargs)
        if self._access.refusal(response.status_code, response.headers.get("WWW-Authenticate", "")) is not None:
            response.close()
            raise RenewalNeeded
        return response

    @contextmanager
    def _errors_converted(self, method: str | None, url: Any, verify: Any = None, cert: Any = None) -> Iterator[None]:
        """Raise this package's errors instead of those of the HTTP client, which can contain secrets."""
        try:
            yield
        except OAuthError:
            raise
        except TRANSPORT_ERRORS as error:
            raise self._converted(error, method, url, verify, cert) from None

    def _converted(
        self, error: Exception, method: str | None, url: Any, verify: Any, cert: Any, problem: str = ""
    ) -> Exception:
        if isinstance(error, OAuthError):
            return error
        config = self._access.config
        return transport_error(
            config, error, method=str(method), url=str(url), verify=verify, cert=cert, problem=problem
        )

    def close(self) -> None:
        """Do nothing, because all hooks of this process share the adapter and its sockets."""

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Correct the token, headers and parameters of a redirected request, which is a copy of the first request.

        If the new URL belongs to the API, the request gets the current token, because its own may be outdated, and the
        connection's parameters, which the URL may lack. Otherwise, the headers that the connection added are removed,
        and those of the request whose names say that they contain a secret, such as ``X-Api-Key``. The library itself
        would remove only ``Authorization``, and would add credentials from a .netrc file.
        """
        token = self._access.token()
        name, value = self._access.token_header(token)
        url = prepared_request.url or ""
        if not self._access.is_api_url(url, token):
            added = {each.lower() for each in (name, *self._access.headers)}
            for each in list(prepared_request.headers):
                if each.lower() in added or is_secret_header(each):
                    del prepared_request.headers[each]
        elif name in prepared_request.headers:
            prepared_request.headers[name] = value
            if params := self._access.missing_params(url, token):
                prepared_request.prepare_url(url, params)
