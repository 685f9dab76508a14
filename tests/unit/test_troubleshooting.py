"""The page about errors has an entry for each error text, and none for a text that no longer exists."""

from __future__ import annotations

import re

import pytest

from tests.documents import DOCS
from tests.unit.error_texts import PACKAGE, ErrorText, error_texts

PAGE = (DOCS / "troubleshooting.md").read_text()
TEXTS = error_texts()


def entries() -> list[str]:
    """Return the parts of error texts that the page explains: first lines of list items, and first cells of tables."""
    terms = re.findall(r"^- (`.*`)\\\n  ", PAGE, re.MULTILINE)
    cells = re.findall(r"^  \| (`[^`]* [^`]*`) \|", PAGE, re.MULTILINE)
    return [part for line in terms + cells for part in re.findall(r"`([^`]+)`", line)]


def explains(entry: str, text: ErrorText) -> bool:
    return entry in text.text


def test_there_are_texts_and_entries() -> None:
    assert len(TEXTS) > 150
    assert len(entries()) > 100


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.place)
def test_every_error_text_has_an_entry(text: ErrorText) -> None:
    assert any(explains(entry, text) for entry in entries()), f"docs/troubleshooting.md lacks an entry for: {text.text}"


@pytest.mark.parametrize("entry", entries())
def test_every_entry_is_part_of_an_error_text(entry: str) -> None:
    assert any(explains(entry, text) for text in TEXTS), "no error text has these words (any more)"


@pytest.mark.parametrize(
    "words", re.findall(r"^\| `([^`]+)` \|", PAGE.partition("## Results of Test")[2], re.MULTILINE)
)
def test_every_result_of_a_test_that_the_page_explains_exists(words: str) -> None:
    source = "".join(path.read_text() for path in (PACKAGE / "management").glob("*.py"))
    text = re.sub(r'"\n\s*f?"', "", re.sub(r"\{[^}\n]*\}", "…", source))  # adjacent parts of a text joined
    assert words in text


def test_no_entry_is_there_twice() -> None:
    assert len(entries()) == len(set(entries()))
