"""What people are shown of a connection, wherever it is defined."""

from __future__ import annotations

import json

import pytest

from airflow_provider_oauth.hooks import overview

SHOP = {
    "conn_type": "oauth",
    "host": "https://api.example.com",
    "login": "app",
    "password": "fake-secret",
    "extra": {"grant_type": "client_credentials", "grant_url": "https://login.example.com/token", "leeway": 60},
}


def define(monkeypatch: pytest.MonkeyPatch, conn_id: str, **changes: object) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(SHOP | changes))


# Airflow drops the last three, but in a task.
@pytest.mark.parametrize("conn_id", ["shop", "team/shop#1", "team shop", "shöp?", "<b>shop</b>"])
def test_a_connection_of_the_environment_keeps_its_id(monkeypatch: pytest.MonkeyPatch, conn_id: str) -> None:
    define(monkeypatch, conn_id)

    assert overview.config_of(conn_id).conn_id == conn_id


def test_what_is_wrong_is_said_in_place_of_what_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, "shop", extra={"leeway": 60})
    shown = overview.overview("shop")

    assert (shown.conn_type, shown.config, shown.status) == ("oauth", None, None)
    assert "Token URL" in shown.error
