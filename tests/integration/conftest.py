"""Fixtures of the integration tests: a sandbox in this process, a clock that tests control, and a migrated database."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.protocol.clock import Clock
from sandbox.server import Sandbox, serve
from tests.fake_clock import FakeClock
from tests.integration.recorder import recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.recorder import Recorder

# Airflow reads its home when it is first imported. Use a new one, or that of the unit tests, but never the user's.
if "airflow" not in sys.modules and not Path(os.environ.get("AIRFLOW_HOME", "")).name.startswith("airflow-home-"):
    _home = tempfile.mkdtemp(prefix="airflow-home-integration-")
    atexit.register(shutil.rmtree, _home, ignore_errors=True)
    for _name in [name for name in os.environ if name.startswith(("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_"))]:
        del os.environ[_name]
    os.environ["AIRFLOW_HOME"] = _home
    os.environ["AIRFLOW_CONFIG"] = str(Path(_home, "airflow.cfg"))
    os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits of lease and retries to a fortieth. Other tests check that they are long enough."""
    sleep = Clock.sleep
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds, stop=None: sleep(self, seconds / 40, stop))


@pytest.fixture
def sandbox_clock() -> FakeClock:
    return FakeClock(datetime(2027, 1, 15, 8, tzinfo=UTC))


@pytest.fixture
def sandbox(tmp_path: Path, sandbox_clock: FakeClock) -> Iterator[Sandbox]:
    with serve(tmp_path / "sandbox", clock=sandbox_clock.timestamp) as running:
        yield running


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Migrate the database of the Airflow home of these tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's warnings
        from airflow import settings
        from airflow.utils.db import initdb

        home = Path(settings.AIRFLOW_HOME)
        if not home.name.startswith("airflow-home-") or str(home) not in settings.SQL_ALCHEMY_CONN:
            pytest.fail(f"the database of {home} is not migrated, because these tests did not create this Airflow home")
        initdb()


@pytest.fixture
def api() -> Iterator[Recorder]:
    """A server in place of the API, which records its requests."""
    with recorder() as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[Recorder]:
    """A second server like ``api``, with another origin."""
    with recorder() as running:
        yield running
