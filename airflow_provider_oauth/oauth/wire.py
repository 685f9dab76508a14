"""One request to the authorization server, one answer, whatever the network does meanwhile."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth import __version__
from airflow_provider_oauth.exceptions import TokenRequestError, TokenResponseError
from airflow_provider_oauth.oauth.answers import TokenAnswer
from airflow_provider_oauth.oauth.quoting import scrub

if TYPE_CHECKING:
    from airflow_provider_oauth.oauth.clock import Clock
    from airflow_provider_oauth.oauth.config import OAuthConfig
    from airflow_provider_oauth.oauth.messages import Request

#: Seconds to wait for a connection.
CONNECT_TIMEOUT = 5.0
#: An answer with a token is a few kilobytes; what is longer is not one.
LONGEST_ANSWER = 1024 * 1024


class Wire:
    """Sends requests as the connection's transport options say, and as is good for what holds a secret.

    :param config: the connection
    :param clock: time
    """

    def __init__(self, config: OAuthConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock

    def send(self, request: Request, deadline: float) -> TokenAnswer:
        """Send ``request`` and return what came back, whatever it says.

        :param request: what to send
        :param deadline: until when the answer must have ended, on the monotonic clock; nothing is sent after it
        :raises TokenRequestError: if there was no answer
        :raises TokenResponseError: if it was of unreasonable length
        """
        try:
            return self._send(request, deadline)
        except requests.RequestException as error:
            # The text of a requests error may hold a header, so only the network's reason is quoted, and no cause kept.
            raise self._unreachable(request, error) from None

    def _send(self, request: Request, deadline: float) -> TokenAnswer:
        transport = self._config.transport
        sent_at = self._clock.now()
        remaining = deadline - self._clock.monotonic()
        if remaining <= 0:
            raise requests.ConnectTimeout("no time is left")
        with requests.Session() as session:
            session.trust_env = transport.trust_env
            session.headers["User-Agent"] = f"airflow-provider-oauth/{__version__}"
            response = session.request(
                request.method,
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
                body=self._body(request, response, deadline),
                sent_at=sent_at,
            )

    def _body(self, request: Request, response: requests.Response, deadline: float) -> bytes:
        """Read the answer, until the deadline at most: requests' timeout begins anew with whatever arrives."""
        cut = threading.Event()

        def cut_off() -> None:
            cut.set()
            with suppress(ValueError, RuntimeError, OSError):  # it has just ended
                response.raw.shutdown()

        timer = threading.Timer(deadline - self._clock.monotonic(), cut_off)
        timer.daemon = True
        timer.start()
        try:
            body = b""
            # Not iter_content, which waits for a whole chunk.
            while chunk := _arrived(response):
                body += chunk
                if len(body) > LONGEST_ANSWER:
                    raise TokenResponseError(
                        f"Connection {self._config.conn_id!r}: {request.where} sent over {LONGEST_ANSWER} bytes. "
                        f"Check {request.place.field}."
                    )
        except requests.ConnectionError:
            if not cut.is_set():
                raise
            raise requests.ReadTimeout("the answer did not end in time") from None
        finally:
            timer.cancel()
        if cut.is_set() and not _ended(response):
            raise requests.ReadTimeout("the answer did not end in time")
        return body

    def _unreachable(self, request: Request, error: requests.RequestException) -> TokenRequestError:
        reason = getattr(error.args[0], "reason", error.args[0]) if error.args else ""
        passing = isinstance(
            error, (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
        )
        said = f" ({scrub(str(reason), request.secrets)})" if passing and reason else ""
        return TokenRequestError(
            f"Connection {self._config.conn_id!r}: no answer from {request.where}: {type(error).__name__}{said}. "
            f"Check {request.place.field}, and that this host may reach it.",
            retryable=passing,
        )


def _ended(response: requests.Response) -> bool:
    """Tell whether the answer was read to an end that it has itself.

    So is one that had come before its process stood still for longer than it may take: its tokens are not thrown away.
    """
    return bool(response.raw.chunked) or response.raw.length_remaining == 0


def _arrived(response: requests.Response) -> bytes:
    try:
        return bytes(response.raw.read1(8192, decode_content=True))
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(error) from None


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request as it is: without an auth object, requests would take one from .netrc over our header."""
    return request
