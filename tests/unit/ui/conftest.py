"""Fixtures for tests of the page."""

from __future__ import annotations

import warnings

import pytest

with warnings.catch_warnings():
    # Airflow's API server imports Starlette's test client, which warns that it will require another HTTP client.
    warnings.simplefilter("ignore")
    import airflow.api_fastapi.core_api.security  # noqa: F401


@pytest.fixture
def stored(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Airflow's Variables as a dict, with the functions that the API server uses to write and delete them."""
    from airflow.models.variable import Variable

    def delete(name: str) -> int:
        return 0 if variables.pop(name, None) is None else 1

    monkeypatch.setattr(Variable, "set", lambda name, value, description: variables.update({name: value}))
    monkeypatch.setattr(Variable, "delete", delete)
    return variables
