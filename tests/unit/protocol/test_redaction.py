from __future__ import annotations

import base64
import html
import json
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest

from airflow_provider_oauth.protocol.redaction import MAX_QUOTE, MAX_TEXT, PREFIX_LENGTH, redact, redact_url

if TYPE_CHECKING:
    from collections.abc import Callable


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
def test_every_representation_of_a_secret_is_replaced(form: str) -> None:
    assert redact(f"You sent <{form}>.", [SECRET]) == "You sent <***>."


def test_every_occurrence_of_every_secret_is_replaced() -> None:
    assert redact("one two one", ["one", "two"]) == "*** *** ***"


@pytest.mark.parametrize("secrets", [["fake-1", "fake-12345"], ["fake-12345", "fake-1"]])
def test_a_secret_that_starts_with_another_is_replaced_completely(secrets: list[str]) -> None:
    assert redact("fake-12345", secrets) == "***"


def test_base64_of_a_secret_is_replaced_with_its_padding() -> None:
    assert "ZmFrZQ" not in redact("ZmFrZQ==", ["fake"])


def test_a_text_without_secrets_is_unchanged() -> None:
    assert redact("Invalid client “Ünï”: try again.", ["fake"]) == "Invalid client “Ünï”: try again."


@pytest.mark.parametrize("text", ["", " ", "\r\n\t", "\x00"])
def test_a_text_of_whitespace_becomes_empty(text: str) -> None:
    assert redact(text, []) == ""


def test_control_characters_become_one_space() -> None:
    assert redact("a\r\nb\x1b[0m\u202ec\u2028d\x85e\ue000f", []) == "a b [0m c d e f"


@pytest.mark.parametrize("length", [MAX_QUOTE - 1, MAX_QUOTE])
def test_a_text_up_to_the_maximum_is_quoted_completely(length: int) -> None:
    assert redact("x" * length, []) == "x" * length


def test_a_longer_text_is_shortened() -> None:
    assert redact("x" * (MAX_QUOTE + 1), []) == "x" * (MAX_QUOTE - 1) + "…"


def test_a_secret_is_replaced_before_the_text_is_shortened() -> None:
    assert redact("x" * (MAX_QUOTE - 3) + "fake-secret", ["fake-secret"]) == "x" * (MAX_QUOTE - 3) + "***"


def test_a_secret_on_two_lines_is_replaced() -> None:
    assert redact("-----BEGIN\nfake\nEND-----", ["BEGIN\nfake\nEND"]) == "-----***-----"


@pytest.mark.parametrize(
    ("blank", "count"),
    [*((blank, count) for blank in " \n\u2028" for count in (8180, 1_000_000)), ("\x00", 8180)],
)
def test_a_secret_after_any_amount_of_whitespace_is_replaced(blank: str, count: int) -> None:
    secret = "fake-secret-0123456789-abcdefghij"
    assert redact(blank * count + secret, [secret]) == "***"


@pytest.mark.parametrize("length", range(MAX_QUOTE - 15, MAX_QUOTE + 5))
def test_no_part_of_a_secret_is_quoted_wherever_the_text_is_shortened(length: int) -> None:
    text = redact("x" * length + "fake-secret and more text", ["fake-secret"])
    assert "f" not in text
    assert len(text) <= MAX_QUOTE


@pytest.mark.parametrize("secret", ["correct horse", "correct  horse", "correct\nhorse", " correct \t horse "])
@pytest.mark.parametrize("blanks", [" ", "  ", "\n", "\r\n  ", "\xa0"])
def test_a_secret_with_other_whitespace_is_replaced(secret: str, blanks: str) -> None:
    assert redact(f"Wrong password:{blanks}correct{blanks}horse.", [secret]) == "Wrong password: ***."


def test_a_secret_with_escaped_and_plain_whitespace_is_replaced() -> None:
    assert redact(r"You sent one\ntwo  three.", ["one\ntwo  three"]) == "You sent ***."
    assert redact("You sent one\n%20two.", ["one\n two"]) == "You sent ***."
    assert redact("You sent one\\\ntwo.", ["one\ntwo"]) == "You sent ***."


@pytest.mark.parametrize(("secret", "text"), [("straße-9", "STRASSE-9"), ("ßtraße", "SSTRASSE"), ("İz-9", "i̇z-9")])
def test_a_secret_whose_length_depends_on_its_case_is_replaced(secret: str, text: str) -> None:
    assert redact(f"You sent {text}.", [secret]) == "You sent ***."


@pytest.mark.parametrize(
    ("text", "secret"), [("\x00", "fake"), ("\x01", "\x01" * 10 + "fake"), ("fake", "fake"), ("\\", "\\" * 15)]
)
def test_the_work_for_a_long_text_is_limited(text: str, secret: str) -> None:
    calls = [calls_of(text * (count // len(text)), [secret]) for count in (2 * MAX_TEXT, 16 * MAX_TEXT)]
    assert calls[1] <= calls[0]


@pytest.mark.parametrize("before", range(MAX_TEXT - 30, MAX_TEXT + 30))
def test_no_part_of_a_secret_is_quoted_wherever_reading_ends(before: int) -> None:
    assert "f" not in redact("\x00" * before + "fake-secret-0123456789", ["fake-secret-0123456789"])


def test_a_text_that_is_not_read_completely_ends_with_an_ellipsis() -> None:
    assert redact("a" + "\x00" * MAX_TEXT + "b", []) == "a…"


def test_a_secret_that_the_server_shortened_is_replaced() -> None:
    secret = "fake-0123456789-abcdefghij"
    for length in range(PREFIX_LENGTH, len(secret)):
        assert redact(f"Unknown token {secret[:length]}… Try again.", [secret]) == "Unknown token ***… Try again."


def test_short_prefixes_of_a_secret_are_kept() -> None:
    assert redact("Wrong password", ["password-fake-1234567"]) == "Wrong password"


ESCAPED = {
    "URL": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "URL in Latin-1": lambda text: "".join(f"%{ord(char):X}" if ord(char) in range(16, 256) else char for char in text),
    "JavaScript": lambda text: "".join(rf"\x{ord(char):02x}" if ord(char) < 256 else char for char in text),
    "HTML": html.escape,
    "decimal references": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "padded references": lambda text: "".join(f"&#000{ord(char)};" for char in text),
    "hexadecimal references": lambda text: "".join(f"&#X{ord(char):X};" for char in text),
    "named references": lambda text: text.replace("/", "&sol;").replace("'", "&apos;").replace("+", "&plus;"),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with a slash": lambda text: json.dumps(text, ensure_ascii=False)[1:-1].replace("/", "\\/"),
    "JSON, all escaped": lambda text: "".join(f"\\u{unit}" for unit in text.encode("utf-16-be").hex(" ", 2).split()),
    "upper case": str.upper,
    "lower case": str.lower,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "URL-safe base64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 without padding": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("escape", ESCAPED.values(), ids=ESCAPED)
@pytest.mark.parametrize("around", ["", "%", "\\", "&#", "&", "+", "\\u"])
@pytest.mark.parametrize(
    "secret", [SECRET, "fake&<\"'>%25+/\\n", "2F-fake%3D", "u0041-fake\\\\x", "fake\nin two\tlines", "Fäke-😀-Ü"]
)
def test_every_escaped_representation_of_a_secret_is_replaced(
    escape: Callable[[str], str], around: str, secret: str
) -> None:
    shown = redact(f"<{around}{escape(secret)}{around}>", [secret])
    assert "***" in shown
    assert "fake" not in shown.lower()
    assert len(shown) <= len(f"<{around}***{around}>")


def test_a_secret_with_an_unpaired_surrogate_is_replaced() -> None:
    assert redact("You sent fake-\ud800-secret.", ["fake-\ud800-secret"]) == "You sent ***."


def calls_of(text: str, secrets: list[str]) -> int:
    """Count the calls of Python functions and generators while ``text`` is redacted."""
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        redact(text, secrets)
    finally:
        sys.setprofile(before)
    return calls


def test_a_long_secret_that_is_not_in_the_text_costs_little() -> None:
    assert calls_of("The refresh token is invalid.", ["fake-secret-" * 5000]) < 1000


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (lambda size: f"You sent {'fake' * size}.", lambda size: "fake" * size),
        (lambda size: quote("f/ke" * size, safe=""), lambda size: "f/ke" * size),
        (lambda size: ("a" * (4 * size - 1) + "b") * 4, lambda size: "a" * 4 * size),
        (lambda size: "\\" * 8 * size, lambda size: "\\" * 4 * size),
        (lambda size: "\x00" * 4 * size + "fake" * size, lambda size: "fake" * size),
    ],
    ids=["echoed", "escaped", "almost", "ambiguous", "after blanks"],
)
def test_the_work_grows_linearly_with_text_and_secret(text: Callable[[int], str], secret: Callable[[int], str]) -> None:
    small, large = (calls_of(text(size), [secret(size)]) for size in (250, 2000))
    assert large <= 8.5 * small


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/a@b/c",
        "https://api.example.com/a@b/c?key=fake@x/y#z",
        "https://api.example.com/a@b/c#access_token=fake?x",
        "https://user:fake@api.example.com/a@b/c?x",
        "https://user:fa@ke@api.example.com/a@b/c",
        "https://fake@api.example.com/a@b/c",
    ],
)
def test_a_url_is_shown_without_user_query_and_fragment(url: str) -> None:
    assert redact_url(url) == "https://api.example.com/a@b/c"
