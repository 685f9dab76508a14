"""The package as its users get it: a wheel, installed in an environment that has never seen the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    command = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*command, "--constraint", str(ROOT / "constraints.txt"), str(wheel)], check=True, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def airflow(environment, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")

    def run(*arguments):
        command = [str(environment / "bin/airflow"), *arguments, "--output", "json"]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
        done = subprocess.run(
            command, cwd=home, env={**inherited, "AIRFLOW_HOME": str(home)}, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout[done.stdout.index("[") :])

    return run


def test_the_wheel_holds_the_package_its_licence_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"airflow_provider_oauth"}
    assert "airflow_provider_oauth/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_installed_wheel_is_listed_among_the_providers(airflow):
    listed = {row["package_name"]: row for row in airflow("providers", "list")}
    assert listed["airflow-provider-oauth"]["version"] == "0.1.0"


def test_the_installed_wheel_brings_its_connection_type_and_hook(airflow):
    hooks = {row["connection_type"]: row for row in airflow("providers", "hooks")}
    assert hooks["oauth"]["class"] == "airflow_provider_oauth.hooks.oauth.OAuthHook"
    assert hooks["oauth"]["hook_name"] == "OAuth 2.0 API"
    assert hooks["oauth"]["conn_id_attribute_name"] == "oauth_conn_id"
