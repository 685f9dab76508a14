"""Runs the unit and integration tests on every supported version of Python that is installed: ``make test-pythons``."""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.needs_version = ">=2025.2"
nox.options.download_python = "never"

PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))

# With pyenv, `python3.12` is on PATH but fails unless that version is selected. So select all of them.
_pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
_installed = [path.name for version in PYTHONS for path in sorted(_pyenv.glob(f"{version}.*")) if path.is_dir()]
if _installed:
    os.environ["PYENV_VERSION"] = ":".join(_installed)


@nox.session(python=PYTHONS, venv_backend="venv", reuse_venv=True)
def tests(session: nox.Session) -> None:
    """Run the unit and integration tests with the newest supported version of every dependency."""
    session.install("--quiet", "--upgrade", "pip>=25.1")
    session.install(
        "--quiet", "--constraint", "constraints.txt", "--editable", ".", "--group", "dev", "--group", "storages"
    )
    paths = session.posargs or ["tests/unit", "tests/integration"]
    session.run("python", "-m", "pytest", "--numprocesses", "auto", *paths)
