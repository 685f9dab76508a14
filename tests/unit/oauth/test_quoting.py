from __future__ import annotations

import pytest

from airflow_provider_oauth.oauth.quoting import LONGEST_QUOTE, scrub, visible_text

SECRET = "fake/se+cret é"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        "fake%2Fse%2Bcret%20%C3%A9",
        "fake%2Fse%2Bcret+%C3%A9",
        "fake%2fse%2bcret%20%c3%a9",
        "fake/se%2Bcret%20%C3%A9",
        "ZmFrZS9zZStjcmV0IMOp",
    ],
)
def test_every_spelling_of_a_secret_is_replaced(form: str) -> None:
    assert scrub(f"You sent <{form}>.", [SECRET]) == "You sent <***>."


def test_every_occurrence_of_every_secret_is_replaced() -> None:
    assert scrub("one two one", ["one", "two"]) == "*** *** ***"


@pytest.mark.parametrize("secrets", [["fake-1", "fake-12345"], ["fake-12345", "fake-1"]])
def test_a_secret_that_begins_with_another_is_replaced_as_a_whole(secrets: list[str]) -> None:
    assert scrub("fake-12345", secrets) == "***"


def test_base64_of_a_secret_is_replaced_with_its_padding() -> None:
    assert "ZmFrZQ" not in scrub("ZmFrZQ==", ["fake"])


def test_a_text_without_secrets_stays_as_it_is() -> None:
    assert scrub("Invalid client “Ünï”: try again.", ["fake"]) == "Invalid client “Ünï”: try again."


@pytest.mark.parametrize("text", ["", " ", "\r\n\t", "\x00"])
def test_nothing_but_blanks_is_nothing(text: str) -> None:
    assert scrub(text, []) == ""


def test_control_characters_become_one_blank() -> None:
    assert scrub("a\r\nb\x1b[0m\u202ec\u2028d\x85e\ue000f", []) == "a b [0m c d e f"


@pytest.mark.parametrize("length", [LONGEST_QUOTE - 1, LONGEST_QUOTE])
def test_a_text_of_bearable_length_is_quoted_whole(length: int) -> None:
    assert scrub("x" * length, []) == "x" * length


def test_a_longer_text_is_cut() -> None:
    assert scrub("x" * (LONGEST_QUOTE + 1), []) == "x" * (LONGEST_QUOTE - 1) + "…"


def test_a_secret_is_replaced_before_the_text_is_cut() -> None:
    assert scrub("x" * (LONGEST_QUOTE - 3) + "fake-secret", ["fake-secret"]) == "x" * (LONGEST_QUOTE - 3) + "***"


def test_a_secret_on_two_lines_is_replaced() -> None:
    assert scrub("-----BEGIN\nfake\nEND-----", ["BEGIN\nfake\nEND"]) == "-----***-----"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>one</p><p>two</p>", "one two"),
        ("<SCRIPT type=x>alert('<b>')</SCRIPT >rest", "rest"),
        ("<style>\np{}\n</style><title>Title</title>", "Title"),
        ("<a\nhref='x'>link</a>", "link"),
        ("no markup: 1 > 0", "no markup: 1 > 0"),
        ("<scripture>kept</scripture>", "kept"),
    ],
)
def test_what_a_person_reads_of_a_page(markup: str, text: str) -> None:
    assert " ".join(visible_text(markup).split()) == text
