"""The built package: the sdist, and the wheel installed in a new environment."""

from __future__ import annotations

import email
import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked_sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)], cwd=ROOT, check=True)
    (path,) = folder.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = (each for each in folder.iterdir() if each.is_dir())
    return unpacked


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    command = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*command, "--constraint", str(ROOT / "constraints.txt"), str(wheel)], check=True, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def airflow(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[dict[str, Any]]]:
    home = tmp_path_factory.mktemp("home")

    def run(*arguments: str) -> list[dict[str, Any]]:
        command = [str(environment / "bin/airflow"), *arguments, "--output", "json"]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
        done = subprocess.run(
            command, cwd=home, env={**inherited, "AIRFLOW_HOME": str(home)}, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout[done.stdout.index("[") :])

    return run


def test_the_wheel_contains_only_the_package_and_its_license(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"airflow_provider_oauth"}
    assert "airflow_provider_oauth/py.typed" in names
    catalogue = {path.name for path in (ROOT / "airflow_provider_oauth/presets/catalogue").iterdir()}
    assert {name.rpartition("/")[2] for name in names if "/presets/catalogue/" in name} == catalogue
    licenses = {name.rpartition("/")[2] for name in names if "/licenses/" in name}
    assert licenses == {"LICENSE", "NOTICE"}


def test_the_long_description_has_only_absolute_links(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    links = re.findall(r"\]\(([^)]+)\)", metadata.get_payload())
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_the_sdist_contains_everything_that_contributors_need(unpacked_sdist: Path) -> None:
    for folder in (
        ".ci",
        ".github",
        "airflow_provider_oauth",
        "benchmarks",
        "docs",
        "example_dags",
        "sandbox",
        "tests",
        "tools",
    ):
        in_repository = {
            path.relative_to(ROOT)
            for path in (ROOT / folder).rglob("*.*")
            if path.suffix in (".py", ".md", ".toml", ".yml")
        }
        in_repository = {path for path in in_repository if "node_modules" not in path.parts}
        in_sdist = {path.relative_to(unpacked_sdist) for path in (unpacked_sdist / folder).rglob("*.*")}
        assert in_repository <= in_sdist, folder
    files = (
        *("Makefile", "pyproject.toml", "constraints.txt", "oldest.txt", ".gitignore", ".pre-commit-config.yaml"),
        *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md", "LICENSE", "NOTICE"),
        *(
            ".ci/run",
            ".ci/gate.py",
            ".ci/demo",
            "noxfile.py",
            "tests/servers/oidc_provider/package.json",
            "tests/servers/oidc_provider/server.mjs",
        ),
        "airflow_provider_oauth/py.typed",
    )
    assert [name for name in files if not (unpacked_sdist / name).is_file()] == []


def test_the_sdist_contains_no_environments_and_no_results_of_runs(unpacked_sdist: Path) -> None:
    ignored = {".venv", ".venv-oldest", ".nox", ".demo", ".try", ".artifacts", ".git", "node_modules", "__pycache__"}
    found = {part for path in unpacked_sdist.rglob("*") for part in path.relative_to(unpacked_sdist).parts}
    assert found & ignored == set()


@pytest.mark.parametrize("target", ["test", "lint", "demo", "try", "bench", "docs"])
def test_make_works_in_an_unpacked_sdist(unpacked_sdist: Path, target: str) -> None:
    result = subprocess.run(["make", "-n", target], cwd=unpacked_sdist, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "pip install" in result.stdout


def test_airflow_lists_the_installed_wheel_among_its_providers(airflow: Callable[..., list[dict[str, Any]]]) -> None:
    listed = {row["package_name"]: row for row in airflow("providers", "list")}
    assert listed["airflow-provider-oauth"]["version"] == "0.1.0"


def test_airflow_lists_the_connection_type_and_the_hook_of_the_installed_wheel(
    airflow: Callable[..., list[dict[str, Any]]],
) -> None:
    hooks = {row["connection_type"]: row for row in airflow("providers", "hooks")}
    assert hooks["oauth"]["class"] == "airflow_provider_oauth.hooks.oauth.OAuthHook"
    assert hooks["oauth"]["hook_name"] == "OAuth 2.0 API"
    assert hooks["oauth"]["conn_id_attribute_name"] == "oauth_conn_id"
