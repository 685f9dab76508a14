"""Fixtures of the tests of requests that are sent ahead: a server, its connection, and a check of all threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.integration.concurrency.pulls import CONN_ID, Pull
from tests.integration.paged_server import PagedServer, join_others, paged_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server(define_connection: Callable[..., None], variables: dict[str, str]) -> Iterator[PagedServer]:
    """Run the server. After the test, no thread of a task is left."""
    before = set(threading.enumerate())
    with paged_server() as running:
        define_connection(CONN_ID, host=f"{running.url}/api", grant_url=f"{running.url}/token")
        yield running
        running.end_waits()
    join_others(before)


@pytest.fixture
def pull(server: PagedServer, tmp_path: Path) -> Pull:
    return Pull(server, tmp_path / "files")
