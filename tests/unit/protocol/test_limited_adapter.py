from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from airflow_provider_oauth.protocol import limited_adapter
from airflow_provider_oauth.protocol.address_guard import AddressGuard, Blocked
from airflow_provider_oauth.protocol.limited_adapter import ADDRESS_TIMEOUT, CONNECT_TIMEOUT, LimitedAdapter
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable


class Connection:
    """The attributes of a connection that the adapter reads."""

    host = "auth.test"
    _dns_host = "auth.test"
    port = 443
    timeout = 5.0
    socket_options = None


class Network:
    """Addresses that respond, refuse or do not respond, with the timeout that each was given."""

    def __init__(self, clock: FakeClock, found: list[str]) -> None:
        self.clock = clock
        self.found = found
        self.refusing: set[str] = set()
        self.responding: set[str] = set()
        self.tried: list[tuple[str, float]] = []

    def getaddrinfo(self, host: str, port: int, *_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.found]

    def connect(self, address: Any, seconds: float, _: object) -> Any:
        name = address[4][0]
        self.tried.append((name, seconds))
        if name in self.responding:
            return name
        if name in self.refusing:
            raise ConnectionRefusedError(111, "Connection refused")
        self.clock.seconds += seconds
        raise TimeoutError


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def network(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network(clock, [f"203.0.113.{number}" for number in range(1, 9)])
    monkeypatch.setattr(socket, "getaddrinfo", network.getaddrinfo)
    monkeypatch.setattr(limited_adapter, "_connected", network.connect)
    return network


@pytest.fixture
def opened(clock: FakeClock) -> Callable[..., Any]:
    def open_connection(deadline: float = 20.0) -> Any:
        with LimitedAdapter(clock, deadline, 1000, AddressGuard().check_address) as adapter:  # type: ignore[arg-type]
            return adapter._open(Connection())

    return open_connection


def test_eight_addresses_without_response_take_no_longer_than_one(
    clock: FakeClock, network: Network, opened: Callable[..., Any]
) -> None:
    with pytest.raises(ConnectTimeoutError):
        opened()
    assert clock.seconds == CONNECT_TIMEOUT
    assert len(network.tried) > 1


def test_connecting_ends_at_the_deadline(clock: FakeClock, network: Network, opened: Callable[..., Any]) -> None:
    with pytest.raises(ConnectTimeoutError):
        opened(deadline=1.5)
    assert clock.seconds == 1.5


def test_each_address_gets_a_share_of_the_time_and_a_minimum(network: Network, opened: Callable[..., Any]) -> None:
    network.found = network.found[:2]
    network.responding = {"203.0.113.2"}
    assert opened() == "203.0.113.2"
    assert network.tried == [("203.0.113.1", 2.5), ("203.0.113.2", 2.5)]
    network.tried.clear()
    network.found = [f"203.0.113.{number}" for number in range(3, 9)]
    with pytest.raises(ConnectTimeoutError):
        opened()
    assert network.tried == [("203.0.113.3", ADDRESS_TIMEOUT), ("203.0.113.4", ADDRESS_TIMEOUT), ("203.0.113.5", 1.0)]


def test_the_time_of_an_address_that_refuses_is_used_for_the_others(
    network: Network, opened: Callable[..., Any]
) -> None:
    network.refusing = set(network.found[:7])
    with pytest.raises(ConnectTimeoutError):
        opened()
    assert network.tried[-1] == ("203.0.113.8", CONNECT_TIMEOUT)
    network.refusing = set(network.found)
    with pytest.raises(NewConnectionError, match="Connection refused"):
        opened()


def test_no_connection_is_opened_if_any_address_is_blocked(network: Network, opened: Callable[..., Any]) -> None:
    network.responding = {"203.0.113.1"}
    network.found = ["203.0.113.1", "169.254.169.254"]
    with pytest.raises(Blocked):
        opened()
    assert network.tried == []


def test_a_name_that_cannot_be_resolved_is_a_name_resolution_error(
    network: Network, opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(NameResolutionError):
        opened()


def test_a_dns_lookup_that_takes_too_long_is_a_timeout(
    network: Network, opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def getaddrinfo(*_: object) -> list[Any]:
        ended.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        with pytest.raises(ConnectTimeoutError, match="DNS lookup"):
            opened(deadline=0.05)
    finally:
        ended.set()
    assert network.tried == []


@pytest.mark.parametrize(("address", "is_blocked"), [("203.0.113.1", False), ("169.254.169.254", True)])
def test_the_address_of_a_socks_proxy_is_checked(
    clock: FakeClock, network: Network, monkeypatch: pytest.MonkeyPatch, address: str, is_blocked: bool
) -> None:
    ours, theirs = socket.socketpair()

    class SocksConnection:
        def _new_conn(self) -> socket.socket:
            return ours

    class Pool:
        ConnectionCls = SocksConnection

    class Manager:
        pool_classes_by_scheme, key_fn_by_scheme = {"https": Pool}, {}

    monkeypatch.setattr(HTTPAdapter, "proxy_manager_for", lambda *_: Manager())
    network.found = [address]
    with ours, theirs, LimitedAdapter(clock, 20.0, 1000, AddressGuard().check_address) as adapter:  # type: ignore[arg-type]
        manager = adapter.proxy_manager_for("socks5h://proxy.test:1080")
        connection = manager.pool_classes_by_scheme["https"].ConnectionCls()
        if is_blocked:
            with pytest.raises(Blocked):
                connection._new_conn()
        else:
            assert connection._new_conn() is ours
            adapter._shut_down()
            assert theirs.recv(1) == b""
    assert network.tried == []


def test_a_connection_that_is_opened_after_the_deadline_is_closed(
    clock: FakeClock, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    with theirs, LimitedAdapter(clock, 20.0, 1000, None) as adapter:  # type: ignore[arg-type]
        adapter._shut_down()
        with pytest.raises(ConnectTimeoutError):
            adapter._registered(Connection(), ours)
    assert ours.fileno() == -1
