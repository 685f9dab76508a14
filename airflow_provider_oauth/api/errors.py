"""The errors of API requests, with the same classes and texts for requests and aiohttp."""

from __future__ import annotations

import json
import os
import ssl
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import aiohttp
import jmespath
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

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig

#: Members of an error response that are quoted.
QUOTED_MEMBERS = ("error", *MEMBERS)
#: Bytes of an error response that are read to quote from it. A longer one is not quoted.
MAX_ERROR_BODY = 65536
#: What requests, aiohttp and the libraries below them raise when there is no usable response.
TRANSPORT_ERRORS = (
    requests.RequestException,
    aiohttp.ClientError,
    urllib3.exceptions.HTTPError,
    OSError,
    ValueError,
    RecursionError,
)
#: By type of such an error, in order: what is raised instead, and what to check.
FAILURES: tuple[tuple[tuple[type[Exception], ...], type[OAuthError], str], ...] = (
    (
        (
            requests.exceptions.SSLError,
            aiohttp.ClientSSLError,
            aiohttp.ClientConnectorCertificateError,
            ssl.SSLError,
        ),
        ApiConnectionError,
        "Check Host, verify (the CA bundle) and cert (the client certificate).",
    ),
    (
        (
            requests.exceptions.ProxyError,
            requests.exceptions.InvalidProxyURL,
            aiohttp.ClientProxyConnectionError,
            aiohttp.ClientHttpProxyError,
        ),
        ApiConnectionError,
        "Check proxies, and the proxy settings in the environment.",
    ),
    (
        (requests.TooManyRedirects, aiohttp.TooManyRedirects, aiohttp.RedirectClientError),
        ApiConnectionError,
        "The redirects could not be followed. Check Host and the endpoint, and max_redirects.",
    ),
    (
        (requests.ConnectTimeout, aiohttp.ConnectionTimeoutError),
        ApiConnectTimeout,
        "Check Host and Timeout, and that this machine can reach the API.",
    ),
    (
        (requests.Timeout, urllib3.exceptions.ReadTimeoutError, TimeoutError),
        ApiTimeout,
        "The API did not respond in time. Increase Timeout if it needs longer.",
    ),
    (
        (ValueError, requests.exceptions.InvalidJSONError, requests.exceptions.UnrewindableBodyError),
        ConfigurationError,
        "The request cannot be sent. Check the endpoint, the headers, the parameters and the body for values that HTTP "
        "does not allow.",
    ),
    (
        (OSError, aiohttp.ClientError, urllib3.exceptions.HTTPError),
        ApiConnectionError,
        "Check Host, and that this machine can reach the API.",
    ),
    ((RecursionError,), ConfigurationError, "The request cannot be sent. Check the body: it is nested too deeply."),
)


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
) -> ApiError:
    """Return the error for a response with an error status.

    The text quotes only known members of the body, because the body and the reason phrase can contain secrets.

    :param config: the settings of the connection
    :param advice: the vendor's advice about error statuses, by status
    :param method: the HTTP method of the request
    :param url: the URL of the request; user, query and fragment are left out
    :param status: the status, 400 or above
    :param headers: the headers of the response
    :param sent: the headers of the request; the token in them is not quoted
    :param body: the body of the response; it is not quoted if it is longer than ``MAX_ERROR_BODY`` bytes
    """
    text = f"{status}:{phrase(status)} (connection {config.conn_id!r}, {_target(method, url)})"
    token = sent.get(config.header_name, "").rpartition(" ")[2]
    if message := _message(body, headers.get("Content-Type", ""), config.error_path):
        text += f". Message from the API: {redact(message, (*config.secrets, token))!r}."
    if hint := advice.get(status) or _advice(status, headers.get("WWW-Authenticate", "")):
        text = f"{text.rstrip('.')}. {hint}"
    return ApiError(text, status_code=status)


def transport_error(
    config: OAuthConfig, error: Exception, *, method: str, url: str, verify: Any = None, cert: Any = None
) -> OAuthError:
    """Return the error for a request that could not be sent, or whose response could not be read.

    Of ``error`` only its type and the operating system's or TLS library's reason are part of the text: its own text can
    contain the URL, headers and parts of the response.

    :param config: the connection
    :param error: what the HTTP client raised
    :param method: of the request
    :param url: of the request; its user, query and fragment are left out
    :param verify: the ``verify`` that was used, which may come from the environment
    :param cert: the ``cert`` that was used
    """
    if isinstance(error, OSError) and (isinstance(verify, str) or cert):
        try:
            tls_context(config, verify, cert)
        except ConfigurationError as invalid_response:
            return invalid_response
    if error.args and isinstance(error.args[0], urllib3.exceptions.ReadTimeoutError):
        error = error.args[0]  # requests makes it a ConnectionError if a part of the body was late
    cls, advice = next((cls, advice) for types, cls, advice in FAILURES if isinstance(error, types))
    reason = next(_reasons(error), "")
    quoted = f" ({redact(reason, config.secrets)})" if reason else ""
    return cls(
        f"Connection {config.conn_id!r}: {_target(method, url)} failed: {type(error).__name__}{quoted}. {advice}"
    )


def tls_context(config: OAuthConfig, verify: Any, cert: Any) -> ssl.SSLContext:
    """Return a TLS context with the connection's CA bundle and client certificate.

    :param config: the connection
    :param verify: path of a CA bundle or of a folder of CA certificates; False turns verification off; True means the
        system's certificates
    :param cert: path of a client certificate with its key, or a pair of paths
    :raises ConfigurationError: if one of the files cannot be used
    """
    path = verify if isinstance(verify, str) else None
    folder = path if path and os.path.isdir(path) else None
    try:
        context = ssl.create_default_context(cafile=None if folder else path, capath=folder)
    except (OSError, ValueError) as error:
        name = "verify" if path == config.transport.verify else "verify, or REQUESTS_CA_BUNDLE in the environment,"
        raise config.error(name, f"cannot be used as a CA bundle ({type(error).__name__})") from None
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert:
        try:
            certificate, key = (cert, None) if isinstance(cert, str) else cert
            # A password, so that OpenSSL does not ask for one at the terminal.
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:
            problem = f"cannot be used as a client certificate ({type(error).__name__})"
            raise config.error("cert", problem) from None
    return context


def read_error_body(response: requests.Response) -> bytes:
    """Return the body of an error response, or its first bytes if it is longer than ``MAX_ERROR_BODY``.

    :param response: the response; it is closed
    """
    body = b""
    with suppress(*TRANSPORT_ERRORS):  # the error then quotes what was read, if anything
        for chunk in response.iter_content(8192):
            body += chunk
            if len(body) > MAX_ERROR_BODY:
                break
    response.close()
    return body


def phrase(status: int) -> str:
    """Return the standard reason phrase of ``status``. The API's own could contain secrets."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Nonstandard Status"


def _target(method: str, url: str) -> str:
    return f"{method} {redact_url(url)}"


def _advice(status: int, challenge: str) -> str:
    if "insufficient_scope" in challenge:
        return "The token lacks a scope that the API requires. Check Scope."
    refusal = api_refusal(status, challenge)
    if refusal is ApiRefusal.INVALID_TOKEN:
        return "The API does not accept the token. Check API base URL, Scope, Audience and Resource."
    if refusal is ApiRefusal.FORBIDDEN:
        return (
            "Check Scope, and the permissions of the client or of the user who authorized the connection. If this API "
            "also responds with 403 to invalid tokens, add 403 to Renew token on."
        )
    return ""


def _message(body: bytes, content_type: str, error_path: str | None) -> str:
    """Return the error messages in those members of the body that are known to contain some."""
    if len(body) > MAX_ERROR_BODY:
        return ""
    try:
        if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
            content: Any = dict(parse_qsl(body.decode(errors="replace")))
        else:
            content = json.loads(body)
        found = jmespath.search(error_path, content) if error_path else None
    except (ValueError, RecursionError):
        return ""
    # error_path finds a list if the API can report several errors in one response; they become one message.
    messages = [" ".join(text for text in (found if isinstance(found, list) else [found]) if isinstance(text, str))]
    for source in (content, content.get("error") if isinstance(content, dict) else None):
        if isinstance(source, dict):
            messages += [text for name in QUOTED_MEMBERS if isinstance(text := source.get(name), str)]
    return "; ".join(dict.fromkeys(filter(None, map(str.strip, messages))))


def _reasons(error: BaseException, depth: int = 0) -> Iterator[str]:
    """Yield the reasons that the operating system or the TLS library gave, those of the original exception first."""
    if depth < 8:
        for each in (*error.args, *(getattr(error, name, None) for name in ("reason", "__cause__", "__context__"))):
            if isinstance(each, BaseException):
                yield from _reasons(each, depth + 1)
    if isinstance(error, OSError):
        for name in ("verify_message", "strerror"):  # of TLS; of all
            if reason := getattr(error, name, None):
                yield str(reason)
