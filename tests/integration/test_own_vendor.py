"""The package in docs/own-vendor.md can be installed, and Airflow finds it by its entry point."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.documents import DOCS, ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.server import Sandbox

PAGE = DOCS / "own-vendor.md"
TEXT = PAGE.read_text()
(CONNECTION,) = blocks("json", PAGE)
(DAG,) = [block for block in blocks("python", PAGE) if block.dag_id]
SECRET = "fake-secret-:/+%&1"

PROGRAM = """
import json
from airflow.providers_manager import ProvidersManager
from airflow.sdk import BaseHook
from acme_customers import acme_customers
from airflow_provider_oauth.runtime import airflow_variables
from airflow_provider_oauth.hooks.oauth import OAuthHook

stored = {}
airflow_variables.get_variable = stored.get
airflow_variables.set_variable = lambda name, value, description: stored.update({name: value})
airflow_variables.is_listed = stored.__contains__

manager = ProvidersManager()
hook = BaseHook.get_connection("my_acme").get_hook()
rows = acme_customers().get_task("read").execute({})
print(json.dumps({
    "name": manager.hooks["acme"].hook_name,
    "fields": sorted(name for name in manager.connection_form_widgets if "acme" in name),
    "hook": type(hook).__name__,
    "tested": hook.test_connection(),
    "whoami": hook.run("whoami").json(),
    "generic": OAuthHook("my_acme").run("whoami").json()["client_id"],
    "rows": rows["rows"],
}))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with the files in the document."""
    for text in re.findall(r"^```(?:python|toml)\n(# [\w/.]+\n.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        heading, _, content = text.partition("\n")
        path = tmp_path / "acme-airflow" / heading.removeprefix("# ")
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(content)
    return tmp_path / "acme-airflow"


@pytest.fixture
def package(source: Path) -> Path:
    """The folder in which pip has installed the package."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target"]
    command = [sys.executable, "-m", "pip", "install", *options, str(source.parent / "installed"), str(source)]
    subprocess.run(command, check=True)
    return source.parent / "installed"


def in_environment(package: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a process that sees the package."""
    path = os.pathsep.join([str(package), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "AIRFLOW__OAUTH__LOCK_FOLDER": str(package / "locks"), **variables}


def test_the_package_has_at_most_25_lines(source: Path) -> None:
    code = [(source / "acme_airflow" / name).read_text() for name in ("__init__.py", "hook.py")]
    lines = [line for text in code for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 25


def test_airflow_finds_the_package_and_its_hook_and_the_dag_use_the_connection(package: Path, sandbox: Sandbox) -> None:
    sandbox.state.add_client("shop", "acme", SECRET, scopes=["read"])
    connection = json.loads(CONNECTION.text) | {"login": "acme", "password": SECRET}
    connection["extra"]["environment"] = f"{sandbox.url}/shop"
    (package / "acme_customers.py").write_text(DAG.text.replace("/data/", f"{package}/data/"))
    env = in_environment(package, AIRFLOW_CONN_MY_ACME=json.dumps(connection))
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, cwd=package, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["name"] == "Acme CRM"
    assert found["hook"] == "AcmeHook"
    assert found["tested"][0] is True
    assert found["whoami"]["headers"]["x-tenant"] == "4711"
    assert found["whoami"]["scope"] == "read"
    assert found["generic"] == "acme"
    assert found["rows"] == 250
    assert any(name.endswith("tenant") for name in found["fields"])


def test_the_test_that_the_page_shows_passes(source: Path, package: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(source),
        str(source / "tests"),
    ]
    env = in_environment(package)
    run = subprocess.run(command, env=env, cwd=source, capture_output=True, text=True, timeout=120, check=False)
    assert "1 passed" in run.stdout, run.stdout[-3000:]
