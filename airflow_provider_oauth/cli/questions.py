"""Questions to the user in the terminal."""

from __future__ import annotations

CANCELED = "Canceled. Nothing was changed."


def ask(question: str) -> str:
    """Ask the user for a line of text. Ctrl-C or end of file cancels the command.

    :param question: the text before the cursor
    """
    try:
        return input(question)
    except (EOFError, KeyboardInterrupt):
        raise SystemExit(CANCELED) from None
