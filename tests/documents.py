"""The pages of the documentation, and the code blocks in them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A code block of a page.

    :param page: path of the page
    :param language: the word after the fence
    :param text: the code, without indentation that all lines share
    """

    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        """Return the page and the beginning of the block, as a test's ID."""
        return f"{self.page.relative_to(ROOT)}: {' '.join(self.text.split())[:40]}"

    @property
    def dag_id(self) -> str | None:
        """The name of the DAG in the block; None if there is none."""
        found = re.search(r"^@dag\(.*?^def (\w+)\(", self.text, re.MULTILINE | re.DOTALL)
        return found[1] if found else None


def blocks(language: str, *pages: Path) -> list[Block]:
    """Return the code blocks of a language.

    :param language: the word after the fence
    :param pages: paths; none: all pages
    """
    found = []
    for page in pages or PAGES:
        pattern = rf"^( *)```{language}\n(.*?)^\1```$"
        for indent, text in re.findall(pattern, page.read_text(), re.MULTILINE | re.DOTALL):
            found.append(Block(page, language, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)))
    return found


def connection_below(heading: str, page: Path) -> dict[str, Any]:
    """Return the connection in the first JSON block below a heading.

    :param heading: the heading, without its number signs
    :param page: path of the page
    """
    text = page.read_text()
    below = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    found: dict[str, Any] = json.loads(re.search(r"^```json\n(.*?)^```$", below, re.MULTILINE | re.DOTALL)[1])
    return found
