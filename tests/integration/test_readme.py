"""The README is short, and its links also work on the package index."""

from __future__ import annotations

import re
import tomllib

from tests.documents import README, ROOT, blocks

TEXT = README.read_text()
HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]


def long_description() -> str:
    """Return what the package index shows: the README, after hatch-fancy-pypi-readme's substitutions."""
    text = TEXT
    for each in HOOK["substitutions"]:
        text = re.sub(each["pattern"], each["replacement"], text)
    return text


def test_the_readme_is_short_and_has_a_picture_a_connection_and_a_dag() -> None:
    assert len(TEXT.splitlines()) <= 130
    assert "![" in TEXT
    assert len(blocks("json", README)) + len(re.findall("AIRFLOW_CONN_", TEXT)) >= 1
    assert [block.dag_id for block in blocks("python", README)] == ["customers"]


def test_all_links_within_the_repository_are_relative() -> None:
    assert HOOK["substitutions"][-1]["replacement"] not in TEXT


def test_on_the_package_index_every_link_is_absolute() -> None:
    links = re.findall(r"\]\(([^)]+)\)", long_description())
    assert links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_on_the_package_index_links_to_files_have_the_configured_address() -> None:
    address = HOOK["substitutions"][-1]["replacement"]
    relative = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if not link.startswith(("https://", "#"))]
    assert len(relative) == long_description().count(f"]({address}/")
    assert "REPOSITORY" not in long_description()
