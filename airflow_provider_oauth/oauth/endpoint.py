"""The exchange with the token endpoint: one question, one answer, whatever the network does meanwhile."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import requests
import urllib3
from requests.structures import CaseInsensitiveDict
from tenacity import RetryCallState, Retrying, retry_if_exception
from tenacity.wait import wait_random_exponential

from airflow_provider_oauth import __version__
from airflow_provider_oauth.exceptions import OAuthError, TokenRequestError, TokenResponseError
from airflow_provider_oauth.oauth.answers import TokenAnswer, parse_answer
from airflow_provider_oauth.oauth.clock import Clock
from airflow_provider_oauth.oauth.messages import (
    TokenRequest,
    code_request,
    grant_request,
    refresh_request,
)
from airflow_provider_oauth.oauth.quoting import scrub

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_provider_oauth.oauth.config import OAuthConfig
    from airflow_provider_oauth.oauth.token import Token

#: Seconds for an exchange, all attempts together.
EXCHANGE_TIMEOUT = 20.0
#: Seconds to wait for a connection.
CONNECT_TIMEOUT = 5.0
#: Seconds that an exchange takes at most: its last attempt may have to wait for a connection first.
LONGEST_EXCHANGE = EXCHANGE_TIMEOUT + CONNECT_TIMEOUT
#: An answer with a token is a few kilobytes; what is longer is not one.
LONGEST_ANSWER = 1024 * 1024


class TokenEndpoint:
    """Asks the token endpoint of one connection for tokens.

    :param config: the connection
    :param clock: time, for tests
    """

    def __init__(self, config: OAuthConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or Clock()

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
        sent_at = self._clock.now()
        try:
            answer = self._send(request, sent_at, deadline)
        except requests.RequestException as error:
            # The text of a requests error may hold a header, so only the network's reason is quoted, and no cause kept.
            raise self._unreachable(request, error) from None
        return parse_answer(self._config, request, answer)

    def _send(self, request: TokenRequest, sent_at: datetime, deadline: float) -> TokenAnswer:
        transport = self._config.transport
        remaining = max(deadline - self._clock.monotonic(), 0.1)
        with requests.Session() as session:
            session.trust_env = transport.trust_env
            session.headers["User-Agent"] = f"airflow-provider-oauth/{__version__}"
            response = session.post(
                request.url,
                data=request.body,
                headers=dict(request.headers),
                auth=_unchanged,
                # Here, not on the session: there the environment's CA bundle would win over them.
                verify=transport.verify,
                cert=transport.cert,
                proxies=dict(transport.proxies),
                timeout=(min(remaining, CONNECT_TIMEOUT), remaining),
                allow_redirects=False,  # a 307 would carry the secret to another place
                stream=True,
            )
            return TokenAnswer(
                status_code=response.status_code,
                headers=CaseInsensitiveDict(response.headers),
                body=self._body(response, deadline),
                sent_at=sent_at,
            )

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        """Read the answer, until the deadline at most: requests' timeout begins anew with whatever arrives."""
        cut = threading.Event()

        def cut_off() -> None:
            cut.set()
            with suppress(ValueError, RuntimeError):  # it has just been read to its end
                response.raw.shutdown()

        timer = threading.Timer(deadline - self._clock.monotonic(), cut_off)
        timer.daemon = True
        timer.start()
        try:
            body = b""
            # Not iter_content, which waits for a whole chunk.
            while chunk := self._arrived(response):
                body += chunk
                if len(body) > LONGEST_ANSWER:
                    raise TokenResponseError(
                        f"Connection {self._config.conn_id!r}: the token endpoint sent over {LONGEST_ANSWER} bytes."
                    )
        except requests.ConnectionError:
            if not cut.is_set():
                raise
        finally:
            timer.cancel()
        if cut.is_set():
            raise requests.ReadTimeout("the answer did not end in time")
        return body

    def _arrived(self, response: requests.Response) -> bytes:
        try:
            return bytes(response.raw.read1(8192, decode_content=True))
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(error) from None

    def _unreachable(self, request: TokenRequest, error: requests.RequestException) -> OAuthError:
        reason = getattr(error.args[0], "reason", error.args[0]) if error.args else ""
        passing = isinstance(
            error, (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
        )
        said = f" ({scrub(str(reason), request.secrets)})" if passing and reason else ""
        return TokenRequestError(
            f"Connection {self._config.conn_id!r}: no answer from the token endpoint {request.url.partition('?')[0]}: "
            f"{type(error).__name__}{said}. Check Token URL, and that this host may reach it.",
            retryable=passing,
        )


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request as it is: without an auth object, requests would take one from .netrc over our header."""
    return request


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
