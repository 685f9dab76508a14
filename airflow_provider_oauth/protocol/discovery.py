"""What an authorization server says of itself, found by its name, the issuer.

RFC 8414, and OpenID Connect Discovery 1.0, which it was made of.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from airflow_provider_oauth.exceptions import TokenRequestError
from airflow_provider_oauth.protocol.advice import status_advice
from airflow_provider_oauth.protocol.config import url_problem
from airflow_provider_oauth.protocol.redaction import redact
from airflow_provider_oauth.protocol.retry_after import retry_after
from airflow_provider_oauth.protocol.token_requests import EndpointInfo, Request
from airflow_provider_oauth.protocol.token_responses import destination, invalid_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token_responses import HttpResponse

#: Characters of a URL at most, because errors quote it.
MAX_URL = 2000
METADATA = EndpointInfo("metadata endpoint", "Issuer")
#: Where the metadata has what the connection does not say (RFC 8414 section 2).
ENDPOINTS = {
    "token_url": "token_endpoint",
    "authorize_url": "authorization_endpoint",
    "revoke_url": "revocation_endpoint",
}


def with_discovered_endpoints(
    config: OAuthConfig, names: Iterable[str], send: Callable[[Request], HttpResponse]
) -> OAuthConfig:
    """Return the connection with the URLs that it does not say itself, from its issuer's metadata.

    The metadata is read only if it is needed. What it has not either stays None, but for the token URL.

    :param config: the connection
    :param names: the URLs that are needed: ``token_url``, ``authorize_url``, ``revoke_url``
    :param send: sends a request and returns what came back
    :raises ConfigurationError: if the metadata is another issuer's, or names no token endpoint or an unsafe URL
    :raises TokenRequestError: if there is no metadata, or it cannot be reached
    :raises TokenResponseError: if what came back is no metadata
    """
    if config.issuer is None or all(getattr(config, name) is not None for name in names):
        return config
    request, metadata = _metadata(config, config.issuer, send)
    # RFC 8414 section 3.3: otherwise anybody's server could speak for another.
    if metadata.get("issuer") != config.issuer:
        found = metadata.get("issuer")
        if not isinstance(found, str):
            raise config.error("issuer", f"is {config.issuer!r}, but {request.where} names no issuer. Check Issuer")
        raise config.error(
            "issuer",
            f"is {config.issuer!r}, but {request.where} is that of {redact(found, request.secrets)!r}. They must be "
            f"exactly the same: if that is the server you mean, enter it in Issuer as it is written there",
        )
    missing = [name for name in ENDPOINTS if getattr(config, name) is None and metadata.get(ENDPOINTS[name])]
    for name in missing:
        if problem := _problem(config, config.issuer, metadata[ENDPOINTS[name]]):
            raise config.error("issuer", f"cannot be used: the {ENDPOINTS[name]} that {request.where} names {problem}")
    if config.token_url is None and "token_url" not in missing:
        raise config.error("issuer", f"is not enough: {request.where} has no token_endpoint. Enter Token URL")
    return replace(
        config,
        iss_required=metadata.get("authorization_response_iss_parameter_supported") is True,  # RFC 9207 section 3
        **{name: metadata[ENDPOINTS[name]] for name in missing},
    )


def _problem(config: OAuthConfig, issuer: str, url: Any) -> str | None:
    """Say why a URL of the metadata cannot be used; None if it can."""
    if not isinstance(url, str) or not url.isprintable():
        return "is not a URL"
    if len(url) > MAX_URL:
        return f"is longer than {MAX_URL} characters"
    if problem := url_problem(url, allow_http=config.allow_http):
        return problem
    # Plain http would be to this machine, whose services are not the server's to name.
    is_downgrade = urlsplit(issuer).scheme == "https" and urlsplit(url).scheme == "http"
    return "is plain http, unlike the issuer" if is_downgrade and not config.allow_http else None


def _metadata(
    config: OAuthConfig, issuer: str, send: Callable[[Request], HttpResponse]
) -> tuple[Request, dict[str, Any]]:
    """Return the metadata, and the request that it answered."""
    first, second = (
        Request(place=METADATA, method="GET", url=url, headers={"Accept": "application/json"}, secrets=config.secrets)
        for url in _places(config, issuer)
    )
    request, answer = first, send(first)
    if answer.status_code == 404:
        request, answer = second, send(second)
    status = answer.status_code
    if status >= 400:
        advice = status_advice(request, status) or f"Check {METADATA.field}."
        if status == 404:
            advice += " A server without metadata needs Token URL and the others."
        raise TokenRequestError(
            f"Connection {config.conn_id!r}: {request.where} answered {status}. {advice}",
            status_code=status,
            retryable=status == 429 or status >= 500,
            retry_after=retry_after(answer.headers.get("Retry-After", ""), answer.sent_at),
        )
    if status >= 300:
        where = redact(destination(request, answer) or "an invalid URL", request.secrets)
        raise invalid_response(config, request, f"redirected to {where}, which may be another server's. Check Issuer")
    try:
        metadata = json.loads(answer.body)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise invalid_response(config, request, f"answered {status} without a JSON object. Check Issuer")
    return request, metadata


def _places(config: OAuthConfig, issuer: str) -> tuple[str, str]:
    """Return where the metadata can be, by OpenID Connect Discovery 1.0 section 4 and RFC 8414 section 3.1."""
    parts = urlsplit(issuer.removesuffix("/"))
    if parts.query:
        raise config.error("issuer", "must not have a query (?…)")  # RFC 8414 section 2
    return (
        urlunsplit(parts._replace(path=f"{parts.path}/.well-known/openid-configuration")),
        urlunsplit(parts._replace(path=f"/.well-known/oauth-authorization-server{parts.path}")),
    )
