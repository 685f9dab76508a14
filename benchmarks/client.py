"""Connections for the benchmarks."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.server import SandboxProcess

SECRET = "fake-client-secret"


def define_connection(conn_id: str, base_url: str, token_url: str, **extra: Any) -> None:
    """Define an OAuth connection in the environment. Its ID is also the client ID."""
    fields = {"grant_url": token_url, "leeway": 60, **extra}
    define(conn_id, conn_type="oauth", host=base_url, login=conn_id, password=SECRET, extra=fields)


def define(conn_id: str, **values: Any) -> None:
    """Define a connection in the environment."""
    os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(values)


def register(sandbox: SandboxProcess, conn_id: str, grant_type: str = "client_credentials") -> str:
    """Register a client at the sandbox, define its connection, and return the token URL."""
    client = {"server": "standard", "client_id": conn_id}
    sandbox.control("clients", {**client, "client_secret": SECRET})
    extra = sandbox.control("grants", client) if grant_type == "refresh_token" else {}
    url = f"{sandbox.url}/standard"
    define_connection(conn_id, f"{url}/api", f"{url}/token", grant_type=grant_type, **extra)
    return f"{url}/token"
