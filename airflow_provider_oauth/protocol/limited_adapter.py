"""A requests adapter that limits the time and the size of an exchange, and checks addresses before it connects."""

from __future__ import annotations

import http.client
import io
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util import parse_url
from urllib3.util.connection import allowed_gai_family

from airflow_provider_oauth.protocol.client_key_adapter import ClientKeyAdapter
from airflow_provider_oauth.protocol.timeouts import CONNECT_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import PreparedRequest, Response

    from airflow_provider_oauth.protocol.clock import Clock

#: Minimum time for each address of a host, in seconds. In less time, a lost packet could not be sent again.
ADDRESS_TIMEOUT = 2.0

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class ResponseTooLarge(Exception):  # noqa: N818 - it is converted to another error
    """The response is larger than allowed."""


class LimitedAdapter(ClientKeyAdapter):
    """Sends one request before a deadline.

    The timeouts of the requests library do not limit the whole exchange: they apply to each address of a host and to
    each read from the socket.

    :param clock: the clocks
    :param deadline: time on the monotonic clock at which the exchange is stopped, whichever step it has reached
    :param max_bytes: maximum number of bytes that are read, headers included
    :param check_address: called with each address before connecting; raises if the address is not allowed
    :param passphrase: the passphrase of the client certificate's key; None if it is not encrypted
    """

    def __init__(
        self,
        clock: Clock,
        deadline: float,
        max_bytes: int,
        check_address: Callable[[str], None] | None,
        passphrase: str | None = None,
    ) -> None:
        #: Whether the deadline passed before the response was complete.
        self.is_timed_out = False
        #: Whether a connection was established, so that the request may have been sent.
        self.is_connected = False
        self._clock = clock
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._check_address = check_address or (lambda address: None)
        self._query = ""
        self._sockets: list[socket.socket] = []
        self._responses: list[http.client.HTTPResponse] = []
        self._timer = threading.Timer(deadline - clock.monotonic(), self._shut_down)
        self._timer.daemon = True
        super().__init__(passphrase=passphrase)

    def __enter__(self) -> LimitedAdapter:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        for response in self._responses:
            response.close()
        for each in self._sockets:
            each.close()

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send a request. Only the connection gets its query, which may contain secrets.

        urllib3 logs the URLs of requests, and quotes them in exceptions.
        """
        without_query = request.copy()
        without_query.url, question_mark, query = (request.url or "").partition("?")
        self._query = question_mark + query
        return super().send(without_query, *args, **kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool manager, and limit its connections."""
        super().init_poolmanager(*args, **kwargs)
        self._limit(self.poolmanager, None)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the manager for ``proxy``, with limited connections."""
        is_socks = proxy.lower().startswith("socks")
        return self._limit(super().proxy_manager_for(proxy, **kwargs), proxy if is_socks else None)

    def _limit(self, manager: Any, socks: str | None) -> Any:
        classes = manager.pool_classes_by_scheme.items()
        manager.pool_classes_by_scheme = {scheme: self._limited(pool_class, socks) for scheme, pool_class in classes}
        return manager

    def _limited(self, pool_class: Any, socks: str | None) -> Any:
        adapter = self

        class Connection(pool_class.ConnectionCls):  # type: ignore[misc]
            # With another value, which a program can set for all connections, http.client prints requests.
            debuglevel = 0

            def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
                super().putrequest(method, url + adapter._query, *args, **kwargs)

            def _new_conn(self) -> socket.socket:
                if socks:
                    # PySocks looks up the proxy again, so it may connect to an address that was not checked.
                    proxy = parse_url(socks)
                    adapter._addresses(self, proxy.host or "", proxy.port or 1080)
                    return adapter._registered(self, super()._new_conn())
                return adapter._registered(self, adapter._open(self))

            def connect(self) -> None:
                super().connect()
                if adapter.is_timed_out:  # send nothing after the deadline
                    raise ConnectTimeoutError(self, "the deadline has passed")
                adapter.is_connected = True

            def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
                response = LimitedResponse(sock, *args, max_bytes=adapter._max_bytes, **kwargs)
                adapter._responses.append(response)
                return response

        return type(pool_class.__name__, (pool_class,), {"ConnectionCls": Connection})

    def _open(self, connection: Any) -> socket.socket:
        """Check all addresses, then connect to the first one that responds."""
        connect_deadline = min(self._deadline, self._clock.monotonic() + CONNECT_TIMEOUT)
        addresses = self._addresses(connection, connection._dns_host, connection.port)
        last_error: OSError = TimeoutError()
        for index, address in enumerate(addresses):
            remaining = connect_deadline - self._clock.monotonic()
            if remaining <= 0:
                break
            share = min(remaining, max(remaining / (len(addresses) - index), ADDRESS_TIMEOUT))
            try:
                return _connected(address, share, connection)
            except OSError as error:
                last_error = error
        if isinstance(last_error, TimeoutError):
            raise ConnectTimeoutError(connection, "connecting took too long") from last_error
        raise NewConnectionError(connection, f"Failed to establish a new connection: {last_error}") from last_error

    def _addresses(self, connection: Any, host: str, port: int) -> list[Address]:
        """Look up and check the addresses of ``host``. The lookup runs in a thread, because it has no timeout."""
        found: list[Address] = []
        errors: list[Exception] = []

        def lookup() -> None:
            try:
                found.extend(socket.getaddrinfo(host.strip("[]"), port, allowed_gai_family(), socket.SOCK_STREAM))
            except Exception as error:
                errors.append(error)

        thread = threading.Thread(target=lookup, daemon=True)
        thread.start()
        thread.join(max(0.0, min(CONNECT_TIMEOUT, self._deadline - self._clock.monotonic())))
        if errors:
            if isinstance(errors[0], socket.gaierror):
                raise NameResolutionError(host, connection, errors[0]) from errors[0]
            raise errors[0]
        if thread.is_alive():
            raise ConnectTimeoutError(connection, "the DNS lookup took too long")
        for address in found:
            self._check_address(address[4][0])
        return found

    def _registered(self, connection: Any, opened: socket.socket) -> socket.socket:
        """Register a socket, so that it is shut down at the deadline, even during a TLS or proxy handshake."""
        self._sockets.append(opened.dup())
        if self.is_timed_out:
            opened.close()
            raise ConnectTimeoutError(connection, "the deadline has passed")
        return opened

    def _shut_down(self) -> None:
        self.is_timed_out = True
        for each in self._sockets:
            with suppress(OSError):  # it is already closed
                # ``each`` is a duplicate of the TCP socket, without TLS. The TLS connection is not closed, so data that
                # has already arrived can still be decrypted.
                each.shutdown(socket.SHUT_RDWR)


class LimitedResponse(http.client.HTTPResponse):
    """A response that raises ``ResponseTooLarge`` after ``max_bytes``.

    All bytes count: headers, chunk lengths, trailers and the body before decompression.
    """

    def __init__(self, sock: socket.socket, *args: Any, max_bytes: int, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_LimitedReader(self.fp.detach(), max_bytes))


class _LimitedReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, max_bytes: int) -> None:
        self._raw = raw
        self._left = max_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count: int | None = self._raw.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise ResponseTooLarge
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _connected(address: Address, seconds: float, connection: Any) -> socket.socket:
    """Connect to one address.

    :param address: address from ``getaddrinfo``
    :param seconds: timeout for connecting
    :param connection: provides the socket options and the timeout after connecting
    """
    family, kind, protocol, _, name = address
    opened = socket.socket(family, kind, protocol)
    try:
        for option in connection.socket_options or ():
            opened.setsockopt(*option)
        opened.settimeout(seconds)
        opened.connect(name)
        opened.settimeout(connection.timeout)
    except BaseException:
        opened.close()
        raise
    return opened
