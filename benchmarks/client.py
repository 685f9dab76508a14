"""The connections that the benchmarks use."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.server import SandboxProcess

SECRET = "fake-client-secret"


def define_connection(conn_id: str, base_url: str, token_url: str, **extra: Any) -> None:
    """Define a connection of ours in the environment; the client's ID is the connection's."""
    fields = {"grant_url": token_url, "leeway": 60, **extra}
    define(conn_id, conn_type="oauth", host=base_url, login=conn_id, password=SECRET, extra=fields)


def define(conn_id: str, **values: Any) -> None:
    """Define a connection in the environment."""
    os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(values)


def register(sandbox: SandboxProcess, conn_id: str, grant_type: str = "client_credentials") -> str:
    """Register a client at the sandbox and define the connection for it; return the token URL."""
    who = {"server": "standard", "client_id": conn_id}
    sandbox.control("clients", {**who, "client_secret": SECRET})
    extra = sandbox.control("grants", who) if grant_type == "refresh_token" else {}
    url = f"{sandbox.url}/standard"
    define_connection(conn_id, f"{url}/api", f"{url}/token", grant_type=grant_type, **extra)
    return f"{url}/token"
