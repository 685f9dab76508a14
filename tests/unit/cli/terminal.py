"""A terminal with a user who answers questions."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Terminal:
    """A terminal with a user.

    :param answers: the lines that the user enters; an exception is raised instead of a line
    :param shown: the questions with answers that the terminal shows
    :param hidden: the questions with answers that the terminal does not show
    """

    answers: list[str | type[BaseException]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    def answer(self) -> str:
        assert self.answers, f"no answer to {(self.shown + self.hidden)[-1:]}"
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            return answer
        raise answer
