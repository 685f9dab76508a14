"""Checks the arguments of API requests and builds their URLs, for the synchronous and the asynchronous hook."""

from __future__ import annotations

from typing import Any

from airflow_provider_oauth.api.additions import is_api_url, normalized_url
from airflow_provider_oauth.api.endpoints import is_absolute, joined_url
from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.protocol.redaction import redact_url


def endpoint_url(conn_id: str, base_url: str, endpoint: str | None) -> str:
    """Return the URL of ``endpoint``, which is relative to the base URL, or an absolute URL of the API.

    :raises ApiError: if it is an absolute URL that does not have the API's origin, because no token may be sent there
    :raises ConfigurationError: if it contains ``://`` but is not a valid URL
    """
    if not endpoint or not is_absolute(endpoint):
        return joined_url(base_url, endpoint)
    try:
        url = normalized_url(endpoint)
        is_part_of_api = is_api_url(url, base_url)
    except ValueError:
        raise ConfigurationError(
            f"Connection {conn_id!r}: the endpoint is not a valid URL. Set it to a path relative to the API base URL, "
            f"or to a complete URL of the API."
        ) from None
    if not is_part_of_api:
        raise ApiError(
            f"Connection {conn_id!r}: {redact_url(url)} is not part of the API at {base_url}, so it must not receive "
            f"the token. Use another connection for that URL."
        )
    return url


def request_data(conn_id: str, method: str, data: Any, json: Any) -> Any:
    """Return ``data``; None if it is empty, because operators pass ``{}`` if there is no data.

    :raises ConfigurationError: if both ``data`` and ``json`` are given, except for a GET request
    """
    if data and json is not None and method != "GET":
        raise ConfigurationError(
            f"Connection {conn_id!r}: the {method} request has both data and json, but only one of them can be "
            "sent. Remove one of them."
        )
    return data or None
