"""The exchange with the token endpoint: one question, one answer, whatever the network does meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenacity import RetryCallState, Retrying, retry_if_exception
from tenacity.wait import wait_random_exponential

from airflow_provider_oauth.exceptions import TokenRequestError
from airflow_provider_oauth.oauth.answers import parse_answer, parse_revocation
from airflow_provider_oauth.oauth.clock import Clock
from airflow_provider_oauth.oauth.messages import (
    TokenRequest,
    code_request,
    grant_request,
    refresh_request,
    revoke_request,
)
from airflow_provider_oauth.oauth.wire import CONNECT_TIMEOUT, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.oauth.config import OAuthConfig
    from airflow_provider_oauth.oauth.token import Token

#: Seconds for an exchange, all attempts together.
EXCHANGE_TIMEOUT = 20.0
#: Seconds that an exchange takes at most: its last attempt may have to wait for a connection first.
LONGEST_EXCHANGE = EXCHANGE_TIMEOUT + CONNECT_TIMEOUT


class TokenEndpoint:
    """Asks the token endpoint of one connection for tokens, and the revocation endpoint to take them back.

    :param config: the connection
    :param clock: time, for tests
    """

    def __init__(self, config: OAuthConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or Clock()
        self._wire = Wire(config, self._clock)

    def grant(self, scope: str | None = None, *, patient: bool = True) -> Token:
        """Repeat the connection's grant.

        :param scope: instead of the connection's, separated by spaces
        :param patient: try again, within EXCHANGE_TIMEOUT, when the server is busy or out of reach
        :raises TokenRequestError: the server refused, or cannot be reached
        :raises TokenResponseError: it answered, but not with a token
        """
        return self._exchange(grant_request(self._config, scope), patient)

    def refresh(self, refresh_token: str, access_token: str | None = None, *, patient: bool = True) -> Token:
        """Trade ``refresh_token`` for a token; parameters and errors as in ``grant``, ``refresh_request``.

        An attempt whose answer was lost is repeated with the same token: there is no other, and servers that allow for
        lost answers accept it again.
        """
        return self._exchange(refresh_request(self._config, refresh_token, access_token), patient)

    def trade(self, code: str, redirect_uri: str, code_verifier: str) -> Token:
        """Trade an authorization code for tokens, once: a code is good for one use.

        :param code: what the browser brought back
        :param redirect_uri: where it came back to
        :param code_verifier: what the challenge was made of
        :raises TokenRequestError: the server refused, or cannot be reached
        :raises TokenResponseError: it answered, but not with a token
        """
        return self._exchange(code_request(self._config, code, redirect_uri, code_verifier), patient=False)

    def revoke(self, token: str, hint: str) -> bool:
        """Have the server revoke a token, once: what is not answered can be asked again.

        :param token: an access or refresh token
        :param hint: which of the two: ``access_token`` or ``refresh_token`` (RFC 7009 section 2.1)
        :return: whether the token is good for nothing any more; False if this server cannot revoke such tokens
        :raises ConfigurationError: the connection does not say where tokens are revoked
        :raises TokenRequestError: the server refused, or cannot be reached
        :raises TokenResponseError: it redirected
        """
        request = revoke_request(self._config, token, hint)
        answer = self._wire.send(request, self._clock.monotonic() + EXCHANGE_TIMEOUT)
        return parse_revocation(self._config, request, answer)

    def _exchange(self, request: TokenRequest, patient: bool) -> Token:
        deadline = self._clock.monotonic() + EXCHANGE_TIMEOUT
        attempts = Retrying(
            retry=retry_if_exception(_worth_repeating),
            wait=_pause,
            stop=(lambda state: self._clock.monotonic() + state.upcoming_sleep >= deadline) if patient else _at_once,
            sleep=self._clock.sleep,
            reraise=True,
        )
        return attempts(self._attempt, request, deadline)

    def _attempt(self, request: TokenRequest, deadline: float) -> Token:
        return parse_answer(self._config, request, self._wire.send(request, deadline))


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
