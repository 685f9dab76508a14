"""Settings of Sphinx for ``make docs``. The build needs no network."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
# Airflow writes its configuration to its home when it is first imported.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-home-docs-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

from airflow_provider_oauth import __version__  # noqa: E402 - needs the path

project = "airflow-provider-oauth"
author = "The authors of airflow-provider-oauth"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"{project} {release}"
html_show_copyright = False
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_class_signature = "mixed"

nitpicky = True
# Types that have no page here: other packages', and private ones in base classes.
nitpick_ignore_regex = [
    (r"py:.*", r"(airflow|aiohttp|requests|urllib3|collections|datetime|typing|builtins)\..*"),
]

#: A Markdown link from a page to a file of the repository that is no page.
REPOSITORY_LINK = re.compile(r"\]\((?:\.\./)+((?!\.\./)[^)]+)\)")


def repository() -> str:
    """Return the public address of the repository: the last substitution of the README for the package index."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    substitutions = pyproject["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    return str(substitutions[-1]["replacement"])


def link_to_repository(app: Any, docname: str, source: list[str]) -> None:
    """Turn links to files outside of this folder, which work in the repository, into links to its public address."""
    inside = {path.name for path in Path(__file__).parent.iterdir()}

    def absolute(match: re.Match[str]) -> str:
        return match[0] if match[1].split("/")[0] in inside else f"]({repository()}/blob/HEAD/{match[1]})"

    source[0] = REPOSITORY_LINK.sub(absolute, source[0])


def setup(app: Any) -> None:
    """Register the handler of links."""
    app.connect("source-read", link_to_repository)
