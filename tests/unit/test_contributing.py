"""The pages and settings for contributors match the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "airflow_provider_oauth"
PAGES = ("CONTRIBUTING.md", "RELEASING.md", "SECURITY.md", "docs/architecture.md")
#: A file or folder between backticks.
PATH = re.compile(r"`([\w./-]*[\w-](?:\.(?:py|md|toml|txt)|/))`")
#: Names of files without a folder, which look like names in the code.
FILES = {path.name for path in ROOT.iterdir()}
#: Examples in the instructions that do not exist in the code.
EXAMPLES = {"vX.Y.Z", "jwt_bearer", "private_key_jwt", "test_an_expired_code_is_refused"}
#: The vendor in the instructions, which does not exist.
MADE_UP = "acme"


def load(path: str) -> Any:
    """Return the content of a YAML file."""
    return yaml.safe_load((ROOT / path).read_text())


def exists(path: str) -> bool:
    """Return whether a path exists, relative to the repository, to the package, or with only its name given."""
    return (ROOT / path).exists() or (PACKAGE / path).exists() or any(PACKAGE.rglob(path))


@pytest.mark.parametrize("page", PAGES)
def test_every_path_on_the_page_exists(page: str) -> None:
    paths = [path for path in PATH.findall((ROOT / page).read_text()) if MADE_UP not in path]
    assert [path for path in paths if not exists(path)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_name_on_the_page_is_in_the_code(page: str) -> None:
    sources = [path.read_text() for path in [*PACKAGE.rglob("*.py"), *(ROOT / "sandbox").rglob("*.py")]]
    sources += [path.read_text() for path in (ROOT / "tests").rglob("*.py")]
    in_code = {word for source in sources for word in re.findall(r"\w+", source)}
    names = set(re.findall(r"`([A-Za-z_][\w.]*)`", (ROOT / page).read_text())) - FILES - EXAMPLES
    assert {name for name in names if not in_code.issuperset(name.split("."))} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_on_the_page_leads_to_a_file(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text())
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_make_command_on_the_page_exists(page: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"[`\n]make ([\w-]+)", (ROOT / page).read_text())) <= targets


def test_pre_commit_runs_the_commands_of_make_lint() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    (repository,) = load(".pre-commit-config.yaml")["repos"]
    assert [hook["entry"] for hook in repository["hooks"]] == commands
    assert not any(hook["pass_filenames"] for hook in repository["hooks"])


def test_the_workflow_runs_the_gate_within_an_hour_without_secrets() -> None:
    text = (ROOT / ".github/workflows/gate.yml").read_text()
    (job,) = load(".github/workflows/gate.yml")["jobs"].values()
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    assert job["timeout-minutes"] <= 60
    assert "${{ secrets" not in text


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda path: path.stem
)
def test_an_issue_template_has_a_name_a_description_and_fields_with_labels(path: Path) -> None:
    template = load(str(path.relative_to(ROOT)))
    assert template["name"]
    assert template["description"]
    fields = [field for field in template["body"] if field["type"] != "markdown"]
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)
