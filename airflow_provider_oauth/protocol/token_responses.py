"""Parses responses of the token endpoint and the revocation endpoint. Pure functions, no I/O."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import jmespath
from jmespath.exceptions import JMESPathError

from airflow_provider_oauth.exceptions import TokenResponseError
from airflow_provider_oauth.protocol.advice import XML
from airflow_provider_oauth.protocol.api_hosts import host_of, is_api_host
from airflow_provider_oauth.protocol.config import url_problem
from airflow_provider_oauth.protocol.field_labels import LABELS
from airflow_provider_oauth.protocol.id_token import id_token_claims
from airflow_provider_oauth.protocol.redaction import redact
from airflow_provider_oauth.protocol.refusals import error_code, refusal
from airflow_provider_oauth.protocol.response_bodies import decoded, is_xml
from airflow_provider_oauth.protocol.token import Token, is_sendable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token_requests import Request, TokenRequest

#: A lifetime of more seconds than this (31 years) is read as a Unix time, which some servers send in ``expires_in``.
MAX_DURATION = 1_000_000_000
MAX_LIFETIME = timedelta(days=3650)
#: Grants that a user has just authorized.
USER_GRANTS = ("authorization_code", "device_code")
#: Members with the lifetime of a refresh token in seconds. No RFC defines such a member.
REFRESH_LIFETIME_MEMBERS = ("refresh_expires_in", "refresh_token_expires_in")

#: Shown instead of a query, which may contain a token.
HIDDEN_QUERY = "?…"
REPORT_TO_OPERATOR = "Report this to the server's operator"
#: Maximum length of a token in characters. Servers do not accept longer headers.
MAX_TOKEN_LENGTH = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    """A response of the authorization server.

    :param status_code: HTTP status
    :param headers: headers, by case-insensitive name
    :param body: the body, decompressed
    :param sent_at: time when the request was sent, with a time zone
    """

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    sent_at: datetime


def parse_token_response(
    config: OAuthConfig, request: TokenRequest, response: HttpResponse, nonce: str | None = None
) -> Token:
    """Return the token in a response (RFC 6749 section 5.1).

    :param config: the connection
    :param request: the request
    :param response: its response
    :param nonce: the nonce that an ID token in the response must contain; None if the authorization request had none
    :return: the token
    :raises TokenRequestError: if the server refused the request; a subclass for each error code of section 5.2
    :raises TokenResponseError: if the response contains neither a token nor an error, or an ID token without the nonce
    """
    values = response_values(config, request, response)
    access_token, refresh_token = _access_token(config, request, response, values), values.get("refresh_token")
    token_type = values.get("token_type") if isinstance(values.get("token_type"), str) else "Bearer"
    if str(token_type).lower() in ("mac", "pop", "dpop"):
        raise invalid_response(
            config,
            request,
            f"issued a token of type {token_type!r}, which requires a signature in every request",
            "Only bearer tokens are supported. Ask the server's operator to issue bearer tokens to this client",
        )
    if not isinstance(refresh_token, str) or not refresh_token:
        refresh_token = None
    for name, token in (("a refresh token", refresh_token), ("an ID token", values.get("id_token"))):
        if isinstance(token, str) and (problem := _token_problem(token)):
            raise invalid_response(config, request, f"issued {name} that {problem}", REPORT_TO_OPERATOR)
    if nonce is not None:
        _check_nonce(config, request, values.get("id_token"), nonce)
    has_refresh_token = refresh_token is not None or request.grant_type == "refresh_token"
    return Token(
        access_token=access_token,
        token_type=_encodable(str(token_type)),
        issued_at=response.sent_at,
        expires_at=_expires_at(config, request, values.get("expires_in"), refresh_token, response.sent_at),
        refresh_token=refresh_token,
        scope=_scope(config, values.get("scope")),
        base_url=_base_url(config, request, values.get("base_url")),
        refresh_expires_at=_refresh_expires_at(config, values, response.sent_at) if has_refresh_token else None,
        subject=_subject(values.get("id_token")),
    )


def parse_revocation_response(config: OAuthConfig, request: TokenRequest, response: HttpResponse) -> bool:
    """Return whether the token is invalid now (RFC 7009 section 2.2).

    :param config: the connection
    :param request: the request
    :param response: its response
    :return: False if the server cannot revoke tokens of this type
    :raises TokenRequestError: if the server refused the request
    :raises TokenResponseError: if the server redirected
    """
    if 300 <= response.status_code < 400:
        raise _redirected(config, request, response)
    content = decoded(response)
    values = _standard_names(config, content)
    error = error_code(values)
    # Section 2.2 says to ignore the body of a successful response, but some servers send errors with status 200.
    # Some servers send the error invalid_token for an unknown token, for which the RFC requires status 200.
    if error == "invalid_token" or (response.status_code < 300 and not error):
        return True
    if error == "unsupported_token_type":  # section 2.2.1
        return False
    raise refusal(config, request, response, content, values)


def response_values(config: OAuthConfig, request: TokenRequest, response: HttpResponse) -> dict[str, Any]:
    """Return the members of a successful response under their RFC 6749 names; raise an error for any other response."""
    if 300 <= response.status_code < 400:
        raise _redirected(config, request, response)
    content = decoded(response)
    values = _standard_names(config, content)
    if response.status_code >= 400 or error_code(values):
        raise refusal(config, request, response, content, values)
    return values


def reported_error(config: OAuthConfig, response: HttpResponse) -> str | None:
    """Return the error code in a response of any status; None if it reports no error.

    :param config: the connection
    :param response: the response
    """
    return error_code(_standard_names(config, decoded(response)))


def _access_token(config: OAuthConfig, request: TokenRequest, response: HttpResponse, values: Mapping[str, Any]) -> str:
    token = values.get("access_token")
    if (not isinstance(token, str) or not token) and is_xml(response):
        problem = f"responded with status {response.status_code} and XML, which this package does not read"
        details = f"Content type: {_content_type(response)}"
        raise invalid_response(config, request, problem, XML.rstrip("."), details)
    if not isinstance(token, str) or not token:
        # A response in an unknown format may contain a token anywhere, so no part of it is quoted.
        raise invalid_response(
            config,
            request,
            f"responded with status {response.status_code} but without an access token",
            f"Check {request.endpoint.label}; if the response has the token under another name, set "
            f"{LABELS['response_map']}",
            f"Content type: {_content_type(response)}",
        )
    if not is_sendable(token):
        problem = "issued an access token that cannot be sent in a header"
        raise invalid_response(config, request, problem, REPORT_TO_OPERATOR)
    if unusable := _token_problem(token):
        raise invalid_response(config, request, f"issued an access token that {unusable}", REPORT_TO_OPERATOR)
    return token


def _token_problem(token: str) -> str | None:
    """Return why a token cannot be stored or sent; None if it can."""
    if len(token) > MAX_TOKEN_LENGTH:
        return f"is longer than {MAX_TOKEN_LENGTH // 1024} kB"
    if _encodable(token) != token:
        return "contains an unpaired surrogate (\\ud800 to \\udfff), so it cannot be stored or sent"
    return None


def _encodable(text: str) -> str:
    """Replace unpaired surrogates, which JSON can escape but UTF-8 cannot encode."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _base_url(config: OAuthConfig, request: TokenRequest, base_url: Any) -> str | None:
    if not isinstance(base_url, str) or not base_url:
        return None
    # The text of the problem is not quoted, because it may contain a part of the response.
    if url_problem(base_url, allow_http=config.allow_http):
        raise invalid_response(
            config,
            request,
            "responded with a base_url that is not a valid https URL",
            f"Check {LABELS['response_map']}; for a test system without https, turn on {LABELS['allow_http']}",
        )
    if not is_api_host(config, base_url):
        shown = redact(host_of(base_url), request.secrets)
        raise invalid_response(
            config,
            request,
            f"responded with the base_url of the host {shown!r}, which does not belong to {config.api_name} "
            f"({', '.join(config.api_hosts)})",
            f"The token was not used, because it would be sent to this host. Check {request.endpoint.label}",
        )
    return base_url


def _content_type(response: HttpResponse) -> str:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
    return kind if re.fullmatch(r"[\w.+-]{1,60}/[\w.+-]{1,60}", kind, re.ASCII) else "missing or invalid"


def _subject(id_token: Any) -> str | None:
    """Return the ``sub`` claim of an ID token (OpenID Connect Core 1.0 section 2); None if there is none."""
    subject = id_token_claims(id_token).get("sub")
    return _encodable(subject) if isinstance(subject, str) and subject else None


def _check_nonce(config: OAuthConfig, request: TokenRequest, id_token: Any, nonce: str) -> None:
    """Check that an ID token belongs to the authorization request (OpenID Connect Core 1.0 section 3.1.3.7)."""
    if id_token and id_token_claims(id_token).get("nonce") != nonce:
        raise invalid_response(
            config,
            request,
            "issued an ID token without the nonce of the authorization request, so it may belong to another login. No "
            "token was stored",
            "Authorize again. If the server never returns the nonce, remove openid from Scope",
        )


def invalid_response(
    config: OAuthConfig, request: Request, problem: str, advice: str = "", details: str = ""
) -> TokenResponseError:
    """Return the error for an invalid response.

    :param config: the connection
    :param request: the request
    :param problem: what the endpoint did, starting with a verb
    :param advice: what to do; by default, to check the endpoint's URL
    :param details: more information about the response
    """
    advice = advice or f"Check {request.endpoint.label}"
    details = f"{details}, URL" if details else "URL"
    return TokenResponseError(
        f"Connection {config.conn_id!r}: the {request.endpoint.name_in(config)} {problem}. {advice}. "
        f"({details}: {request.shown_url})"
    )


def _redirected(config: OAuthConfig, request: TokenRequest, response: HttpResponse) -> TokenResponseError:
    # A redirect is not followed, because the secret would be sent to a server that the connection does not name.
    target = redirect_target(request, response)
    shown = redact(target or "an invalid URL", request.secrets)
    advice = ""
    # The message suggests the URL for the field only if it shows the whole URL, and if the field accepts the URL.
    is_whole = target is not None and target == shown and HIDDEN_QUERY not in target and target != request.url
    if is_whole and url_problem(shown, allow_http=config.allow_http) is None:
        advice = f"If that is the {request.endpoint.name}, set {request.endpoint.label} to it"
    return invalid_response(config, request, f"redirected to {shown}", advice)


def redirect_target(request: Request, response: HttpResponse) -> str | None:
    """Return the target of a redirect, without user, fragment and the content of its query; None if there is none.

    :param request: the request; ``Location`` may be relative to its URL (RFC 9110 section 10.2.2)
    :param response: the redirect
    """
    try:
        parts = urlsplit(urljoin(request.url, response.headers["Location"]))
    except (KeyError, ValueError):
        return None
    if parts.scheme not in ("http", "https"):
        return None
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, "", "")) + (HIDDEN_QUERY if parts.query else "")


def _standard_names(config: OAuthConfig, content: Any) -> dict[str, Any]:
    """Return the members of a response under their RFC 6749 names, as ``response_map`` maps them."""
    values = dict(content) if isinstance(content, dict) else {}
    for name, path in config.response_map.items():
        try:
            found = jmespath.search(path, content)
        except (JMESPathError, RecursionError, TypeError, ValueError):
            found = None  # a function, comparison or slice that does not fit the response
        if found is not None:
            values[name] = found
    return values


def _expires_at(
    config: OAuthConfig, request: TokenRequest, expires_in: Any, refresh_token: str | None, sent_at: datetime
) -> datetime | None:
    """Return when the token expires; None if it never expires.

    RFC 6749 section 5.1 allows servers to omit ``expires_in``. Notion, Slack and Intercom omit it, and the refresh
    token, for tokens that stay valid until they are revoked.
    """
    if expires_in is None and refresh_token is None and request.grant_type in USER_GRANTS:
        return None
    return sent_at + _lifetime(expires_in, config.default_lifetime, sent_at)


def _lifetime(value: Any, default: int, now: datetime) -> timedelta:
    """Return the lifetime of the token; zero if the server sends zero or less."""
    seconds = seconds_in(value, now)
    if seconds is None:
        seconds = default
    return timedelta(seconds=max(0.0, min(seconds, MAX_LIFETIME.total_seconds())))


def _refresh_expires_at(config: OAuthConfig, values: Mapping[str, Any], sent_at: datetime) -> datetime | None:
    """Return when the refresh token expires if it is not used; None if not known."""
    for name in REFRESH_LIFETIME_MEMBERS:
        seconds = seconds_in(values.get(name), sent_at)
        # Keycloak sends 0 for a refresh token that never expires.
        if seconds is not None and 0 < seconds <= MAX_LIFETIME.total_seconds():
            return sent_at + timedelta(seconds=seconds)
    return None if config.refresh_lifetime is None else sent_at + timedelta(seconds=config.refresh_lifetime)


def seconds_in(value: Any, now: datetime) -> float | None:
    """Return ``value``, a duration or a Unix time as a number or a string, as seconds from now; None if invalid."""
    if not isinstance(value, (int, float, str)) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(seconds):
        return None
    return seconds - now.timestamp() if seconds > MAX_DURATION else seconds


def _scope(config: OAuthConfig, value: Any) -> str | None:
    if isinstance(value, list):
        return _encodable(" ".join(map(str, value)))
    if not isinstance(value, str):
        return None
    return " ".join(_encodable(value).replace(config.scope_separator, " ").split())
