"""Sends requests to the endpoints of the authorization server, with discovery and retries."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    OAuthError,
    TokenRequestError,
    TokenResponseError,
)
from airflow_provider_oauth.protocol.assertions import MAX_MASKED, masked_until
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.credentials import load_credentials
from airflow_provider_oauth.protocol.device_authorization import (
    device_request,
    parse_device_response,
    parse_poll_response,
    wait_for_token,
)
from airflow_provider_oauth.protocol.discovery import METADATA, with_discovered_endpoints
from airflow_provider_oauth.protocol.http_transport import HttpTransport
from airflow_provider_oauth.protocol.metrics import TOKEN_REQUESTS, failure_outcome, no_report
from airflow_provider_oauth.protocol.pushed_authorization import par_request, parse_par_response
from airflow_provider_oauth.protocol.timeouts import EXCHANGE_TIMEOUT
from airflow_provider_oauth.protocol.token_requests import (
    DEVICE,
    PAR,
    REVOCATION,
    TOKEN,
    code_request,
    device_token_request,
    grant_request,
    refresh_request,
    revocation_request,
)
from airflow_provider_oauth.protocol.token_responses import parse_revocation_response, parse_token_response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.credentials import Credentials
    from airflow_provider_oauth.protocol.device_authorization import DeviceAuthorization
    from airflow_provider_oauth.protocol.metrics import Report
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.protocol.token_requests import EndpointInfo, Request, TokenRequest
    from airflow_provider_oauth.protocol.token_responses import HttpResponse

#: The endpoints besides the token endpoint, by the field with the URL.
ENDPOINTS = {endpoint.field: endpoint for endpoint in (REVOCATION, PAR, DEVICE)}

Result = TypeVar("Result")
Build = Callable[["OAuthConfig", "Credentials", "datetime"], "TokenRequest"]
Mask = Callable[[str, "datetime | None"], None]


def no_mask(secret: str, until: datetime | None) -> None:
    """Mask nothing."""


class TokenEndpoint:
    """Gets tokens from the authorization server of one connection, and revokes them.

    All exceptions that its methods raise have the attribute ``request_sent``, see ``OAuthError``.

    :param config: the connection
    :param clock: the clocks; tests replace them
    :param report: reports the outcome of each attempt to send a token request
    :param mask: called with each secret that a request adds, such as a signed assertion, before the request is sent,
        and with the time until which it must be masked
    """

    def __init__(
        self, config: OAuthConfig, clock: Clock | None = None, report: Report = no_report, mask: Mask = no_mask
    ) -> None:
        self._config = config
        self._mask = mask
        self._report = report
        self._clock = clock or Clock()
        self._transport = HttpTransport(config, self._clock)

    def grant(self, scope: str | None = None, *, retry: bool = True) -> Token:
        """Request a token with a grant that can be repeated, for example client credentials.

        :param scope: scope to request, separated by spaces; None for the scope of the connection
        :param retry: whether to try again, within EXCHANGE_TIMEOUT, if the server is busy or does not respond
        :return: the token
        :raises TokenRequestError: if the server refuses the request or does not respond
        :raises TokenResponseError: if the response contains no token
        :raises ConfigurationError: if a field of the connection makes it impossible to send the request
        """
        return self._token(
            "token_url",
            lambda config, credentials, now: grant_request(config, scope, now=now, credentials=credentials),
            retry,
            repeats_grant=True,
        )

    def refresh(self, refresh_token: str, access_token: str | None = None, *, retry: bool = True) -> Token:
        """Request a token with a refresh token. It raises the same exceptions as ``grant``.

        If a response is lost, the same refresh token is sent again: there is no other one, and servers that tolerate
        lost responses accept it a second time.

        :param refresh_token: the refresh token to use
        :param access_token: the access token that is replaced; see ``refresh_request``
        :param retry: whether to try again, within EXCHANGE_TIMEOUT, if the server is busy or does not respond
        :return: the token
        """
        return self._token(
            "refresh_url" if self._config.refresh_url else "token_url",
            lambda config, credentials, now: refresh_request(
                config, refresh_token, access_token, now=now, credentials=credentials
            ),
            retry,
        )

    def exchange_code(self, code: str, redirect_uri: str, code_verifier: str, nonce: str | None = None) -> Token:
        """Exchange an authorization code for a token. It raises the same exceptions as ``grant``.

        The request is sent once, because a code can be used only once.

        :param code: the authorization code
        :param redirect_uri: the redirect URI of the authorization request
        :param code_verifier: the PKCE code verifier of the authorization request
        :param nonce: the nonce of the authorization request; None if it had none
        :return: the token
        """
        return self._exchange(
            "token_url",
            lambda config, credentials, now: code_request(
                config, code, redirect_uri, code_verifier, now=now, credentials=credentials
            ),
            partial(parse_token_response, nonce=nonce),
            retry=False,
            report=self._report,
        )

    def push_authorization(self, authorization: AuthorizationRequest) -> str:
        """Send the parameters of an authorization request (RFC 9126). It raises the same exceptions as ``grant``.

        :param authorization: the authorization request
        :return: the ``request_uri`` for the URL of the browser
        """
        return self._exchange(
            "par_url",
            lambda config, credentials, now: par_request(config, authorization, now=now, credentials=credentials),
            parse_par_response,
            retry=False,
        )

    def authorize_device(self) -> DeviceAuthorization:
        """Request the codes with which a user authorizes (RFC 8628). It raises the same exceptions as ``grant``."""
        device = self._exchange(
            "device_url",
            lambda config, credentials, now: device_request(config, now=now, credentials=credentials),
            parse_device_response,
            retry=False,
        )
        seconds = min(device.expires_in, MAX_MASKED.total_seconds())
        self._mask(device.device_code, self._clock.now() + timedelta(seconds=seconds))
        return device

    def wait_for_device(self, device: DeviceAuthorization) -> Token:
        """Wait until the user has authorized. It raises the same exceptions as ``grant``.

        :param device: the codes
        :return: the token
        :raises ConsentDenied: if the user declined, or the codes expired
        """

        def poll() -> Token | str:
            return self._exchange(
                "token_url",
                lambda config, credentials, now: device_token_request(
                    config, device.device_code, now=now, credentials=credentials
                ),
                parse_poll_response,
                retry=False,
            )

        with _outcome_reported(self._report):
            return wait_for_token(self._config, device, poll, self._clock)

    def revoke(self, token: str, hint: str) -> bool:
        """Revoke a token (RFC 7009). The request is sent once. It raises the same exceptions as ``grant``.

        :param token: an access token or refresh token
        :param hint: type of the token: ``access_token`` or ``refresh_token`` (RFC 7009 section 2.1)
        :return: whether the token is invalid now; False if the server cannot revoke tokens of this type
        :raises ConfigurationError: if neither the connection nor the issuer's metadata has a revocation URL
        """
        return self._exchange(
            "revoke_url",
            lambda config, credentials, now: revocation_request(config, token, hint, now=now, credentials=credentials),
            parse_revocation_response,
            retry=False,
        )

    def with_discovered_endpoints(self, *names: str) -> OAuthConfig:
        """Return the connection, with missing URLs read from the issuer's metadata; see ``discovery``.

        :param names: the URLs that are needed; if the connection has all of them, no request is sent
        :return: a copy of the connection, or the connection itself
        """
        with _errors_converted(self._config, METADATA):
            return with_discovered_endpoints(
                self._config, names, self._sender(self._clock.monotonic() + EXCHANGE_TIMEOUT)
            )

    def _token(self, name: str, build: Build, retry: bool, *, repeats_grant: bool = False) -> Token:
        return self._exchange(
            name, build, parse_token_response, retry, report=self._report, repeats_grant=repeats_grant
        )

    def _exchange(
        self,
        name: str,
        build: Build,
        parse: Callable[[OAuthConfig, TokenRequest, HttpResponse], Result],
        retry: bool,
        *,
        report: Report = no_report,
        repeats_grant: bool = False,
    ) -> Result:
        """Discover the endpoint if necessary, send the request, and parse the response.

        :param name: field with the URL of the endpoint
        :param build: builds the request; called for each attempt, because a signed assertion must not be sent twice
        :param parse: parses the response
        :param retry: whether to try again, within EXCHANGE_TIMEOUT
        :param report: reports the outcome of each attempt
        :param repeats_grant: whether the request repeats the connection's grant, which may need a token from a file
        """
        deadline = self._clock.monotonic() + EXCHANGE_TIMEOUT
        send = self._sender(deadline)
        attempts = Retrying(
            retry=retry_if_exception(_is_retryable),
            wait=_retry_delay,
            stop=(lambda state: self._clock.monotonic() + state.upcoming_sleep >= deadline)
            if retry
            else stop_after_attempt(1),
            sleep=self._clock.sleep,
            reraise=True,
        )
        with _errors_converted(self._config, METADATA):
            # The metadata is read for each exchange: exchanges are rare, and the URL of an endpoint may have changed.
            config = attempts(with_discovered_endpoints, self._config, (name,), send)
        with _errors_converted(self._config, ENDPOINTS.get(name, TOKEN)) as exchange:

            def attempt() -> Result:
                now = self._clock.now()
                request = build(config, load_credentials(config, repeats_grant=repeats_grant), now)
                for assertion in request.assertions:
                    self._mask(assertion, masked_until(assertion, now))
                with _outcome_reported(report):
                    return parse(config, request, exchange.send(send, request))

            return attempts(attempt)

    def _sender(self, deadline: float) -> Callable[[Request], HttpResponse]:
        return lambda request: self._transport.send(request, deadline)


@dataclass
class _Exchange:
    """The attempts of one exchange.

    :param sent: whether any attempt may have reached the server
    """

    sent: bool = False

    def send(self, send: Callable[[Request], HttpResponse], request: Request) -> HttpResponse:
        """Send ``request`` and note whether it was sent."""
        try:
            response = send(request)
        except OAuthError as error:
            self.sent = self.sent or error.request_sent
            raise
        except BaseException:  # for example AirflowTaskTimeout: the request may or may not have been sent
            self.sent = True
            raise
        self.sent = True
        return response


@contextmanager
def _outcome_reported(report: Report) -> Iterator[None]:
    """Report the outcome of one attempt to send a token request."""
    try:
        yield
    except BaseException as error:
        report(TOKEN_REQUESTS, failure_outcome(error))
        raise
    report(TOKEN_REQUESTS, "success")


@contextmanager
def _errors_converted(config: OAuthConfig, endpoint: EndpointInfo) -> Iterator[_Exchange]:
    """Set ``request_sent`` of every exception, and convert each ``Exception`` that is not an ``OAuthError``.

    The text of a converted exception is not quoted, because it can contain a secret. The text of a
    ``UnicodeEncodeError``, for example, contains the value.

    :raises ConfigurationError: if the request could not be created
    :raises TokenResponseError: if the response could not be read
    """
    exchange = _Exchange()
    try:
        yield exchange
    except OAuthError as error:
        error.request_sent = exchange.sent
        raise
    except Exception as error:
        is_response = exchange.sent or endpoint is METADATA
        converted = _unexpected(config, endpoint, type(error).__name__, is_response=is_response)
        converted.request_sent = exchange.sent
        raise converted from None
    except BaseException as error:  # AirflowTaskTimeout and AirflowTaskTerminated, which can be raised at any line
        error.request_sent = exchange.sent  # type: ignore[attr-defined]
        raise


def _unexpected(config: OAuthConfig, endpoint: EndpointInfo, kind: str, *, is_response: bool) -> OAuthError:
    if is_response:
        return TokenResponseError(
            f"Connection {config.conn_id!r}: the response of the {endpoint.name_in(config)} could not be read. Check "
            f"{endpoint.label}. ({kind})"
        )
    return ConfigurationError(
        f"Connection {config.conn_id!r}: the request to the {endpoint.name_in(config)} could not be created. Check "
        f"{endpoint.label} and all values of the token request for characters that cannot be sent. ({kind})"
    )


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, TokenRequestError) and error.retryable


_backoff: Callable[[RetryCallState], float] = wait_random_exponential(multiplier=0.5, max=5)


def _retry_delay(state: RetryCallState) -> float:
    """Return the larger of ``Retry-After`` and a random exponential backoff, in seconds."""
    error = state.outcome.exception() if state.outcome else None
    return max(getattr(error, "retry_after", None) or 0.0, _backoff(state))
