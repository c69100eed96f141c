"""From the arguments of a command to modules."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mrqc.cli import library
from mrqc.cli.console import read_stdin, write_diagnostic
from mrqc.errors import InputError, UsageError

if TYPE_CHECKING:
    from mrqc.cli.progress import Activity
    from mrqc.ir.graph import Module
    from mrqc.passes import Instruments, PassRecord

STDIN = "-"


@dataclass
class PassLog:
    """The records of the passes that have run, each shown as it comes."""

    shown: Activity
    records: list[PassRecord] = field(default_factory=lambda: list["PassRecord"]())

    def add(self, record: PassRecord) -> None:
        """Keep a record."""
        self.records.append(record)
        self.shown.describe(f"{record.name}: done in {record.seconds:.1f} s")


def load_model(model: str, shown: Activity, batch: int | None = None) -> Module:
    """Return the module of a file, or of the text on stdin for ``-``.

    Raises:
        InputError: There is no such file, it is no model that mrqc can read, or its batch is fixed.
        UsageError: ``batch`` is not possible.
    """
    if model == STDIN:
        if batch is not None:
            raise UsageError("--batch: the text on stdin has its batch already")
        return library.compiler.parse(read_stdin(), "<stdin>")
    path = Path(model)
    if path.is_dir():
        raise InputError(f"{path}: is a directory, not a model file")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    shown.describe(f"reading {path.name}")
    return library.compiler.load(path, batch=batch)


def lowered_model(module: Module, target: str | None, shown: Activity) -> Module:
    """Return ``module`` lowered to ``target``; a module that is lowered already needs no target.

    Raises:
        UsageError: A target is needed and absent.
        MrqcError: As :func:`mrqc.compiler.lower`.
    """
    if target is None:
        if not library.bit_check.is_integer_module(module):
            raise UsageError(f"--target is needed: module {module.name} has not been lowered")
        return module
    shown.describe(f"lowering to {target}")
    return library.compiler.lower(module, target, instruments=instruments(PassLog(shown)))


def instruments(log: PassLog, print_after: str | None = None, check_bits: bool = False) -> Instruments:
    """Return what the options ask to observe; printed modules go to stderr."""
    names = () if print_after is None else (name.strip() for name in print_after.split(","))
    return library.passes.Instruments(
        print_after=frozenset(names), check_bits=check_bits, emit=write_diagnostic, on_pass=log.add
    )
