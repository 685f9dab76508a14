"""Creates the errors of API requests, with the same classes and texts for both HTTP clients: requests and aiohttp."""

from __future__ import annotations

import json
import re
import ssl
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import aiohttp
import requests
import urllib3

from airflow_provider_oauth.api.policy import ApiRefusal, api_refusal
from airflow_provider_oauth.exceptions import (
    ApiConnectionError,
    ApiConnectTimeout,
    ApiError,
    ApiTimeout,
    ConfigurationError,
    OAuthError,
)
from airflow_provider_oauth.protocol.redaction import redact, redact_url
from airflow_provider_oauth.protocol.refusals import MEMBERS
from airflow_provider_oauth.protocol.tls_files import check_tls_files
from airflow_provider_oauth.protocol.transport_errors import contains, is_certificate_refused, network_reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig

#: Members of an error response that the error message quotes.
QUOTED_MEMBERS = ("error", *MEMBERS)
#: The same for a response with a success status, and only if it has an error code.
SUCCESS_MEMBERS = ("error", "error_description")
#: Maximum size of the body of an error response, in bytes. A larger body is not quoted, and not read to its end.
MAX_ERROR_BODY = 65536
#: Exceptions that requests, aiohttp and the libraries that they use raise if there is no usable response.
TRANSPORT_ERRORS = (
    requests.RequestException,
    aiohttp.ClientError,
    urllib3.exceptions.HTTPError,
    OSError,
    ValueError,
    RecursionError,
)
#: Exceptions of the HTTP client, the exception to raise instead, and advice. The first entry that matches is used.
FAILURES: tuple[tuple[tuple[type[Exception], ...], type[OAuthError], str], ...] = (
    (
        (
            requests.exceptions.SSLError,
            aiohttp.ClientSSLError,
            aiohttp.ClientConnectorCertificateError,
            ssl.SSLError,
        ),
        ApiConnectionError,
        "Check API base URL, verify (CA certificates) and cert (client certificate).",
    ),
    (
        (
            requests.exceptions.ProxyError,
            requests.exceptions.InvalidProxyURL,
            aiohttp.ClientProxyConnectionError,
            aiohttp.ClientHttpProxyError,
        ),
        ApiConnectionError,
        "Check proxies and the proxy settings in the environment.",
    ),
    (
        (requests.TooManyRedirects, aiohttp.TooManyRedirects, aiohttp.RedirectClientError),
        ApiConnectionError,
        "Check API base URL, the endpoint and max_redirects.",
    ),
    (
        (requests.ConnectTimeout, aiohttp.ConnectionTimeoutError),
        ApiConnectTimeout,
        "Check API base URL and Timeout, and that this machine can reach the API.",
    ),
    (
        (requests.Timeout, urllib3.exceptions.ReadTimeoutError, TimeoutError),
        ApiTimeout,
        "Increase Timeout if the API needs more time.",
    ),
    (
        (ValueError, requests.exceptions.InvalidJSONError, requests.exceptions.UnrewindableBodyError),
        ConfigurationError,
        "The request cannot be sent. Check endpoint, headers, parameters and body for values that HTTP does not allow.",
    ),
    (
        (OSError, aiohttp.ClientError, urllib3.exceptions.HTTPError),
        ApiConnectionError,
        "Check API base URL, and that this machine can reach the API.",
    ),
    (
        (RecursionError,),
        ConfigurationError,
        "The request cannot be sent, because its body has too many levels. Reduce them.",
    ),
)
#: Matches a challenge that requires DPoP (RFC 9449 section 7.1).
DPOP = re.compile(r"(?:^|,)\s*DPoP\b", re.IGNORECASE)
DPOP_REQUIRED = (
    "The API requires DPoP (RFC 9449), which this package does not support. Ask the API's operator to accept bearer "
    "tokens."
)
INSUFFICIENT_SCOPE = "The token lacks a scope that the API requires. Check Scope."
CHECK_DATA = "Check the request's parameters and body, and the page size of the paginator."
#: Advice about error responses: by what they mean for the token or, if the token is not the reason, by status.
ADVICE: dict[ApiRefusal | int, str] = {
    ApiRefusal.INVALID_TOKEN: "The API does not accept the token. Check API base URL, Scope, Audience and Resource.",
    ApiRefusal.FORBIDDEN: (
        "Check Scope, and the permissions of the client or of the user who authorized the connection. If this API also "
        "responds with 403 to invalid tokens, add 403 to Renew token on."
    ),
    400: CHECK_DATA,
    404: "Check API base URL and endpoint.",
    405: "Check method: OAuthHttpOperator and HttpOperator send POST by default.",
    422: CHECK_DATA,
}


def status_error(
    config: OAuthConfig,
    advice: Mapping[int, str],
    *,
    method: str,
    url: str,
    status: int,
    headers: Mapping[str, str],
    sent: Mapping[str, str],
    body: bytes,
    problem: str = "",
) -> ApiError:
    """Return the error for a response with an error status, or that is an error according to a rule.

    The text quotes only known members of the body, because the body and the reason phrase can contain secrets.

    :param config: the settings of the connection
    :param advice: the vendor's advice about error statuses, by status
    :param method: the HTTP method of the request
    :param url: the URL of the request; user, query and fragment are left out
    :param status: the status
    :param headers: the headers of the response
    :param sent: the headers of the request; the message does not quote the token in them
    :param body: the body of the response; it is not quoted if it is longer than ``MAX_ERROR_BODY`` bytes
    :param problem: why the request was not repeated, and what to do; "" if there is nothing to add
    """
    text = f"{status}:{phrase(status)} (connection {config.conn_id!r}, {_target(method, url)})"
    token = sent.get(config.header_name, "").rpartition(" ")[2]
    members = QUOTED_MEMBERS if status >= 400 else SUCCESS_MEMBERS
    if message := _message(body, headers.get("Content-Type", ""), config.error_path, members):
        text += f". Message from {config.api_name}: {redact(message, (*config.secrets, token))!r}."
    if hint := advice.get(status) or _advice(status, headers.get("WWW-Authenticate", "")):
        text = f"{text.rstrip('.')}. {hint}"
    if problem:
        text = f"{text.rstrip('.')}. {problem}."
    return ApiError(text, status_code=status)


def transport_error(
    config: OAuthConfig,
    error: Exception,
    *,
    method: str,
    url: str,
    verify: Any = None,
    cert: Any = None,
    problem: str = "",
) -> OAuthError:
    """Return the error for a request that could not be sent, or whose response could not be read.

    The text names the type of ``error`` and the reason that the operating system or the TLS library gives. It does not
    quote the text of ``error``, which can contain the URL, headers and parts of the response.

    :param config: the settings of the connection
    :param error: the exception of the HTTP client
    :param method: HTTP method of the request
    :param url: URL of the request; its user, query and fragment are left out
    :param verify: the option ``verify`` of the request, which can come from the environment
    :param cert: the option ``cert`` of the request
    :param problem: why the request was not repeated, and what to do; "" if there is nothing to add
    """
    if isinstance(error, OSError):
        try:
            # For an http URL, requests does not use ``verify``, but still checks ``cert``.
            check_tls_files(config, verify if url.startswith("https:") else True, cert)
        except ConfigurationError as unusable_file:
            return unusable_file
    if error.args and isinstance(error.args[0], urllib3.exceptions.ReadTimeoutError):
        error = error.args[0]  # requests raises ConnectionError, not Timeout, if the rest of a body is late
    cls, advice = next((cls, advice) for types, cls, advice in FAILURES if isinstance(error, types))
    reason = redact(network_reason(error), config.secrets)
    addition = f" {problem}." if problem else ""
    return cls(f"Connection {config.conn_id!r}: {_target(method, url)} failed: {reason}. {advice}{addition}")


def is_broken_connection(error: Exception) -> bool:
    """Return whether the same request may succeed later, because the connection broke or the response was late.

    :param error: an exception of requests or aiohttp
    """
    if contains(
        error, (ssl.SSLCertVerificationError, requests.exceptions.ProxyError, aiohttp.ClientProxyConnectionError)
    ) or is_certificate_refused(error):
        return False
    broken = (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
        aiohttp.ClientConnectionError,
        aiohttp.ClientPayloadError,
        urllib3.exceptions.HTTPError,
        TimeoutError,
        ConnectionError,
    )
    return isinstance(error, broken)


def read_error_body(response: requests.Response) -> bytes:
    """Return the body of an error response, or its first bytes if it is longer than ``MAX_ERROR_BODY``.

    :param response: the response; it is closed
    """
    body = b""
    with suppress(*TRANSPORT_ERRORS):  # if reading fails, the error quotes what was read until then
        for chunk in response.iter_content(8192):
            body += chunk
            if len(body) > MAX_ERROR_BODY:
                break
    response.close()
    return body


def phrase(status: int) -> str:
    """Return the standard reason phrase of ``status``. The phrase that the API sent could contain secrets."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Nonstandard Status"


def _target(method: str, url: str) -> str:
    return f"{method} {redact_url(url)}"


def _advice(status: int, challenge: str) -> str:
    if DPOP.search(challenge) and "bearer" not in challenge.lower():
        return DPOP_REQUIRED
    if "insufficient_scope" in challenge:
        return INSUFFICIENT_SCOPE
    return ADVICE.get(api_refusal(status, challenge) or status, "")


def _search(path: str, content: Any) -> Any:
    import jmespath  # only here: most requests succeed

    return jmespath.search(path, content)


def _message(body: bytes, content_type: str, error_path: str | None, members: tuple[str, ...]) -> str:
    """Return the error messages in the body. Only members that are known to contain a message are read."""
    if len(body) > MAX_ERROR_BODY:
        return ""
    try:
        if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
            content: Any = dict(parse_qsl(body.decode(errors="replace")))
        else:
            content = json.loads(body)
        found = _search(error_path, content) if error_path else None
    except (ValueError, RecursionError):
        return ""
    # error_path finds a list if the API reports several errors in one response. They are joined to one message.
    messages = [" ".join(text for text in (found if isinstance(found, list) else [found]) if isinstance(text, str))]
    for source in (content, content.get("error") if isinstance(content, dict) else None):
        if isinstance(source, dict) and (members == QUOTED_MEMBERS or isinstance(source.get("error"), str)):
            messages += [text for name in members if isinstance(text := source.get(name), str)]
    return "; ".join(dict.fromkeys(filter(None, map(str.strip, messages))))
