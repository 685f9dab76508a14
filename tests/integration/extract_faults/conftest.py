"""Fixtures of the tests of faults while a list is read: a server, its connection and a fake clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fake_clock import FakeClock
from tests.integration.extract_faults.extracts import Extract
from tests.integration.list_server import ListServer, list_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    clock.install(monkeypatch)
    return clock


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def connect(define_connection: Callable[..., None], variables: dict[str, str]) -> Callable[..., None]:
    """Define the connection for a server."""

    def define(server: ListServer, **fields: Any) -> None:
        define_connection("faulty", host=f"{server.url}/api", grant_url=f"{server.url}/token", **fields)

    return define


@pytest.fixture
def server(clock: FakeClock, connect: Callable[..., None]) -> Iterator[ListServer]:
    with list_server() as running:
        connect(running)
        yield running


@pytest.fixture(params=[1, 8], ids=["sequential", "concurrent"])
def extract(server: ListServer, tmp_path: Path, request: pytest.FixtureRequest) -> Extract:
    return Extract(server, tmp_path / "files", request.param)
