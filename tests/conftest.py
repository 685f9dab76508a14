"""What tests of all folders share."""

from __future__ import annotations

import pytest

from tests.certificates import Certificates, certificates


@pytest.fixture
def variables(monkeypatch, tmp_path):
    """Airflow's Variables as a dict, and a process that knows no connection, token or server yet."""
    from airflow_provider_oauth.hooks import oauth
    from airflow_provider_oauth.runtime import airflow_variables, masking, token_sources

    kept = {}
    monkeypatch.setattr(airflow_variables, "get_variable", kept.get)
    monkeypatch.setattr(airflow_variables, "set_variable", lambda name, value, description: kept.update({name: value}))
    monkeypatch.setattr(airflow_variables, "is_listed", kept.__contains__)
    monkeypatch.setenv("AIRFLOW__OAUTH__LOCK_FOLDER", str(tmp_path / "locks"))
    for forget in (token_sources._sources.clear, masking.reset, oauth._shared_adapter.cache_clear):
        forget()
    return kept


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Files for TLS: an authority, a server's certificate and a client's."""
    return certificates(tmp_path_factory.mktemp("tls"))
