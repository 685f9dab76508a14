"""One request to the authorization server, one answer, whatever the network does meanwhile."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
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
        except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
            # The text of a requests error may hold a header, so only the network's reason is quoted, and no cause kept.
            raise self._unreachable(request, error) from None

    def _send(self, request: Request, deadline: float) -> TokenAnswer:
        transport = self._config.transport
        sent_at = self._clock.now()
        remaining = deadline - self._clock.monotonic()
        if remaining <= 0:
            raise requests.ConnectTimeout("no time is left")
        with _Ending(remaining) as adapter, requests.Session() as session:
            session.mount("https://", adapter)
            session.mount("http://", adapter)
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
            body = self._body(request, response)
            if adapter.is_cut and not _ended(response):
                raise requests.ReadTimeout("the answer did not end in time")
            return TokenAnswer(
                status_code=response.status_code,
                headers=CaseInsensitiveDict(response.headers),
                body=body,
                sent_at=sent_at,
            )

    def _body(self, request: Request, response: requests.Response) -> bytes:
        body = b""
        # Not iter_content, which waits for a whole chunk.
        while chunk := _arrived(response):
            body += chunk
            if len(body) > LONGEST_ANSWER:
                raise TokenResponseError(
                    f"Connection {self._config.conn_id!r}: {request.where} sent over {LONGEST_ANSWER} bytes. "
                    f"Check {request.place.field}."
                )
        return body

    def _unreachable(self, request: Request, error: Exception) -> TokenRequestError:
        reason = getattr(error.args[0], "reason", error.args[0]) if error.args else ""
        passing = isinstance(
            error, (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
        )
        said = f" ({scrub(str(reason), request.secrets)})" if passing and reason else ""
        unreachable = TokenRequestError(
            f"Connection {self._config.conn_id!r}: no answer from {request.where}: {type(error).__name__}{said}. "
            f"Check {request.place.field}, and that this host may reach it.",
            retryable=passing,
        )
        unreachable.request_sent = passing and not isinstance(error, requests.ConnectTimeout)
        return unreachable


class _Ending(HTTPAdapter):
    """Ends what has not ended in time: requests' own timeout begins anew with whatever arrives.

    :param seconds: for the whole exchange, from connecting to the end of the answer
    """

    def __init__(self, seconds: float) -> None:
        self.is_cut = False
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        super().__init__()

    def __enter__(self) -> _Ending:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._timer.cancel()
        if self.is_cut and isinstance(error, (requests.RequestException, urllib3.exceptions.HTTPError)):
            raise requests.ReadTimeout("the answer did not end in time") from None

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make connections that are known here."""
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Make connections that are known here."""
        return self._watch(super().proxy_manager_for(*args, **kwargs))

    def _watch(self, manager: Any) -> Any:
        classes = manager.pool_classes_by_scheme.items()
        manager.pool_classes_by_scheme = {scheme: self._watched(pool_class) for scheme, pool_class in classes}
        return manager

    def _watched(self, pool_class: Any) -> Any:
        ending = self

        class Connection(pool_class.ConnectionCls):  # type: ignore[misc]
            def connect(self) -> None:
                super().connect()
                ending._sockets.append(self.sock)
                if ending.is_cut:  # nothing is sent any more
                    raise urllib3.exceptions.ConnectTimeoutError(self, "no time is left")

        return type(pool_class.__name__, (pool_class,), {"ConnectionCls": Connection})

    def _cut(self) -> None:
        self.is_cut = True
        for each in self._sockets:
            with suppress(OSError):  # it has ended
                # Not its own method: that of a TLS socket would not decrypt what has come already.
                socket.socket.shutdown(each, socket.SHUT_RD)


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
