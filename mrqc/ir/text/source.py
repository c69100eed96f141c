"""The text being read: lines, columns, and messages that point into it."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

from mrqc.errors import Diagnostic, InputError

LINE_WIDTH = 100
"""How much of a source line a message shows."""
SHOWN_PROBLEMS = 10
"""How many findings one error spells out; the rest are counted."""
FOUND_WIDTH = 40
"""How much of a culprit the sentence itself repeats."""


class Spanned(Protocol):
    """Anything that knows which characters of the text it is."""

    @property
    def start(self) -> int:
        """Offset of the first character."""
        ...

    @property
    def end(self) -> int:
        """Offset after the last character."""
        ...


class TextError(Exception):
    """One finding at one place; never leaves the reader, which collects them into one ``InputError``."""

    def __init__(self, message: str, culprit: Spanned, hint: str = "") -> None:
        """Keep the sentence, the characters at fault and what would help."""
        super().__init__(message)
        self.message = message
        self.start = culprit.start
        self.end = culprit.end
        self.hint = hint


class SourceText:
    """A text and the name of the file that it came from."""

    def __init__(self, text: str, file: str) -> None:
        """Take the whole text."""
        self.text = text
        self.file = file

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def line(self, offset: int) -> int:
        """Return the number of the line of a character, from 1."""
        return bisect_right(self._line_starts, offset)

    def found(self, culprit: Spanned) -> str:
        """Return the culprit's text for a sentence: on one line, cut where it is long."""
        beginning = self.text[culprit.start : min(culprit.end, culprit.start + LINE_WIDTH)]
        words = _visible(" ".join(beginning.split()) or beginning)
        return words if len(words) <= FOUND_WIDTH else f"{words[: FOUND_WIDTH - 1]}…"

    def error(self, problems: Sequence[TextError]) -> InputError:
        """Return one error with every problem: its place, sentence, source line and carets."""
        ordered = sorted(problems, key=lambda problem: problem.start)
        diagnostics = [self._diagnostic(problem) for problem in ordered]
        blocks = [
            f"{diagnostic}\n{self._excerpt(problem)}"
            for diagnostic, problem in zip(diagnostics[:SHOWN_PROBLEMS], ordered, strict=False)
        ]
        if len(ordered) > SHOWN_PROBLEMS:
            blocks.append(f"and {len(ordered) - SHOWN_PROBLEMS} more problems")
        return InputError("\n".join(blocks), diagnostics)

    def _diagnostic(self, problem: TextError) -> Diagnostic:
        line = self.line(problem.start)
        column = problem.start - self._line_starts[line - 1] + 1
        return Diagnostic(problem.message, f"{self.file}:{line}:{column}", problem.hint)

    def _excerpt(self, problem: TextError) -> str:
        begin = self._line_starts[self.line(problem.start) - 1]
        newline = self.text.find("\n", begin)
        line = self.text[begin : newline if newline >= 0 else None].rstrip()
        first = problem.start - begin
        last = max(first + 1, min(problem.end - begin, len(line)))
        left = 0 if len(line) <= LINE_WIDTH else max(0, first - LINE_WIDTH // 2)
        right = min(left + LINE_WIDTH, max(len(line), last))
        shown = "".join(["…" if left else "", _visible(line[left:right]), "…" if right < len(line) else ""])
        indent = _width(line[left:first]) + (1 if left else 0)
        return f"{shown}\n{' ' * indent}{'^' * max(1, _width(line[first : min(last, right)]))}"


def _visible(text: str) -> str:
    """Return ``text`` without what would move the cursor of a terminal."""
    plain = text.replace("\t", " ")
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in plain)


def _width(text: str) -> int:
    """Return how many columns a terminal gives to ``text``."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
