"""The format of file tests: modules in text, with directives in comments that say what must come of them.

A file holds one or more cases, separated by ``// -----``. Directives of a case:

``// run: <input> = [..]``      codes (or reals) for one input; any multiple of its leading extent, flat or nested
``// expect: <output> = [..]``  what the run above gives; a list may go on in the next comment lines
``// pass: <pipeline>``         passes that the module goes through first; ``// target: <name>`` for those that need one
``// expect-text:``             the printed module, without locations, in the comment lines that follow
``// error: <line>:<column> <message>``  one finding of the parser, one such line for each; without a place after a pass
"""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEPARATOR = "// -----"
KEYWORDS = ("run", "expect", "pass", "target", "expect-text", "error")
LISTS = ("run", "expect")
LINE_WIDTH = 100

_DIRECTIVE = re.compile(r"//\s*([a-z][a-z-]*):(?:\s+(.*))?")
_ASSIGNMENT = re.compile(r"(.+?) = (\[.*\])", re.DOTALL)


@dataclass(frozen=True)
class Directive:
    """One instruction, and the lines of the file that it takes: ``lines[first:last]``."""

    keyword: str
    text: str
    first: int
    last: int

    @property
    def assignment(self) -> tuple[str, Any]:
        """Name and numbers of a run or expect directive."""
        match = _ASSIGNMENT.fullmatch(self.text)
        assert match is not None, f"line {self.first + 1}: the form is {self.keyword}: <name> = [..]"
        return match[1], ast.literal_eval(match[2])


@dataclass
class Run:
    """Inputs and what is expected of them."""

    inputs: list[Directive] = field(default_factory=list)
    expected: list[Directive] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """One module of a file: ``lines[first:last]``."""

    path: Path
    lines: tuple[str, ...]
    first: int
    last: int
    directives: tuple[Directive, ...]

    @property
    def source(self) -> str:
        """The text of the case, at its place in the file."""
        return "\n" * self.first + "\n".join(self.lines[self.first : self.last]) + "\n"

    @property
    def label(self) -> str:
        """Name of the module, or the line where the case begins."""
        match = re.search(r"^module @(\w+)", self.source, re.MULTILINE)
        return match[1] if match else f"line_{self.first + 1}"

    def all(self, keyword: str) -> list[Directive]:
        """Return the directives of one kind, in order."""
        return [directive for directive in self.directives if directive.keyword == keyword]

    def one(self, keyword: str) -> Directive | None:
        """Return the only directive of its kind."""
        found = self.all(keyword)
        assert len(found) <= 1, f"{self.path.name}:{found[1].first + 1}: a second {keyword} directive"
        return found[0] if found else None

    @property
    def runs(self) -> list[Run]:
        """The runs in order; a run begins with the first input after an expectation."""
        runs: list[Run] = []
        for directive in self.directives:
            if directive.keyword == "run":
                if not runs or runs[-1].expected:
                    runs.append(Run())
                runs[-1].inputs.append(directive)
            elif directive.keyword == "expect":
                assert runs, f"{self.path.name}:{directive.first + 1}: an expectation without a run"
                runs[-1].expected.append(directive)
        return runs


def read_cases(path: Path, content: str | None = None) -> list[Case]:
    """Return the cases of a file.

    Raises:
        AssertionError: A comment looks like a directive and is none, or a case checks nothing.
    """
    lines = tuple((path.read_text(encoding="utf-8") if content is None else content).splitlines())
    cuts = [-1, *(number for number, line in enumerate(lines) if line.strip() == SEPARATOR), len(lines)]
    cases: list[Case] = []
    for before, after in itertools.pairwise(cuts):
        case = Case(path, lines, before + 1, after, ())
        case = replace(case, directives=tuple(_directives(case)))
        kinds = {directive.keyword for directive in case.directives}
        assert kinds & {"run", "expect-text", "error"}, f"{path.name}:{case.first + 1}: the case checks nothing"
        cases.append(case)
    return cases


def _directives(case: Case) -> Iterator[Directive]:
    number = case.first
    while number < case.last:
        match = _DIRECTIVE.match(case.lines[number])
        if match is None:
            number += 1
            continue
        keyword, text, first = match[1], match[2] or "", number
        assert keyword in KEYWORDS, f"{case.path.name}:{number + 1}: no directive is called {keyword!r}"
        number += 1
        following = list(_comments(case, number))
        if keyword in LISTS:
            while text.count("[") > text.count("]") and following:
                text += " " + following.pop(0).strip()
                number += 1
        elif keyword == "expect-text":
            text = "".join(f"{line}\n" for line in following)
            number += len(following)
        yield Directive(keyword, text, first, number)


def _comments(case: Case, number: int) -> Iterator[str]:
    """Yield the contents of the comment lines from ``number`` on."""
    while number < case.last and case.lines[number].startswith("//"):
        yield case.lines[number][2:].removeprefix(" ")
        number += 1


def array_of(numbers: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the numbers of a directive as batches of ``shape``; none may change in ``dtype``."""
    exact = np.array(numbers)
    array = exact.astype(dtype)
    assert (array == exact).all() or dtype == np.float32, f"{numbers} do not fit {dtype}"
    return array.reshape((-1, *shape[1:])) if shape else array.reshape(())


def format_assignment(keyword: str, name: str, array: NDArray[Any]) -> list[str]:
    """Return the lines of a run or expect directive, wrapped."""
    numbers = [str(number) for number in array.ravel()]
    text = f"// {keyword}: {name} = [{', '.join(numbers)}]"
    return textwrap.wrap(text, LINE_WIDTH, subsequent_indent="//   ", break_long_words=False)


def format_text(text: str) -> list[str]:
    """Return the lines of an expect-text directive."""
    return ["// expect-text:", *(f"// {line}".rstrip() for line in text.splitlines())]


def with_lines(case: Case, edits: Sequence[tuple[Directive, Sequence[str]]]) -> str:
    """Return the content of the file with directives replaced by other lines."""
    lines = list(case.lines)
    for directive, replacement in sorted(edits, key=lambda edit: edit[0].first, reverse=True):
        lines[directive.first : directive.last] = replacement
    return "".join(f"{line}\n" for line in lines)
