"""Fixtures that tests in all folders use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.certificates import Certificates, certificates
from tests.connections import connection_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _forget_masked_secrets() -> Iterator[None]:
    """Reset Airflow's masker after each test.

    For each new secret, Airflow compiles a pattern of all secrets. For those of thousands of tests, this takes minutes.
    """
    yield
    if module := sys.modules.get("airflow.sdk._shared.secrets_masker"):
        module._secrets_masker().reset_masker()
    if masking := sys.modules.get("airflow_provider_oauth.runtime.masking"):
        masking.reset()


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Airflow's Variables as a dict, in a process without cached connections, tokens and sessions."""
    from airflow_provider_oauth.api import adapters
    from airflow_provider_oauth.runtime import airflow_variables, masking, token_sources

    stored: dict[str, str] = {}
    monkeypatch.setattr(airflow_variables, "get_variable", stored.get)
    monkeypatch.setattr(
        airflow_variables, "set_variable", lambda name, value, description: stored.update({name: value})
    )
    monkeypatch.setattr(airflow_variables, "is_listed", stored.__contains__)
    monkeypatch.setattr(
        airflow_variables, "list_variables", lambda prefix: [name for name in stored if name.startswith(prefix)]
    )
    monkeypatch.setenv("AIRFLOW__OAUTH__LOCK_FOLDER", str(tmp_path / "locks"))
    for clear in (token_sources._sources.clear, masking.reset, adapters._adapter.cache_clear):
        clear()
    return stored


@pytest.fixture
def define_connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Define an Airflow connection in the environment: its ID, then fields as in ``connection_values``."""

    def define(conn_id: str, **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection_values(**fields)))

    return define


@pytest.fixture(scope="module")
def airflow_env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of an Airflow with an empty, migrated PostgreSQL database, for processes that share Variables."""
    from sandbox.services import PostgreSQL

    folder = tmp_path_factory.mktemp("airflow")
    with PostgreSQL(folder / "postgresql") as postgresql:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        env = inherited | {
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgresql.url,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "1",
        }
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=env, capture_output=True, check=True)
        yield env


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """TLS files: a certificate authority, a server certificate and a client certificate."""
    return certificates(tmp_path_factory.mktemp("tls"))
