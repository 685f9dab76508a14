"""Describes network errors, and creates the exceptions for requests to the authorization server that failed.

The texts of exceptions of requests, aiohttp, urllib3, ssl and the operating system may contain a header, a URL or a
status line. Therefore only the reasons that the operating system and the TLS library give are quoted.
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
from airflow_provider_oauth.protocol.field_labels import LABELS
from airflow_provider_oauth.protocol.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token_requests import Request

#: Errors after which the same request may succeed later.
RETRYABLE_ERRORS = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
#: Reasons by class, for exceptions that contain no reason from the operating system or the TLS library.
REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (urllib3.exceptions.ConnectTimeoutError, "no connection was established in time"),
    (requests.ConnectTimeout, "no connection was established in time"),
    (urllib3.exceptions.ReadTimeoutError, "the response was not complete in time"),
    (requests.ReadTimeout, "the response was not complete in time"),
    (http.client.RemoteDisconnected, "the server closed the connection"),
    (http.client.HTTPException, "the response is not valid HTTP"),
)
#: TLS alerts with which a server refuses the client's certificate, or requires one (RFC 8446 section 6.2).
CERTIFICATE_ALERT = re.compile(
    r"ALERT_(CERTIFICATE_(REQUIRED|REVOKED|EXPIRED|UNKNOWN)|(BAD|UNSUPPORTED)_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)$"
)


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where the proxy and the CA certificates of a request are set, for the advice in an error.

    :param is_proxied: whether the request goes through a proxy
    :param is_proxy_from_environment: whether that proxy is set in the environment, not in the connection
    :param is_ca_from_environment: whether the CA certificates are set in the environment
    """

    is_proxied: bool = False
    is_proxy_from_environment: bool = False
    is_ca_from_environment: bool = False

    @property
    def proxies(self) -> str:
        """The setting to check after an error of the proxy."""
        return "proxies or the proxy in the environment" if self.is_proxy_from_environment else "proxies"

    @property
    def verify(self) -> str:
        """The setting to check if the server's certificate was not accepted."""
        return "verify or REQUESTS_CA_BUNDLE in the environment" if self.is_ca_from_environment else "verify"


def no_response(config: OAuthConfig, request: Request, route: Route, error: Exception, *, sent: bool) -> OAuthError:
    """Return the error for a request to the authorization server that got no complete response.

    :param config: the connection
    :param request: the request
    :param route: where its proxy and CA certificates are set
    :param error: the exception of the requests library
    :param sent: whether the request may have reached the server
    """
    is_retryable = isinstance(error, RETRYABLE_ERRORS)
    reason = redact(network_reason(error), request.secrets)
    converted: OAuthError
    if route.is_proxied and not is_retryable:
        source = "(or the proxy in the environment) " if route.is_proxy_from_environment else ""
        converted = config.error("proxies", f"{source}cannot be used: {reason}. Check the URL of the proxy")
    else:
        causes = list(_causes(error))
        label = LABELS[request.endpoint.field]
        if _contains(causes, (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError)):
            label = route.proxies
        elif _contains(causes, (ssl.SSLCertVerificationError,)):
            label, is_retryable = route.verify, False
        elif is_certificate_refused(error):
            # With TLS 1.3, the request was sent before the alert arrived, but the server did not process it.
            label, is_retryable, sent = "cert (client certificate)", False, False
        elif _contains(causes, (requests.exceptions.SSLError, ssl.SSLError)):
            label = f"{label}, {route.verify} and cert"
        converted = TokenRequestError(
            f"Connection {config.conn_id!r}: no response from the {request.endpoint.name_in(config)}: {reason}. "
            f"Check {label}, and that this machine can reach the server. (URL: {request.shown_url})",
            retryable=is_retryable,
        )
    converted.request_sent = sent
    return converted


def network_reason(error: BaseException) -> str:
    """Return the type of a network error and, if it is known, the reason: ``ConnectTimeout (no connection …)``.

    It contains no text from the server, a proxy or the request.
    """
    causes = list(_causes(error))
    reasons = [
        *map(_specific_reason, causes),
        *(cause.strerror for cause in causes if isinstance(cause, OSError) and cause.errno),
    ]
    reason = next(filter(None, reasons), None)
    return f"{type(error).__name__} ({reason})" if reason else type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and all exceptions that it contains or was caused by, each once."""
    pending, seen = [error], set()
    while pending:
        cause = pending.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        related = (*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__)
        pending += [each for each in related if isinstance(each, BaseException)]


def contains(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    """Return whether ``error`` is one of these exceptions, contains one, or was caused by one."""
    return _contains(_causes(error), kinds)


def is_certificate_refused(error: BaseException) -> bool:
    """Return whether the server refused the client's certificate, or requires one, before it read the request.

    :param error: an exception of requests or aiohttp
    """
    return any(_has_certificate_alert(cause) for cause in _causes(error))


def _has_certificate_alert(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLError) and bool(CERTIFICATE_ALERT.search(getattr(error, "reason", None) or ""))


def _contains(causes: Iterable[BaseException], kinds: tuple[type[BaseException], ...]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)


def _specific_reason(error: BaseException) -> str | None:
    """Return the reason in ``error`` itself; None if it has none, or only one from the operating system."""
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return None  # its cause has the reason; REASONS would match it, because it derives from ConnectTimeoutError
    for kind, reason in REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, ssl.SSLCertVerificationError):
        message = getattr(error, "verify_message", None)
        return message and f"the certificate was not accepted: {message}"
    if _has_certificate_alert(error):
        return f"the server did not accept the client certificate: {getattr(error, 'reason', '')}"
    if isinstance(error, ssl.SSLError):
        return getattr(error, "reason", None) or error.strerror
    if isinstance(error, socket.gaierror):
        return f"the host name cannot be resolved: {error.strerror}"
    if isinstance(error, OSError) and (status := re.search(r"Tunnel connection failed: (\d{3})\b", str(error))):
        return f"the proxy responded with status {status[1]}"
    return None
