"""The virtual environments of the peers, in a folder that is kept between runs. ``make clean`` deletes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".artifacts" / "bench"
REQUIREMENTS: dict[str, list[str]] = tomllib.loads(Path(__file__).with_name("peers.toml").read_text())
#: The environments that are used only with ``PEERS=all``, because they are large or slow.
OPTIONAL = ("airbyte-cdk", "singer-sdk")


def with_all_peers() -> bool:
    """Return whether the user requested all peers."""
    return os.environ.get("PEERS") == "all"


def version(name: str) -> str:
    """Return the name of an environment's first package, and its version."""
    package, _, number = REQUIREMENTS[name][0].partition("==")
    return f"{package.partition('[')[0]} {number}"


def python(name: str) -> str:
    """Return the path of an environment's interpreter."""
    return str(FOLDER / name / "bin" / "python")


def install() -> None:
    """Create the environments that are missing, or whose requirements have changed.

    :raises RuntimeError: if pip fails
    """
    for name, requirements in REQUIREMENTS.items():
        if name not in OPTIONAL or with_all_peers():
            _install(name, requirements)


def _install(name: str, requirements: list[str]) -> None:
    done = FOLDER / name / ".done"
    text = "\n".join([sys.version, *requirements])
    if done.is_file() and done.read_text() == text:
        return
    print(f"installing {', '.join(requirements)} …", file=sys.stderr)
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(FOLDER / name)], check=True)
    pip = [python(name), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    run = subprocess.run(pip, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"pip could not install {', '.join(requirements)}:\n{run.stderr}")
    done.write_text(text)
