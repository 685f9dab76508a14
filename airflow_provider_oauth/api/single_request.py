"""Sends one GET request to the API with a given token: for the lookup after a consent, and for the action *Test*.

Unlike the requests of tasks, it never renews the token, is not repeated, and follows no redirects. The limits of its
time and size, and the hosts that are allowed, are those of requests to the authorization server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth.api.additions import ApiAdditions
from airflow_provider_oauth.api.recovery import RecoveryPolicy, Reply
from airflow_provider_oauth.api.request import endpoint_url
from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.http_transport import HttpTransport
from airflow_provider_oauth.protocol.redaction import redact
from airflow_provider_oauth.protocol.timeouts import EXCHANGE_TIMEOUT
from airflow_provider_oauth.protocol.token_requests import EndpointInfo, Request
from airflow_provider_oauth.protocol.token_responses import redirect_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_oauth.api.recovery import Rule
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.protocol.token_responses import HttpResponse

#: How errors name the API.
API = EndpointInfo("API", "base_url")
#: The first bytes of a body that is gzip without a ``Content-Encoding``, which rules would decompress.
GZIP_MAGIC = b"\x1f\x8b"
#: Advice about error statuses. The endpoint is not the user's.
CHECK_FIELDS = "Check API base URL, API headers and API parameters."
ADVICE = dict.fromkeys((400, 404, 422), CHECK_FIELDS)


def get_request(config: OAuthConfig, token: Token, endpoint: str, params: Mapping[str, Any] | None = None) -> Request:
    """Build a GET request to the API.

    :param config: the settings of the connection
    :param token: the token to send, with the values that the endpoint needs
    :param endpoint: the endpoint, relative to the API's base URL
    :param params: the query, besides the connection's parameters
    :raises ApiError: if the endpoint is a URL that does not have the API's origin
    :raises ConfigurationError: if the URL is not valid, or a value cannot be sent in a header
    """
    additions = ApiAdditions(config)
    prepared = requests.PreparedRequest()
    url = endpoint_url(config.conn_id, additions.base_url(token), additions.complete_endpoint(endpoint, token))
    try:
        prepared.prepare_url(url, dict(params or {}))
        prepared.prepare_url(prepared.url or url, additions.missing_params(prepared.url or url, token))
    except ValueError as error:
        raise config.error("base_url", f"is not a valid URL ({type(error).__name__}). Check it") from None
    headers = CaseInsensitiveDict({"Accept": "application/json"})
    headers.update(additions.headers_to_set({}, {}, token))
    return Request(
        endpoint=API,
        method="GET",
        url=prepared.url or url,
        headers=headers,
        secrets=(*config.secrets, token.access_token, *filter(None, [token.refresh_token])),
    )


def send_once(
    config: OAuthConfig, request: Request, rules: Sequence[Rule], advice: Mapping[int, str], clock: Clock | None = None
) -> HttpResponse:
    """Send a request to the API, and return its response unless that is an error.

    :param config: the settings of the connection
    :param request: the request, from ``get_request``
    :param rules: the rules that decide whether a response is an error
    :param advice: the vendor's advice about error statuses, by status
    :param clock: the clocks; tests replace them
    :raises ApiError: if the response is an error or a redirect
    :raises OAuthError: if there is no response, the response is too large, or the host is not allowed
    """
    clock = clock or Clock()
    response = HttpTransport(config, clock).send(request, clock.monotonic() + EXCHANGE_TIMEOUT)
    if 300 <= response.status_code < 400:
        target = redact(redirect_target(request, response) or "an invalid URL", request.secrets)
        raise ApiError(
            f"Connection {config.conn_id!r}: the {API.name_in(config)} redirected the request to {target}. The token "
            f"was not sent there. Check {API.label}. (URL: {request.shown_url})",
            response.status_code,
        )
    policy = RecoveryPolicy(rules=rules)
    body = b"" if response.body.startswith(GZIP_MAGIC) else response.body  # it could be large after decompression
    reply = Reply(response.status_code, response.headers, lambda: body)
    if policy.is_error(reply):
        from airflow_provider_oauth.api.errors import status_error  # only here: it imports aiohttp

        error = status_error(
            config,
            {**ADVICE, **advice},
            method=request.method,
            url=request.url,
            status=response.status_code,
            headers=response.headers,
            sent=request.headers,
            body=body,
        )
        error.rule = policy.rule_for(reply)
        raise error
    return response
