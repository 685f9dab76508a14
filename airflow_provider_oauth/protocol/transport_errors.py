"""Converts exceptions of requests, urllib3, ssl and the system to errors of this package that name the field.

The text of such an exception may contain a header, a URL or a status line, so only the system's own words are quoted.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests
import urllib3

from airflow_provider_oauth.exceptions import OAuthError, TokenRequestError
from airflow_provider_oauth.protocol.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token_requests import Request

#: Errors after which the same request may succeed later.
PASSING = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


@dataclass(frozen=True, kw_only=True)
class Route:
    """How a request travels, for the advice in an error.

    :param is_proxied: whether it goes through a proxy
    :param is_proxy_of_environment: whether that proxy is not the connection's
    :param is_ca_of_environment: whether the environment names the CA certificates
    """

    is_proxied: bool = False
    is_proxy_of_environment: bool = False
    is_ca_of_environment: bool = False

    @property
    def proxies(self) -> str:
        """The field, or the variable, that names the proxy."""
        return "proxies or the proxy in the environment" if self.is_proxy_of_environment else "proxies"

    @property
    def verify(self) -> str:
        """The field, or the variable, that names the CA certificates."""
        return "verify or REQUESTS_CA_BUNDLE in the environment" if self.is_ca_of_environment else "verify"


def no_response(config: OAuthConfig, request: Request, route: Route, error: Exception, *, sent: bool) -> OAuthError:
    """Return the error for a request that got no complete response.

    :param config: the connection
    :param request: the request that failed
    :param route: how it was to travel
    :param error: what happened
    :param sent: whether the request may have reached the server
    """
    chain = list(_chain(error))
    passing = isinstance(error, PASSING)
    field = request.place.field
    converted: OAuthError
    if route.is_proxied and not passing:
        converted = config.error(route.proxies, f"cannot be used: {_reason(chain)}")
    else:
        if any(isinstance(each, (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError)) for each in chain):
            field = route.proxies
        elif any(isinstance(each, ssl.SSLCertVerificationError) for each in chain):
            field, passing = route.verify, False
        elif any(isinstance(each, (requests.exceptions.SSLError, ssl.SSLError)) for each in chain):
            field = f"{field}, {route.verify} and cert"
        converted = TokenRequestError(
            f"Connection {config.conn_id!r}: no response from {request.where}: "
            f"{redact(_reason(chain), request.secrets)}. Check {field}, and that this host can reach the server.",
            retryable=passing,
        )
    converted.request_sent = sent
    return converted


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and the exceptions that it was made of, each once."""
    pending, seen = [error], set()
    while pending:
        each = pending.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        parts = (*each.args, getattr(each, "reason", None), each.__cause__, each.__context__)
        pending += [part for part in parts if isinstance(part, BaseException)]


def _reason(chain: list[BaseException]) -> str:
    """Return what happened, without words of the server, a proxy or the request."""
    name = type(chain[0]).__name__
    for each in chain:
        if reason := _words(each):
            return f"{name} ({reason})"
    return name


#: What the types of exceptions mean, for those without words of the system.
MEANINGS: tuple[tuple[type[BaseException], str], ...] = (
    (urllib3.exceptions.ConnectTimeoutError, "no connection was established in time"),
    (requests.ConnectTimeout, "no connection was established in time"),
    (urllib3.exceptions.ReadTimeoutError, "the response was not complete in time"),
    (requests.ReadTimeout, "the response was not complete in time"),
    (http.client.RemoteDisconnected, "the server closed the connection"),
    (http.client.HTTPException, "the answer is not valid HTTP"),
)


def _words(error: BaseException) -> str | None:
    """Return what an exception means, in the words of the system or of this package."""
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return None  # its cause has the reason; for compatibility, it is a ConnectTimeoutError too
    for kind, meaning in MEANINGS:
        if isinstance(error, kind):
            return meaning
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate was not accepted: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return f"the host name cannot be resolved: {error.strerror}"
    if isinstance(error, ssl.SSLError):
        return error.reason
    if isinstance(error, OSError) and (status := re.search(r"Tunnel connection failed: (\d{3})\b", str(error))):
        return f"the proxy answered {status[1]}"
    return error.strerror if isinstance(error, OSError) and error.errno else None
