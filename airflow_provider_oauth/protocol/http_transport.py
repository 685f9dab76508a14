"""Sends one request to the authorization server, within a deadline, and returns the response."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict
from requests.utils import prepend_scheme_if_needed, select_proxy

from airflow_provider_oauth import __version__
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.protocol.address_guard import AddressGuard, Blocked
from airflow_provider_oauth.protocol.limited_adapter import LimitedAdapter, ResponseTooLarge
from airflow_provider_oauth.protocol.timeouts import CONNECT_TIMEOUT
from airflow_provider_oauth.protocol.tls_files import check_tls_files
from airflow_provider_oauth.protocol.token_responses import HttpResponse, invalid_response
from airflow_provider_oauth.protocol.transport_errors import Route, no_response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_oauth.protocol.clock import Clock
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token_requests import Request

#: Maximum size of a response body in bytes, after decompression. A typical token response is a few
#: kilobytes long.
MAX_RESPONSE_SIZE = 1024 * 1024
#: Maximum number of bytes that are read from the connection: headers and body.
MAX_READ_SIZE = MAX_RESPONSE_SIZE + 64 * 1024
#: Warns what happens if an administrator adds a host to the empty setting.
FIRST_ALLOWED_HOST = "([oauth] allowed_hosts is empty now. As soon as it has an entry, all other hosts are forbidden.)"


class HttpTransport:
    """Sends requests to the authorization server with the connection's transport options.

    It checks the hosts, follows no redirects, and limits time and size.

    :param config: the connection
    :param clock: the clocks
    """

    def __init__(self, config: OAuthConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._guard = AddressGuard(config.allowed_hosts)

    def send(self, request: Request, deadline: float) -> HttpResponse:
        """Send ``request`` and return the response, whatever its status.

        :param request: the request
        :param deadline: when the response must be complete, on the monotonic clock; nothing is sent after it
        :return: the response
        :raises OAuthError: for every failure; ``request_sent`` says whether the server may have received the request
        :raises ConfigurationError: if a field makes it impossible to send the request, or its host is not allowed
        :raises TokenRequestError: if there is no complete response
        :raises TokenResponseError: if the response is too large
        """
        sent_at = self._clock.now()
        with _Session() as session:
            session.trust_env = self._config.transport.trust_env
            prepared = self._prepared(session, request)
            options = self._options(session, prepared)
            proxy, route = self._checked_route(request, prepared, options)
            remaining = deadline - self._clock.monotonic()
            if remaining <= 0:
                raise no_response(self._config, request, route, requests.ConnectTimeout(), sent=False)
            check = None if proxy and route.is_proxy_from_environment else self._guard.check_address
            passphrase = self._config.private_key_passphrase
            with LimitedAdapter(self._clock, deadline, MAX_READ_SIZE, check, passphrase) as adapter:
                session.mount("https://", adapter)
                session.mount("http://", adapter)
                with self._errors_converted(request, route, adapter):
                    response = session.send(
                        prepared, timeout=(min(remaining, CONNECT_TIMEOUT), remaining), allow_redirects=False, **options
                    )
                    with response:
                        body = _body(response)
                        if adapter.is_timed_out and not _is_complete(response):
                            raise requests.ReadTimeout
        return HttpResponse(
            status_code=response.status_code,
            headers=CaseInsensitiveDict(response.headers),
            body=body,
            sent_at=sent_at,
        )

    def _prepared(self, session: requests.Session, request: Request) -> requests.PreparedRequest:
        """Return the request in the form that requests sends.

        :raises ConfigurationError: if its URL or a header cannot be sent
        """
        headers = dict(request.headers)
        try:
            for name, value in headers.items():
                f"{name}: {value}".encode("latin-1")
            return session.prepare_request(
                requests.Request(request.method, request.url, data=request.body, headers=headers, auth=_unchanged)
            )
        except (requests.exceptions.InvalidHeader, UnicodeEncodeError):
            problem = (
                "has a value that cannot be sent in an HTTP header. Remove line breaks and characters outside Latin-1"
            )
            raise self._config.error("grant_headers", problem) from None
        except Exception as error:
            raise self._config.error(
                request.endpoint.field, f"is not a valid URL ({type(error).__name__}). Check it"
            ) from None

    def _options(self, session: requests.Session, prepared: requests.PreparedRequest) -> dict[str, Any]:
        """Return the options for ``Session.send``: those of the connection or, if it has none, of the environment.

        :raises ConfigurationError: if a file for TLS cannot be used
        """
        transport = self._config.transport
        try:
            options: dict[str, Any] = {
                **session.merge_environment_settings(
                    prepared.url or "", dict(transport.proxies), True, transport.verify, transport.cert
                )
            }
        except Exception as error:
            problem = f"or the proxy settings in the environment cannot be used ({type(error).__name__}). Check them"
            raise self._config.error("proxies", problem) from None
        if not (prepared.url or "").startswith("https:"):
            options["cert"] = None  # requests would check the file, although plain http does not use it
            return options
        check_tls_files(self._config, options["verify"], options["cert"])
        return options

    def _checked_route(
        self, request: Request, prepared: requests.PreparedRequest, options: dict[str, Any]
    ) -> tuple[str | None, Route]:
        """Check the hosts of the request and the proxy; return the URL of the proxy, if there is one, and the route.

        A proxy from the environment was set by an administrator, so its host is not checked.

        :raises ConfigurationError: if a host is not allowed
        """
        transport = self._config.transport
        try:
            proxy = select_proxy(prepared.url or "", options["proxies"])
            is_own = proxy in transport.proxies.values()
            proxy_host = urllib3.util.parse_url(prepend_scheme_if_needed(proxy, "http")).host if proxy else None
        except Exception as error:
            problem = f"contains an invalid URL ({type(error).__name__}). Check it"
            raise self._config.error("proxies", problem) from None
        route = Route(
            is_proxied=bool(proxy),
            is_proxy_from_environment=bool(proxy) and not is_own,
            is_ca_from_environment=transport.verify is True and isinstance(options["verify"], str),
        )
        with self._blocked_converted(request.endpoint.field):
            self._guard.check_host(urlsplit(prepared.url or "").hostname or "")
        if proxy and is_own:
            with self._blocked_converted("proxies"):
                self._guard.check_host(proxy_host or "")
        return proxy, route

    @contextmanager
    def _blocked_converted(self, field: str) -> Iterator[None]:
        try:
            yield
        except Blocked as error:
            problem = f"is not allowed: {error}. Check the URL, or ask an administrator to allow the host"
            details = "" if self._guard.allowed_hosts else FIRST_ALLOWED_HOST
            raise self._config.error(field, problem, details) from None

    @contextmanager
    def _errors_converted(self, request: Request, route: Route, adapter: LimitedAdapter) -> Iterator[None]:
        """Convert every exception that is raised while the request is sent and its response is read."""
        try:
            with self._blocked_converted("proxies" if route.is_proxied else request.endpoint.field):
                yield
        except OAuthError:
            raise
        except ResponseTooLarge:
            problem = f"sent a response of more than {MAX_RESPONSE_SIZE} bytes"
            too_large = invalid_response(self._config, request, problem)
            too_large.request_sent = True
            raise too_large from None
        except Exception as error:
            # The text of a requests exception may contain a header, so the exception is not chained.
            is_lost = isinstance(error, (requests.ReadTimeout, requests.exceptions.ChunkedEncodingError))
            sent = adapter.is_connected or is_lost
            if adapter.is_timed_out:
                error = requests.ReadTimeout() if sent else requests.ConnectTimeout()
            raise no_response(self._config, request, route, error, sent=sent) from None


class _Session(requests.Session):
    """A session that treats a redirect like any other response.

    Even with ``allow_redirects=False``, requests would read the whole body of a redirect, without a size limit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.headers["User-Agent"] = f"airflow-provider-oauth/{__version__}"

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return None, so that requests neither follows a redirect nor reads its body."""
        return None


def _body(response: requests.Response) -> bytes:
    body = b""
    # ``iter_content`` is not used, because it waits until it has a whole chunk.
    while chunk := _read(response):
        body += chunk
        if len(body) > MAX_RESPONSE_SIZE:
            raise ResponseTooLarge
    return body


def _is_complete(response: requests.Response) -> bool:
    """Return whether the whole response was read, according to its ``Content-Length`` or its last chunk.

    A response that is complete is used even after the deadline, which can have passed while this process was suspended.
    """
    return bool(response.raw.chunked) or response.raw.length_remaining == 0


def _read(response: requests.Response) -> bytes:
    try:
        return bytes(response.raw.read1(8192, decode_content=True))
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(error) from None


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Return the request unchanged.

    As long as a session has an auth object, such as this function, the requests library does not replace the
    ``Authorization`` header with credentials from a .netrc file.
    """
    return request
