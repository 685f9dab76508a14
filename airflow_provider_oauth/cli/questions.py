"""Questions to the user in the terminal."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import TYPE_CHECKING

from airflow_provider_oauth.cli.output import print_line

if TYPE_CHECKING:
    from collections.abc import Mapping

CANCELED = "Canceled. Nothing was changed."


def has_terminal() -> bool:
    """Return whether the user can answer questions."""
    return sys.stdin is not None and sys.stdin.isatty()  # it is None if it was closed


def ask(question: str, canceled: str = CANCELED) -> str:
    """Ask the user for a line of text. Ctrl-C or end of file cancels the command.

    :param question: the text before the cursor
    :param canceled: what to print if the user cancels
    """
    try:
        return input(question)
    except (EOFError, KeyboardInterrupt):
        raise SystemExit(canceled) from None


def ask_secret(question: str) -> str:
    """Ask the user for a line of text that the terminal does not show. Ctrl-C or end of file cancels the command.

    :param question: the text before the cursor
    """
    try:
        return getpass(question)
    except (EOFError, KeyboardInterrupt):
        raise SystemExit(CANCELED) from None


def choose(question: str, choices: Mapping[str, str], default: str | None = None, canceled: str = CANCELED) -> str:
    """Let the user choose by number.

    :param question: the text above the choices
    :param choices: the choices, each with its description
    :param default: the choice if the user enters nothing; None if the user must choose
    :param canceled: what to print if the user cancels
    :return: the choice
    """
    names = list(choices)
    print_line(question)
    for number, name in enumerate(names, 1):
        print_line(f"  {number}. {choices[name]}")
    hint = f" [{names.index(default) + 1}]" if default is not None else ""
    while True:
        text = ask(f"Number{hint}: ", canceled).strip()
        if not text and default is not None:
            return default
        if text in choices:
            return text
        if text.isdecimal() and 1 <= int(text) <= len(names):
            return names[int(text) - 1]
        print_line(f"Enter a number from 1 to {len(names)}.")
