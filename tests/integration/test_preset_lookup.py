"""The preset of another package's connection type, in every kind of process in which Airflow reads connections."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: The files of the package. Airflow reads the provider info on every start, so its module imports no hook.
FILES = {
    "acme_oauth.py": """
from airflow_provider_oauth.presets import Preset, provider_info

ACME = Preset(
    conn_type="acme",
    name="Acme",
    hook_class_name="acme_hooks.AcmeHook",
    grants=("client_credentials",),
    environments={"eu": {"host": "https://eu.acme.example", "grant_url": "https://login.acme.example/token"}},
)


def get_provider_info():
    return provider_info("acme-oauth", ACME)
""",
    "acme_hooks.py": """
from acme_oauth import ACME
from airflow_provider_oauth.hooks.oauth import OAuthHook


class AcmeHook(OAuthHook):
    default_conn_name = "acme_default"
    conn_type = "acme"
    hook_name = "Acme"
    preset = ACME
""",
    "acme_oauth-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme-oauth\nVersion: 1.0\n",
    "acme_oauth-1.0.dist-info/entry_points.txt": (
        "[apache_airflow_provider]\nprovider_info = acme_oauth:get_provider_info\n"
    ),
}

#: The start of a task process, which reads connections and Variables only through Airflow's supervisor.
SUPERVISED = """
import os
os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "client"
from airflow.sdk import Connection
from airflow.sdk.execution_time import task_runner
task_runner.SUPERVISOR_COMMS = object()
from airflow_provider_oauth.connection import preset_of
"""

PROCESSES = {
    "task": f"""{SUPERVISED}
print(preset_of(Connection(conn_id="shop", conn_type="acme")).name)
""",
    "triggerer": f"""{SUPERVISED}
import asyncio
from airflow_provider_oauth.api.aiohttp_auth import in_thread
print(asyncio.run(in_thread(preset_of)(Connection(conn_id="shop", conn_type="acme"))).name)
""",
    "API server": """
import os
os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
from airflow.models import Connection
from airflow.providers_manager import ProvidersManager
assert ProvidersManager().hooks["acme"].hook_name == "Acme"
from airflow_provider_oauth.connection import preset_of
print(preset_of(Connection(conn_id="shop", conn_type="acme")).name)
""",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with an installed package that registers the connection type ``acme``."""
    (tmp_path / "acme_oauth-1.0.dist-info").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("process", PROCESSES)
def test_the_preset_of_another_packages_connection_type_is_found(package: Path, process: str) -> None:
    python_path = os.pathsep.join([str(package), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", PROCESSES[process]],
        env=os.environ | {"PYTHONPATH": python_path},
        cwd=package,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "Acme"
