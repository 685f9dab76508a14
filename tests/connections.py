"""Builders of connections for all tests: one for what the package reads, one for what Airflow stores.

Airflow reads its home folder when it is first imported, and the conftest of each folder chooses one. So this module
imports Airflow, and what imports it, only when a builder is called.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest
    from airflow.sdk import Connection

    from airflow_provider_oauth.protocol.config import OAuthConfig

BASE_URL = "https://api.example.com"
TOKEN_URL = "https://login.example.com/token"
#: The fields of Airflow's connection form; all other fields are in extra.
_STANDARD_FIELDS = {"conn_type", "description", "host", "login", "password", "schema", "port", "extra"}


def oauth_config(**changes: Any) -> OAuthConfig:
    """Return the settings of a connection with the client credentials grant; ``changes`` replace or add fields."""
    from airflow_provider_oauth.protocol.config import OAuthConfig

    values: dict[str, Any] = {
        "conn_id": "shop",
        "base_url": BASE_URL,
        "token_url": TOKEN_URL,
        "client_id": "app",
        "client_secret": "fake-secret",
    }
    return OAuthConfig(**(values | changes))


def connection_values(conn_type: str = "oauth", **fields: Any) -> dict[str, Any]:
    """Return a connection as the object that Airflow reads from JSON.

    A vendor's connection type needs neither host nor Token URL, so these have defaults only with the type ``oauth``.

    :param fields: fields of Airflow's form (``host``, ``login``, …); all others go into extra, where None removes
        a default; ``extra`` itself replaces all of them
    """
    values: dict[str, Any] = {"conn_type": conn_type, "login": "app", "password": "fake-secret"}
    extra: dict[str, Any] = {"leeway": 60}
    if conn_type == "oauth":
        values["host"] = BASE_URL
        extra["grant_url"] = TOKEN_URL
    for name, value in fields.items():
        where = values if name in _STANDARD_FIELDS else extra
        where[name] = value
    extra = {name: value for name, value in extra.items() if value is not None}
    return {"extra": extra} | values


def airflow_connection(conn_id: str = "shop", conn_type: str = "oauth", **fields: Any) -> Connection:
    """Return a connection as a task gets it from Airflow; see :func:`connection_values`."""
    from airflow.sdk import Connection

    values = connection_values(conn_type, **fields)
    if isinstance(values["extra"], dict):
        values["extra"] = json.dumps(values["extra"])
    return Connection(conn_id=conn_id, **values)


def use_vendor(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    """Read all connections from now on as if they had a vendor with these values of ``OAuthConfig``."""
    from airflow_provider_oauth import connection

    read = getattr(connection._read, "original", connection._read)

    def with_values(*args: Any) -> OAuthConfig:
        return replace(read(*args), **values)

    with_values.original = read  # type: ignore[attr-defined]
    monkeypatch.setattr(connection, "_read", with_values)
