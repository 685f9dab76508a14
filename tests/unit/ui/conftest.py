"""What tests of the page share."""

from __future__ import annotations

import warnings

import pytest

with warnings.catch_warnings():
    # Airflow's API server imports Starlette's test client by accident, and that is about to want another HTTP client.
    warnings.simplefilter("ignore")
    import airflow.api_fastapi.core_api.security  # noqa: F401


@pytest.fixture
def kept(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Airflow's Variables, which are written and deleted as the API server does it."""
    from airflow.models.variable import Variable

    def delete(name: str) -> int:
        return 0 if variables.pop(name, None) is None else 1

    monkeypatch.setattr(Variable, "set", lambda name, value, description: variables.update({name: value}))
    monkeypatch.setattr(Variable, "delete", delete)
    return variables
