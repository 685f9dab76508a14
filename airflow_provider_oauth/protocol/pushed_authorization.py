"""Builds pushed authorization requests, and parses their responses (RFC 9126). Pure functions, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_oauth.protocol.authorization import authorization_parameters
from airflow_provider_oauth.protocol.token_requests import PAR, client_request
from airflow_provider_oauth.protocol.token_responses import MAX_TOKEN_LENGTH, invalid_response, response_values

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.credentials import Credentials
    from airflow_provider_oauth.protocol.token_requests import TokenRequest
    from airflow_provider_oauth.protocol.token_responses import HttpResponse


def par_request(
    config: OAuthConfig, authorization: AuthorizationRequest, *, now: datetime, credentials: Credentials
) -> TokenRequest:
    """Build the request that sends the parameters of an authorization request to the server (section 2.1).

    :param config: a connection with the URL of the endpoint
    :param authorization: the authorization request
    :param now: time of the request, with a time zone
    :param credentials: the signing key and the tokens from files that the request needs
    :raises ConfigurationError: if the URL is missing; also see ``authorization_parameters``
    """
    if config.par_url is None:
        raise config.error("par_url", "is missing. Set Pushed authorization request URL")
    parameters = authorization_parameters(config, authorization)
    added = config.authorize_params
    return client_request(config, PAR, config.par_url, parameters, added, now=now, credentials=credentials)


def parse_par_response(config: OAuthConfig, request: TokenRequest, response: HttpResponse) -> str:
    """Return the reference to the parameters, for the URL of the browser (section 2.2).

    :param config: the connection
    :param request: the request
    :param response: its response; the RFC requires status 201, and servers that respond with 200 are accepted
    :raises TokenRequestError: if the server refused the request (section 2.3)
    :raises TokenResponseError: if the response has no usable ``request_uri``
    """
    request_uri = response_values(config, request, response).get("request_uri")
    if not isinstance(request_uri, str) or not request_uri.isascii() or not request_uri.isprintable():
        request_uri = ""
    if not 0 < len(request_uri) <= MAX_TOKEN_LENGTH:
        raise invalid_response(
            config, request, f"responded with status {response.status_code} but without a valid request_uri"
        )
    return request_uri
