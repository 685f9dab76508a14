"""The dependencies in pyproject.toml, and the oldest supported versions, which `make test-oldest` installs."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "pyproject.toml").read_text().splitlines()
PYPROJECT = tomllib.loads("\n".join(LINES))
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
DEPENDENCIES = [
    Requirement(each) for group in (PYPROJECT["project"]["dependencies"], *EXTRAS.values()) for each in group
]
EACH = pytest.mark.parametrize("dependency", DEPENDENCIES, ids=lambda each: each.name)


def floor(dependency: Requirement) -> Version:
    """Return the oldest version that is supported."""
    (oldest,) = (each for each in dependency.specifier if each.operator == ">=")
    return Version(oldest.version)


def pins() -> dict[str, SpecifierSet]:
    """Return the version specifiers in oldest.txt by package."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / "oldest.txt").read_text().splitlines())
    requirements = [Requirement(line) for line in lines if line]
    return {canonicalize_name(each.name): each.specifier for each in requirements}


@EACH
def test_oldest_txt_pins_the_oldest_supported_version_of_a_dependency(dependency: Requirement) -> None:
    (pin,) = pins()[canonicalize_name(dependency.name)]
    assert pin.operator == "=="
    assert Version(pin.version) == floor(dependency)


def test_oldest_txt_pins_only_dependencies_and_sqlalchemy() -> None:
    others = pins().keys() - {canonicalize_name(each.name) for each in DEPENDENCIES}
    assert {name: pins()[name] for name in others} == {"sqlalchemy": SpecifierSet("<2.1")}


@EACH
def test_the_installed_version_is_supported_and_the_oldest_one_in_make_test_oldest(dependency: Requirement) -> None:
    installed = version(dependency.name)
    assert dependency.specifier.contains(installed)
    if Path(sys.prefix).name == ".venv-oldest":
        assert Version(installed) == floor(dependency)


def test_every_dependency_has_a_comment() -> None:
    groups = [PYPROJECT["project"]["dependencies"], *EXTRAS.values(), *PYPROJECT["dependency-groups"].values()]
    found = [
        (before.strip(), line.strip().strip('",'))
        for before, line in pairwise(LINES)
        if re.fullmatch(r'    "[A-Za-z0-9._-]+(\[.*\])?[<>=!~].*",', line)
    ]
    assert [each for _, each in found] == [each for group in groups for each in group]
    assert [each for before, each in found if not re.match(r"# \S", before)] == []
