"""Discovers the endpoints of an authorization server from the metadata of its issuer.

It implements RFC 8414 (OAuth 2.0 Authorization Server Metadata) and OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from airflow_provider_oauth.exceptions import TokenRequestError
from airflow_provider_oauth.protocol.advice import status_advice
from airflow_provider_oauth.protocol.config import url_problem
from airflow_provider_oauth.protocol.field_labels import LABELS
from airflow_provider_oauth.protocol.redaction import redact
from airflow_provider_oauth.protocol.retry_after import retry_after
from airflow_provider_oauth.protocol.token_requests import EndpointInfo, Request
from airflow_provider_oauth.protocol.token_responses import invalid_response, redirect_target

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token_responses import HttpResponse

#: Maximum length of a discovered URL in characters. It limits the length of the errors that quote the URL.
MAX_URL_LENGTH = 2000
METADATA = EndpointInfo("metadata endpoint", "issuer")
#: The fields that discovery can set, each with the member of the metadata that has its URL (RFC 8414 section 2).
ENDPOINTS = {
    "token_url": "token_endpoint",
    "authorize_url": "authorization_endpoint",
    "revoke_url": "revocation_endpoint",
}
#: The field that discovery sets only if its URL is needed (RFC 8628 section 4).
DEVICE_ENDPOINT = {"device_url": "device_authorization_endpoint"}
#: The field that discovery sets only if the metadata requires pushed authorization requests (RFC 9126 section 5).
PAR_ENDPOINT = {"par_url": "pushed_authorization_request_endpoint"}
#: The member of the metadata with the URLs for clients that have a certificate (RFC 8705 section 5).
MTLS_ALIASES = "mtls_endpoint_aliases"
#: The fields whose URL is opened by the user's browser, which does not have the client's certificate.
BROWSER_ENDPOINTS = ("authorize_url",)


def with_discovered_endpoints(
    config: OAuthConfig, names: Collection[str], send: Callable[[Request], HttpResponse]
) -> OAuthConfig:
    """Return the connection, with missing URLs read from its issuer's metadata.

    The metadata is requested only if the connection lacks one of the URLs that are needed. All missing URLs are then
    set. A URL that the metadata does not contain stays None, except for the token URL, which is required. ``par_url``
    is set only if the authorization URL is needed and the server requires pushed authorization requests. ``device_url``
    is set only if it is needed.

    :param config: the connection
    :param names: the URLs that are needed: ``token_url``, ``authorize_url``, ``revoke_url``, ``device_url``
    :param send: sends a request and returns the response
    :return: a copy of the connection, or the connection itself
    :raises ConfigurationError: if the metadata is for another issuer, or has no token endpoint or an unsafe URL
    :raises TokenRequestError: if the server has no metadata or does not respond
    :raises TokenResponseError: if the response is not metadata
    """
    if config.issuer is None or all(getattr(config, name) is not None for name in names):
        return config
    request, metadata = _metadata(config, config.issuer, send)
    details = f"(URL: {request.shown_url})"
    _check_issuer(config, metadata.get("issuer"), details)
    found = _missing_urls(config, config.issuer, names, metadata, details)
    if config.token_url is None and "token_url" not in found:
        raise config.error(
            "issuer", "is not sufficient: the server's metadata has no token_endpoint. Set Token URL", details
        )
    return replace(
        config,
        iss_required=metadata.get("authorization_response_iss_parameter_supported") is True,  # RFC 9207 section 3
        **found,
    )


def _missing_urls(
    config: OAuthConfig, issuer: str, names: Collection[str], metadata: Mapping[str, Any], details: str
) -> dict[str, Any]:
    """Return the URLs in the metadata that the connection lacks, by their fields.

    :raises ConfigurationError: if one of them is not safe
    """
    members = dict(ENDPOINTS)
    if "authorize_url" in names and metadata.get("require_pushed_authorization_requests") is True:
        members |= PAR_ENDPOINT
    if "device_url" in names:
        members |= DEVICE_ENDPOINT
    members |= _mtls_aliases(config, metadata, members, details)
    found = {name: _member(metadata, member) for name, member in members.items() if getattr(config, name) is None}
    found = {name: url for name, url in found.items() if url}
    for name, url in found.items():
        if problem := _metadata_url_problem(config, issuer, url):
            raise config.error(
                "issuer",
                f"cannot be used: the {members[name]} in the server's metadata {problem}. Set {LABELS[name]}",
                details,
            )
    return found


def _mtls_aliases(
    config: OAuthConfig, metadata: Mapping[str, Any], members: Mapping[str, str], details: str
) -> dict[str, str]:
    """Return the endpoints that have another URL for clients with a certificate, each as a path in the metadata.

    A client uses them to authenticate with its certificate, or to get tokens that are bound to it (RFC 8705 section 5).
    The server does not say for which clients it binds tokens, so every client with a certificate uses them if the
    server can bind tokens.
    """
    is_bound = config.transport.cert and metadata.get("tls_client_certificate_bound_access_tokens") is True
    if config.client_auth != "tls_client_auth" and not is_bound:
        return {}
    aliases = metadata.get(MTLS_ALIASES)
    if aliases is None:
        return {}
    if not isinstance(aliases, dict):
        problem = f"cannot be used: the {MTLS_ALIASES} in the server's metadata is not an object. Set Token URL"
        raise config.error("issuer", problem, details)
    return {
        name: f"{MTLS_ALIASES}.{member}"
        for name, member in members.items()
        if name not in BROWSER_ENDPOINTS and aliases.get(member)
    }


def _member(metadata: Mapping[str, Any], path: str) -> Any:
    """Return a member of the metadata, or of an object in it."""
    parent, _, name = path.rpartition(".")
    return (metadata[parent] if parent else metadata).get(name)


def _check_issuer(config: OAuthConfig, found: Any, details: str) -> None:
    """Check that the metadata is for the connection's issuer (RFC 8414 section 3.3).

    Without this check, any server could impersonate another one.
    """
    if not isinstance(found, str):
        raise config.error("issuer", "cannot be used: the server's metadata has no issuer. Check Issuer", details)
    if found != config.issuer:
        raise config.error(
            "issuer",
            f"is {config.issuer!r}, but the server's metadata is for {redact(found, config.secrets)!r}. If this is "
            f"the issuer of the server that you want to use, set Issuer to exactly this value",
            details,
        )


def _metadata_url_problem(config: OAuthConfig, issuer: str, url: Any) -> str | None:
    """Return why a URL of the metadata cannot be used; None if it can."""
    if not isinstance(url, str) or not url.isprintable():
        return "is not a URL"
    if len(url) > MAX_URL_LENGTH:
        return f"is longer than {MAX_URL_LENGTH} characters"
    if problem := url_problem(url, allow_http=config.allow_http):
        return problem
    # Without allow_http, a plain http URL can only be one of this machine. A remote server must not be able to direct
    # requests to services of this machine.
    is_downgrade = urlsplit(issuer).scheme == "https" and urlsplit(url).scheme == "http"
    return "uses plain http, unlike the issuer" if is_downgrade and not config.allow_http else None


def _metadata(
    config: OAuthConfig, issuer: str, send: Callable[[Request], HttpResponse]
) -> tuple[Request, dict[str, Any]]:
    """Return the metadata, and the request to which the server responded with it."""
    first, second = (
        Request(
            endpoint=METADATA, method="GET", url=url, headers={"Accept": "application/json"}, secrets=config.secrets
        )
        for url in _metadata_urls(config, issuer)
    )
    request, response = first, send(first)
    if response.status_code == 404:
        request, response = second, send(second)
    if response.status_code >= 400:
        raise _status_error(config, request, response)
    if response.status_code >= 300:
        target = redact(redirect_target(request, response) or "an invalid URL", request.secrets)
        raise invalid_response(config, request, f"redirected to {target}, which may be another server")
    try:
        metadata = json.loads(response.body)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        problem = f"responded with status {response.status_code} but without a JSON object"
        raise invalid_response(config, request, problem)
    return request, metadata


def _status_error(config: OAuthConfig, request: Request, response: HttpResponse) -> TokenRequestError:
    status = response.status_code
    advice = status_advice(request, status) or "Check Issuer."
    if status == 404:
        advice += " If the server has no metadata, set Token URL and the URLs of the other endpoints that you need."
    return TokenRequestError(
        f"Connection {config.conn_id!r}: the metadata endpoint responded with status {status}. {advice} "
        f"(URL: {request.shown_url})",
        status_code=status,
        retryable=status == 429 or status >= 500,
        retry_after=retry_after(response.headers.get("Retry-After", ""), response.sent_at),
    )


def _metadata_urls(config: OAuthConfig, issuer: str) -> tuple[str, str]:
    """Return the possible URLs of the metadata (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3.1)."""
    parts = urlsplit(issuer.removesuffix("/"))
    if parts.query:
        raise config.error("issuer", "must not have a query (?…). Remove it")  # RFC 8414 section 2
    return (
        urlunsplit(parts._replace(path=f"{parts.path}/.well-known/openid-configuration")),
        urlunsplit(parts._replace(path=f"/.well-known/oauth-authorization-server{parts.path}")),
    )
