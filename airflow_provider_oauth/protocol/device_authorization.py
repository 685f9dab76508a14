"""Builds the requests of the device authorization grant, parses their responses, and polls for the token (RFC 8628)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_oauth.exceptions import ConsentDenied, TokenRequestError
from airflow_provider_oauth.protocol.authorization import check_grant_type
from airflow_provider_oauth.protocol.callback_values import kept_values
from airflow_provider_oauth.protocol.token_requests import DEVICE, access_fields, client_request
from airflow_provider_oauth.protocol.token_responses import (
    MAX_TOKEN_LENGTH,
    invalid_response,
    parse_token_response,
    reported_error,
    response_values,
    seconds_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_provider_oauth.protocol.clock import Clock
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.credentials import Credentials
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.protocol.token_requests import TokenRequest
    from airflow_provider_oauth.protocol.token_responses import HttpResponse

#: The error codes that mean that the user has not decided yet (section 3.5).
PENDING = "authorization_pending"
SLOW_DOWN = "slow_down"
#: The error codes that mean that the user, or the server, has declined, and that the codes have expired.
DENIED = (
    "access_denied",
    "authorization_declined",  # Microsoft: learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
)
EXPIRED = (
    "expired_token",
    "token_expired",  # GitHub: docs.github.com, "Authorizing OAuth apps", section "Device flow"
)
#: Seconds between two requests if the response does not define an interval (section 3.2).
DEFAULT_INTERVAL = 5.0
#: Minimum interval in seconds, whatever the response defines.
MIN_INTERVAL = 1.0
#: Seconds that are added to the interval after ``slow_down`` (section 3.5).
SLOWER = 5.0
#: Maximum interval in seconds after requests without a response.
MAX_BACKOFF = 60.0
#: Maximum length of the code and the URLs that are shown to the user.
MAX_LENGTH = 2000


@dataclass(frozen=True, kw_only=True)
class DeviceAuthorization:
    """An authorization that waits for the user (section 3.2).

    :param device_code: identifies the authorization in the token requests; it must be kept secret
    :param user_code: the code that the user enters
    :param verification_uri: the URL that the user opens
    :param verification_uri_complete: this URL with the code; None if the server sent none
    :param expires_in: lifetime of both codes in seconds
    :param interval: minimum seconds between two token requests
    """

    device_code: str = field(repr=False)
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None = None
    expires_in: float
    interval: float = DEFAULT_INTERVAL


def device_request(config: OAuthConfig, *, now: datetime, credentials: Credentials) -> TokenRequest:
    """Build the device authorization request (section 3.1).

    :param config: a connection with the authorization code grant
    :param now: time of the request, with a time zone
    :param credentials: the signing key and the tokens from files that the request needs
    :raises ConfigurationError: if the connection has a different grant type, lacks the URL, or needs values of a
        callback
    """
    check_grant_type(config)
    if config.device_url is None:
        raise config.error(
            "device_url",
            "is missing and was not read from the issuer's metadata. Set it if the server supports the device "
            "authorization grant (RFC 8628). Otherwise authorize without --device",
        )
    if kept_values(config.callback_map).keys() - config.vendor_values.keys():
        raise config.error(
            "callback_map", "needs a callback, but the device authorization grant has none. Authorize without --device"
        )
    fields = {"client_id": config.client_id} if config.client_id else {}
    return client_request(
        config,
        DEVICE,
        config.device_url,
        fields | access_fields(config, config.scope),
        now=now,
        credentials=credentials,
    )


def parse_device_response(config: OAuthConfig, request: TokenRequest, response: HttpResponse) -> DeviceAuthorization:
    """Return the codes in the response to a device authorization request (section 3.2).

    :param config: the connection
    :param request: the request
    :param response: its response
    :raises TokenRequestError: if the server refused the request
    :raises TokenResponseError: if a value is missing or cannot be shown to the user
    """
    values = response_values(config, request, response)
    # Google sends verification_url: developers.google.com/identity/protocols/oauth2/limited-input-device
    uri = values.get("verification_uri") or values.get("verification_url")
    complete = values.get("verification_uri_complete") or None
    expires_in = seconds_in(values.get("expires_in"), response.sent_at) or 0.0
    interval = seconds_in(values.get("interval"), response.sent_at) or 0.0
    interval = max(interval, MIN_INTERVAL) if interval > 0 else DEFAULT_INTERVAL
    valid = {
        "device_code": _is_text(values.get("device_code"), MAX_TOKEN_LENGTH),
        "user_code": _is_text(values.get("user_code")),
        "verification_uri": _is_url(uri),
        "verification_uri_complete": complete is None or _is_url(complete),
        "expires_in": expires_in > 0,
        "interval": interval < expires_in,
    }
    if invalid := [name for name, is_valid in valid.items() if not is_valid]:
        problem = f"responded with status {response.status_code} but without a valid {invalid[0]}"
        raise invalid_response(config, request, problem)
    return DeviceAuthorization(
        device_code=values["device_code"],
        user_code=values["user_code"],
        verification_uri=str(uri),
        verification_uri_complete=complete,
        expires_in=expires_in,
        interval=interval,
    )


def _is_text(value: Any, max_length: int = MAX_LENGTH) -> bool:
    # Characters that are not printable could change what the terminal shows.
    return isinstance(value, str) and value.isprintable() and value.strip() != "" and len(value) <= max_length


def _is_url(value: Any) -> bool:
    # A browser reads a backslash as a slash, so the host would be another one than it seems to be.
    if not _is_text(value) or " " in value or "\\" in value:
        return False
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises an error if it is invalid
    except ValueError:
        return False
    # A user name can look like the host: https://server.example@other.example/
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None


def parse_poll_response(config: OAuthConfig, request: TokenRequest, response: HttpResponse) -> Token | str:
    """Return the token, or ``PENDING`` or ``SLOW_DOWN`` (section 3.5).

    The error code is read whatever the status is: GitHub sends errors with status 200, Google with 428 and 403, and
    Auth0 with 403 and 429.

    :param config: the connection
    :param request: the token request
    :param response: its response
    :raises ConsentDenied: if the user declined, or the codes expired
    :raises TokenRequestError: if the server refused the request for another reason
    :raises TokenResponseError: if the response contains neither a token nor an error
    """
    error = reported_error(config, response)
    if error in (PENDING, SLOW_DOWN):
        return error
    if error in DENIED:
        raise ConsentDenied(
            f"Connection {config.conn_id!r}: the user declined, or is not allowed to consent ({error}). No token was "
            f"stored. Run the command again, and consent as a user who is allowed to.",
            error=error,
        )
    if error in EXPIRED:
        raise expired(config)
    return parse_token_response(config, request, response)


def expired(config: OAuthConfig) -> ConsentDenied:
    """Return the error for codes that have expired before the user consented."""
    return ConsentDenied(
        f"Connection {config.conn_id!r}: nobody entered the code and consented in time. No token was stored. Run the "
        f"command again.",
        error=EXPIRED[0],
    )


def wait_for_token(
    config: OAuthConfig, device: DeviceAuthorization, poll: Callable[[], Token | str], clock: Clock
) -> Token:
    """Request the token again and again until the user has decided (section 3.5).

    :param config: the connection
    :param device: the authorization
    :param poll: sends one token request; it returns the token, ``PENDING`` or ``SLOW_DOWN``
    :param clock: the clocks
    :raises ConsentDenied: if the user declined, or the codes expired
    :raises OAuthError: if the server refused the request, or did not respond until the codes expired
    """
    ends, interval = clock.monotonic() + device.expires_in, device.interval
    delay, failure = interval, None
    while clock.monotonic() + delay < ends:
        clock.sleep(delay)
        try:
            result = poll()
        except TokenRequestError as error:
            if not error.retryable:
                raise
            # Section 3.5 requires fewer requests after a timeout, for example by doubling the interval.
            failure, interval = error, max(interval, min(2 * interval, MAX_BACKOFF))
            delay = max(interval, error.retry_after or 0.0)
            continue
        if not isinstance(result, str):
            return result
        failure = None
        if result == SLOW_DOWN:
            interval += SLOWER
        delay = interval
    raise failure or expired(config)
