"""Settings of Sphinx for ``make docs``. The build needs no network."""

from __future__ import annotations

import os
import re
import sys
import tempfile
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

#: A Markdown link from a page to a file of the repository that is not a page.
REPOSITORY_LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+)((?!\.\./)[^)]+)\)")
#: The page with the example DAGs, and their folder.
EXAMPLES = "example-dags"
EXAMPLES_FOLDER = ROOT / "example_dags"


def link_files(app: Any, docname: str, source: list[str]) -> None:
    """Turn links to files of the repository into links that work in the site.

    Links to example DAGs lead to their sources at the end of the page about them, links to other files to downloads.
    """
    to_docs = "../" * docname.count("/")
    inside = {path.name for path in Path(__file__).parent.iterdir()}

    def link(match: re.Match[str]) -> str:
        text, up, path = match.groups()
        if re.split("[/#]", path)[0] in inside:
            return match[0]
        if path.split("/")[0] == EXAMPLES_FOLDER.name:
            return f"[{text}]({to_docs}{EXAMPLES}.md#{path.rpartition('/')[2].replace('.', '')})"
        return f"{{download}}`{text} <{up}{path}>`"

    source[0] = REPOSITORY_LINK.sub(link, source[0])
    if docname == EXAMPLES:
        source[0] += "".join(
            f"\n## {path.name}\n\n```{{literalinclude}} ../{EXAMPLES_FOLDER.name}/{path.name}\n:language: python\n```\n"
            for path in sorted(EXAMPLES_FOLDER.glob("*.py"))
        )


def setup(app: Any) -> None:
    """Register the handler of links."""
    app.connect("source-read", link_files)
