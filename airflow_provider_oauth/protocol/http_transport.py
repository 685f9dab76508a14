"""One request to the authorization server, one answer, whatever the network does meanwhile."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict
from requests.utils import prepend_scheme_if_needed, select_proxy

from airflow_provider_oauth import __version__
from airflow_provider_oauth.exceptions import OAuthError, TokenResponseError
from airflow_provider_oauth.protocol.address_guard import AddressGuard, Blocked
from airflow_provider_oauth.protocol.limited_adapter import CONNECT_TIMEOUT, LimitedAdapter, ResponseTooLarge
from airflow_provider_oauth.protocol.tls_files import usable_ca, usable_client_certificate
from airflow_provider_oauth.protocol.token_responses import HttpResponse
from airflow_provider_oauth.protocol.transport_errors import Route, no_response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_oauth.protocol.clock import Clock
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token_requests import Request

#: An answer with a token is a few kilobytes; what is longer is not one. In bytes, after decompression.
MAX_RESPONSE_SIZE = 1024 * 1024
#: How many bytes are read at most: those of an answer and of its headers.
MAX_READ_SIZE = MAX_RESPONSE_SIZE + 64 * 1024


class HttpTransport:
    """Sends requests as the connection's transport options say, and as is good for what holds a secret.

    :param config: the connection
    :param clock: time
    """

    def __init__(self, config: OAuthConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._guard = AddressGuard(config.allowed_hosts)

    def send(self, request: Request, deadline: float) -> HttpResponse:
        """Send ``request`` and return what came back, whatever it says.

        :param request: what to send
        :param deadline: until when the answer must have ended, on the monotonic clock; nothing is sent after it
        :raises OAuthError: for every failure; its ``request_sent`` reports whether the server may have got the request
        :raises ConfigurationError: if a field makes it impossible to send it, or its host is not allowed
        :raises TokenRequestError: if there was no answer
        :raises TokenResponseError: if it was of unreasonable length
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
            check = None if proxy and route.is_proxy_of_environment else self._guard.check_address
            with LimitedAdapter(self._clock, deadline, MAX_READ_SIZE, check) as adapter:
                session.mount("https://", adapter)
                session.mount("http://", adapter)
                with self._errors_converted(request, route, adapter):
                    response = session.send(
                        prepared, timeout=(min(remaining, CONNECT_TIMEOUT), remaining), allow_redirects=False, **options
                    )
                    with response:
                        body = _body(response)
                        if adapter.is_cut and not _ended(response):
                            raise requests.ReadTimeout
        return HttpResponse(
            status_code=response.status_code,
            headers=CaseInsensitiveDict(response.headers),
            body=body,
            sent_at=sent_at,
        )

    def _prepared(self, session: requests.Session, request: Request) -> requests.PreparedRequest:
        """Return the request as requests sends it.

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
            problem = "(Token request headers) have a value that cannot be sent in a header"
            raise self._config.error("grant_headers", problem) from None
        except Exception as error:
            problem = f"is not a URL that can be requested ({type(error).__name__})"
            raise self._config.error(request.place.field, problem) from None

    def _options(self, session: requests.Session, prepared: requests.PreparedRequest) -> dict[str, Any]:
        """Return the options to send the request with: the connection's and, where it has none, the environment's.

        :raises ConfigurationError: if a file for TLS cannot be used. The reason is left out, so that users who
            can edit the connection learn nothing about the files of this host
        """
        transport = self._config.transport
        try:
            options: dict[str, Any] = {
                **session.merge_environment_settings(
                    prepared.url or "", dict(transport.proxies), True, transport.verify, transport.cert
                )
            }
        except Exception as error:
            problem = f"or the proxies in the environment cannot be used ({type(error).__name__})"
            raise self._config.error("proxies", problem) from None
        if not (prepared.url or "").startswith("https:"):
            options["cert"] = None  # requests would look for the file
            return options
        verify, cert = options["verify"], options["cert"]
        if isinstance(verify, str) and not usable_ca(verify):
            problem = "is not the path of CA certificates that this process can use"
            if transport.verify is True:
                problem = f"is not set, and REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE in the environment {problem}"
            raise self._config.error("verify", problem)
        if cert and not usable_client_certificate(cert):
            problem = "is not the path of a client certificate with an unencrypted key that this process can use"
            raise self._config.error("cert", problem)
        return options

    def _checked_route(
        self, request: Request, prepared: requests.PreparedRequest, options: dict[str, Any]
    ) -> tuple[str | None, Route]:
        """Return the URL of the proxy, if there is one, and how the request travels, after its hosts were checked.

        The environment's proxy is the administrator's choice, so its host is not checked.

        :raises ConfigurationError: if a host is not allowed
        """
        transport = self._config.transport
        try:
            proxy = select_proxy(prepared.url or "", options["proxies"])
            is_own = proxy in transport.proxies.values()
            proxy_host = urllib3.util.parse_url(prepend_scheme_if_needed(proxy, "http")).host if proxy else None
        except Exception as error:
            raise self._config.error("proxies", f"have a URL that cannot be used ({type(error).__name__})") from None
        route = Route(
            is_proxied=bool(proxy),
            is_proxy_of_environment=bool(proxy) and not is_own,
            is_ca_of_environment=transport.verify is True and isinstance(options["verify"], str),
        )
        with self._blocked_converted(request.place.field):
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
            problem = f"is not allowed: {error}. Check it, or ask an administrator to allow the host"
            raise self._config.error(field, problem) from None

    @contextmanager
    def _errors_converted(self, request: Request, route: Route, adapter: LimitedAdapter) -> Iterator[None]:
        """Convert every exception that is raised while the request is sent and its answer read."""
        try:
            with self._blocked_converted("proxies" if route.is_proxied else request.place.field):
                yield
        except OAuthError:
            raise
        except ResponseTooLarge:
            too_long = TokenResponseError(
                f"Connection {self._config.conn_id!r}: {request.where} sent over {MAX_RESPONSE_SIZE} bytes. "
                f"Check {request.place.field}."
            )
            too_long.request_sent = True
            raise too_long from None
        except Exception as error:
            # A requests error may hold a header in its text, so no cause is kept.
            is_lost = isinstance(error, (requests.ReadTimeout, requests.exceptions.ChunkedEncodingError))
            sent = adapter.is_connected or is_lost
            if adapter.is_cut:
                error = requests.ReadTimeout() if sent else requests.ConnectTimeout()
            raise no_response(self._config, request, route, error, sent=sent) from None


class _Session(requests.Session):
    """A session without redirects: requests would read the body of a redirect, however long, to look for the next."""

    def __init__(self) -> None:
        super().__init__()
        self.headers["User-Agent"] = f"airflow-provider-oauth/{__version__}"

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Treat every answer as the last one: a 307 would carry the secret to another place."""
        return None


def _body(response: requests.Response) -> bytes:
    body = b""
    # Not iter_content, which waits for a whole chunk.
    while chunk := _arrived(response):
        body += chunk
        if len(body) > MAX_RESPONSE_SIZE:
            raise ResponseTooLarge
    return body


def _ended(response: requests.Response) -> bool:
    """Tell whether the answer was read to an end that it has itself.

    So is one that had come before its process stood still for longer than it may take: its tokens are not thrown away.
    """
    return bool(response.raw.chunked) or response.raw.length_remaining == 0


def _arrived(response: requests.Response) -> bytes:
    try:
        return bytes(response.raw.read1(8192, decode_content=True))
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(error) from None


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request as it is: without an auth object, requests would take one from .netrc over our header."""
    return request
