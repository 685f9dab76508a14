"""The exchange with the token endpoint: one question, one answer, whatever the network does meanwhile."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception
from tenacity.wait import wait_random_exponential

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    OAuthError,
    TokenRequestError,
    TokenResponseError,
)
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.discovery import METADATA, with_discovered_endpoints
from airflow_provider_oauth.protocol.http_transport import HttpTransport
from airflow_provider_oauth.protocol.limited_adapter import CONNECT_TIMEOUT
from airflow_provider_oauth.protocol.token_requests import (
    REVOCATION,
    TOKEN,
    code_request,
    grant_request,
    refresh_request,
    revocation_request,
)
from airflow_provider_oauth.protocol.token_responses import parse_revocation_response, parse_token_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.protocol.token_requests import EndpointInfo, Request, TokenRequest
    from airflow_provider_oauth.protocol.token_responses import HttpResponse

Answer = TypeVar("Answer")

#: Seconds for an exchange, all attempts together.
EXCHANGE_TIMEOUT = 20.0
#: Seconds that an exchange takes at most. It ends after EXCHANGE_TIMEOUT; the rest is a margin for what has no limit,
#: such as reading CA certificates.
MAX_EXCHANGE_TIME = EXCHANGE_TIMEOUT + CONNECT_TIMEOUT


class TokenEndpoint:
    """Asks the token endpoint of one connection for tokens, and the revocation endpoint to take them back.

    :param config: the connection
    :param clock: time, for tests
    """

    def __init__(self, config: OAuthConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or Clock()
        self._wire = HttpTransport(config, self._clock)

    def grant(self, scope: str | None = None, *, retry: bool = True) -> Token:
        """Repeat the connection's grant.

        :param scope: instead of the connection's, separated by spaces
        :param retry: try again, within EXCHANGE_TIMEOUT, when the server is busy or out of reach
        :raises OAuthError: every exception; its ``request_sent`` reports whether an attempt may have reached the server
        :raises TokenRequestError: the server refused, or cannot be reached
        :raises TokenResponseError: it answered, but not with a token
        :raises ConfigurationError: the request cannot be sent as the connection's fields require
        """
        return self._token("token_url", lambda config: grant_request(config, scope), retry)

    def refresh(self, refresh_token: str, access_token: str | None = None, *, retry: bool = True) -> Token:
        """Trade ``refresh_token`` for a token; parameters and errors as in ``grant``, ``refresh_request``.

        An attempt whose answer was lost is repeated with the same token: there is no other, and servers that allow for
        lost answers accept it again.
        """
        name = "refresh_url" if self._config.refresh_url else "token_url"
        return self._token(name, lambda config: refresh_request(config, refresh_token, access_token), retry)

    def exchange_code(self, code: str, redirect_uri: str, code_verifier: str) -> Token:
        """Trade an authorization code for tokens, once: a code is good for one use.

        :param code: what the browser brought back
        :param redirect_uri: where it came back to
        :param code_verifier: what the challenge was made of
        :raises TokenRequestError: the server refused, or cannot be reached
        :raises TokenResponseError: it answered, but not with a token
        """
        return self._token(
            "token_url", lambda config: code_request(config, code, redirect_uri, code_verifier), retry=False
        )

    def revoke(self, token: str, hint: str) -> bool:
        """Have the server revoke a token, once: what is not answered can be asked again.

        :param token: an access or refresh token
        :param hint: which of the two: ``access_token`` or ``refresh_token`` (RFC 7009 section 2.1)
        :return: whether the token is good for nothing any more; False if this server cannot revoke such tokens
        :raises ConfigurationError: neither the connection nor its issuer says where tokens are revoked
        :raises TokenRequestError: the server refused, or cannot be reached
        :raises TokenResponseError: it redirected
        """
        return self._exchange(
            "revoke_url",
            lambda config: revocation_request(config, token, hint),
            parse_revocation_response,
            retry=False,
        )

    def with_discovered_endpoints(self, *names: str) -> OAuthConfig:
        """Return the connection with the URLs that only its issuer's metadata has; see ``discovery``.

        :param names: the URLs that are needed; if the connection says them all, nobody is asked
        """
        with _errors_converted(self._config, METADATA):
            return with_discovered_endpoints(
                self._config, names, self._sender(self._clock.monotonic() + EXCHANGE_TIMEOUT)
            )

    def _token(self, name: str, build: Callable[[OAuthConfig], TokenRequest], retry: bool) -> Token:
        return self._exchange(name, build, parse_token_response, retry)

    def _exchange(
        self,
        name: str,
        build: Callable[[OAuthConfig], TokenRequest],
        parse: Callable[[OAuthConfig, TokenRequest, HttpResponse], Answer],
        retry: bool,
    ) -> Answer:
        """Find out where to ask, ask, and return what the answer says.

        :param name: the URL that is asked
        :param build: makes the request
        :param parse: makes sense of the answer
        :param retry: try again, within EXCHANGE_TIMEOUT
        """
        deadline = self._clock.monotonic() + EXCHANGE_TIMEOUT
        send = self._sender(deadline)
        attempts = Retrying(
            retry=retry_if_exception(_worth_repeating),
            wait=_pause,
            stop=(lambda state: self._clock.monotonic() + state.upcoming_sleep >= deadline) if retry else _at_once,
            sleep=self._clock.sleep,
            reraise=True,
        )
        with _errors_converted(self._config, METADATA):
            # Read for each exchange: exchanges are rare, and the server may have moved an endpoint.
            config = attempts(with_discovered_endpoints, self._config, (name,), send)
        with _errors_converted(self._config, REVOCATION if name == "revoke_url" else TOKEN) as exchange:
            request = build(config)
            return attempts(lambda: parse(config, request, exchange.send(send, request)))

    def _sender(self, deadline: float) -> Callable[[Request], HttpResponse]:
        return lambda request: self._wire.send(request, deadline)


@dataclass
class _Exchange:
    """The attempts of one exchange.

    :param sent: whether an attempt may have reached the server, the last or an earlier one
    """

    sent: bool = False

    def send(self, send: Callable[[Request], HttpResponse], request: Request) -> HttpResponse:
        """Send ``request`` and note whether it was sent."""
        try:
            answer = send(request)
        except OAuthError as error:
            self.sent = self.sent or error.request_sent
            raise
        except BaseException:  # AirflowTaskTimeout, for example; nobody knows how far the request got
            self.sent = True
            raise
        self.sent = True
        return answer


@contextmanager
def _errors_converted(config: OAuthConfig, place: EndpointInfo) -> Iterator[_Exchange]:
    """Set ``request_sent`` of all exceptions that are raised, and convert those that are not an ``OAuthError``.

    Their text is not quoted: that of a ``UnicodeEncodeError``, for example, contains the value.

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
        name = type(error).__name__
        converted: OAuthError = ConfigurationError(
            f"Connection {config.conn_id!r}: the request to the {place.name} could not be created ({name}). Check "
            f"{place.field}, and the fields that are sent to it, for characters that cannot be sent."
        )
        if exchange.sent or place is METADATA:
            converted = TokenResponseError(
                f"Connection {config.conn_id!r}: the response of the {place.name} could not be read ({name}). Check "
                f"{place.field}."
            )
        converted.request_sent = exchange.sent
        raise converted from None
    except BaseException as error:  # AirflowTaskTimeout and AirflowTaskTerminated, which can be raised at any line
        error.request_sent = exchange.sent  # type: ignore[attr-defined]
        raise


def _worth_repeating(error: BaseException) -> bool:
    return isinstance(error, TokenRequestError) and error.retryable


def _at_once(_: RetryCallState) -> bool:
    return True


_backoff: Callable[[RetryCallState], float] = wait_random_exponential(multiplier=0.5, max=5)


def _pause(state: RetryCallState) -> float:
    """Wait as long as the server asks (``Retry-After``), else ever longer."""
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "retry_after", None)
    return max(asked or 0.0, _backoff(state))
