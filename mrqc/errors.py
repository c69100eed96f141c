"""The errors that mrqc raises; the class says who must act, the exit code is part of the contract."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding of a checker: what is wrong, where, and what would help.

    Attributes:
        message: A full sentence without the final stop.
        location: The user's own name for the place (node, layer, ``file:line:column``), or empty.
        hint: What is possible instead, or empty.
    """

    message: str
    location: str = ""
    hint: str = ""

    def __str__(self) -> str:
        """Return one line: place, sentence and hint."""
        text = f"{self.location}: {self.message}" if self.location else self.message
        return f"{text} ({self.hint})" if self.hint else text


class MrqcError(Exception):
    """Base of every error that mrqc raises on purpose."""

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, diagnostics: Iterable[Diagnostic] = ()) -> None:
        """Keep the findings beside the text, so that tools need not parse it."""
        super().__init__(message)
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)

    @classmethod
    def collect(cls, subject: str, diagnostics: Iterable[Diagnostic]) -> Self:
        """Return one error that lists every finding, one a line, under ``subject``."""
        found = tuple(diagnostics)
        if len(found) == 1:
            return cls(f"{subject}: {found[0]}", found)
        lines = "".join(f"\n  {diagnostic}" for diagnostic in found)
        return cls(f"{subject}: {len(found)} problems{lines}", found)


class InputError(MrqcError):
    """The user's model, data or target file cannot be used as it is."""

    exit_code: ClassVar[int] = 1


class UsageError(MrqcError):
    """The call itself is wrong: an option, a pass name, a combination of flags."""

    exit_code: ClassVar[int] = 2


class TargetError(MrqcError):
    """The model is fine, but the chosen target cannot run it."""

    exit_code: ClassVar[int] = 3


class PassError(MrqcError):
    """A pass broke its promise: a bug of mrqc or of the pass's author.

    Attributes:
        pass_name: The pass at fault.
        reproducer: Path of the written ``.mrq`` file that re-runs it, if one could be written.
    """

    exit_code: ClassVar[int] = 70

    def __init__(
        self,
        message: str,
        diagnostics: Iterable[Diagnostic] = (),
        *,
        pass_name: str = "",
        reproducer: str | None = None,
    ) -> None:
        """Keep the name of the pass and the path of its reproducer."""
        super().__init__(message, diagnostics)
        self.pass_name = pass_name
        self.reproducer = reproducer


class RefusalError(Exception):
    """What a rule raises where a target or a format cannot express a statement; the driver collects them.

    It never reaches a user: the driver makes a :class:`Diagnostic` of each and raises a :class:`TargetError` with all.

    Attributes:
        reason: A sentence.
        hint: What would fix it.
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        """Keep both parts."""
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
