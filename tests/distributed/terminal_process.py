"""A command that runs in a terminal."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: Seconds to wait for a question. A command of Airflow needs a few seconds to start.
TIMEOUT = 120.0


class TerminalProcess:
    """A command whose input and output are a terminal, as a context manager.

    :param command: the program and its arguments
    :param env: the environment
    :param cwd: the working directory
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
        self._terminal, process_end = os.openpty()
        self._process = subprocess.Popen(  # noqa: S603
            command, env=env, cwd=cwd, stdin=process_end, stdout=process_end, stderr=process_end,
            start_new_session=True,
        )  # fmt: skip
        os.close(process_end)
        #: Everything that the terminal has shown.
        self.shown = ""
        self._position = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._terminal)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until the terminal shows new text that matches.

        :param pattern: a regular expression; ^ and $ are the ends of lines
        """
        while not (found := re.compile(pattern, re.MULTILINE).search(self.shown, self._position)):
            assert self._read(), f"no {pattern!r} in:\n{self.shown}"
        self._position = found.end()
        return found

    def answer(self, question: str, text: str) -> None:
        """Wait for a question, and enter a line.

        :param question: a regular expression
        :param text: the line
        """
        self.wait_for(question)
        os.write(self._terminal, f"{text}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.killpg(self._process.pid, signal.SIGINT)

    def exit_code(self) -> int:
        """Wait for the end of the command."""
        while self._read():
            pass
        return self._process.wait(TIMEOUT)

    def _read(self) -> bool:
        """Read what the terminal shows. Return whether there may be more."""
        if not select.select([self._terminal], [], [], TIMEOUT)[0]:
            return False
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # the command has ended
            return False
        self.shown += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)
