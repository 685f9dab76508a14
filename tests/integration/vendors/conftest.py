"""Fixtures that play vendors for connections of this package."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import OAuthError
from sandbox.vendor_example import Example, read_example
from sandbox.vendor_server import VendorServer, serve
from tests.fake_clock import FakeClock
from tests.integration.vendors.invented import INVENTED
from tests.integration.vendors.vendor_run import VendorRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Play = "Callable[[str | None, Example], AbstractContextManager[VendorRun]]"


@pytest.fixture(scope="session")
def vendor_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VendorServer]:
    """One server for all tests, so that keys and certificates are created once."""
    folder = tmp_path_factory.mktemp("vendor-server")
    example = folder / "invented.toml"
    example.write_text(INVENTED)
    with serve(read_example(example), folder) as server:
        yield server


@pytest.fixture
def play(
    vendor_server: VendorServer,
    variables: dict[str, str],
    define_connection: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Callable[..., AbstractContextManager[VendorRun]]:
    """Play a vendor for a connection within a block. Requests that contradict the documentation fail the test."""
    clock = FakeClock()
    clock.install(monkeypatch)

    @contextmanager
    def playing(
        example: Example, vendor: str | None = None, allowed: dict[str, str] | None = None
    ) -> Iterator[VendorRun]:
        vendor_server.play(example)
        vendor_server.clock = clock.timestamp
        run = VendorRun(vendor_server, example, clock, tmp_path)
        define_connection(run.conn_id, **run.fields(vendor))
        try:
            yield run
        except (OAuthError, AssertionError) as error:
            if vendor_server.differences:
                pytest.fail(run.disagreement(f"Then: {error}"), pytrace=False)
            raise
        if vendor_server.differences:
            pytest.fail(run.disagreement(), pytrace=False)
        if unknown := sorted(vendor_server.extras - set(allowed or {})):
            pytest.fail("Sent, but not documented: " + "; ".join(unknown), pytrace=False)

    return playing
