"""Running passes: verification between them, timing, printing, bit checks and reproducers."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mrqc.calibration.samples import CalibrationSamples
from mrqc.calibration.teacher import Teacher
from mrqc.errors import MrqcError, PassError, TargetError, UsageError
from mrqc.ir.graph import Module
from mrqc.ir.text import print_module
from mrqc.ir.verify import verify
from mrqc.passes.bit_check import first_difference
from mrqc.passes.definition import CalibratedPass, Pass
from mrqc.passes.pipeline import format_pass
from mrqc.passes.strip_edges import StripEdges


@dataclass(frozen=True, slots=True)
class PassRecord:
    """What the manager measured of one pass.

    Attributes:
        name: The pass with its options, as a pipeline spells it.
        seconds: Time of the pass itself, without verification and checks.
        statements_before: Length of the module before it.
        statements_after: Length of the module after it.
    """

    name: str
    seconds: float
    statements_before: int
    statements_after: int


def _discard(*_: object) -> None:
    """Ignore what a caller did not ask for."""


@dataclass(frozen=True, slots=True)
class Instruments:
    """What to observe while passes run.

    Attributes:
        print_after: Names of passes after which the module is printed; ``all`` stands for every pass.
        elide_constants: Whether those prints leave out the content of large constants.
        check_bits: Simulate the module before and after each exact pass, on random inputs.
        emit: Receives the printed modules.
        on_pass: Called with the record of each finished pass.
        on_module: Called with each finished pass and the module behind it.
        on_progress: Called with what a long pass is doing, how much of it is done, and how much there is.
        reproducer_directory: Where a reproducer goes if a pass fails; the folder for temporary files by default.
    """

    print_after: frozenset[str] = frozenset()
    elide_constants: bool = True
    check_bits: bool = False
    emit: Callable[[str], None] = _discard
    on_pass: Callable[[PassRecord], None] = _discard
    on_module: Callable[[Pass, Module], None] = _discard
    on_progress: Callable[[str, int, int], None] = _discard
    reproducer_directory: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))


def run_pipeline(
    module: Module,
    passes: Sequence[Pass],
    instruments: Instruments | None = None,
    samples: CalibrationSamples | None = None,
) -> Module:
    """Return ``module`` after ``passes``, verified before the first and after each.

    The module before the first lossy pass teaches the calibrated ones, from codes to codes: an input that it quantizes
    has the scale and the values that this gives it.

    Args:
        module: A well-formed module.
        passes: What to run, in order.
        instruments: What to observe.
        samples: Of the inputs of ``module``, for its teacher; synthetic ones if None.

    Raises:
        UsageError: ``print_after`` names a pass that is not in the pipeline.
        TargetError: A pass found that the target cannot run the module.
        InputError: The module is not of the kind that a pass works on.
        PassError: A pass broke the module or, where bits are checked, changed a result that it promised to keep; a
            reproducer has been written.
    """
    instruments = instruments or Instruments()
    unknown = instruments.print_after - {pass_.name for pass_ in passes} - {"all"}
    if unknown:
        raise UsageError(
            f"--print-after: the pipeline has no pass {', '.join(sorted(unknown))} "
            f"(it has {', '.join(pass_.name for pass_ in passes)})"
        )
    findings = verify(module)
    if findings:
        raise PassError.collect(f"module {module.name} is not well formed", findings)
    teacher: Teacher | None = None
    for pass_ in passes:
        if teacher is None and (pass_.exactness == "lossy" or isinstance(pass_, CalibratedPass)):
            teacher = Teacher(StripEdges()(module), samples, progress=instruments.on_progress)
        module = _run_one(module, pass_, teacher, instruments)
    return module


def _run_one(module: Module, pass_: Pass, teacher: Teacher | None, instruments: Instruments) -> Module:
    start = time.perf_counter()
    try:
        if isinstance(pass_, CalibratedPass):
            assert teacher is not None
            result = pass_.run(module, teacher)
        else:
            result = pass_(module)
    except MrqcError:
        raise
    except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise _fault(module, pass_, f"{type(error).__name__}: {error}", instruments) from error
    seconds = time.perf_counter() - start
    findings = verify(result)
    if findings:
        raise _fault(module, pass_, "; ".join(str(finding) for finding in findings[:5]), instruments)
    if instruments.check_bits and pass_.exactness == "exact":
        difference = first_difference(module, result)
        if difference is not None:
            raise _fault(module, pass_, f"an exact pass changed results: {difference}", instruments)
    before, after = len(module.graph.statements), len(result.graph.statements)
    instruments.on_pass(PassRecord(format_pass(pass_), seconds, before, after))
    instruments.on_module(pass_, result)
    if instruments.print_after & {pass_.name, "all"}:
        text = print_module(result, elide_constants=instruments.elide_constants)
        instruments.emit(f"// after {format_pass(pass_)}\n{text}")
    return result


def _fault(module: Module, pass_: Pass, reason: str, instruments: Instruments) -> PassError:
    """Return the error of a broken pass, with the module that it broke on beside it."""
    target = next((value.name for value in vars(pass_).values() if type(value).__name__ == "Target"), None)
    option = f" --target {target}" if target else ""
    command = f"mrqc opt FILE --passes '{format_pass(pass_)}'{option}"
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", f"mrqc-{module.name}-{pass_.name}")
    try:
        descriptor, path = tempfile.mkstemp(prefix=f"{stem}-", suffix=".mrq", dir=instruments.reproducer_directory)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"// {command}\n// {reason.splitlines()[0]}\n{print_module(module)}")
    except OSError as error:
        return PassError(
            f"pass {pass_.name}: {reason} (no reproducer: {error.strerror})",
            pass_name=pass_.name,
            reproducer=None,
        )
    message = f"pass {pass_.name}: {reason}\n  reproducer: {path}\n  re-run: {command.replace('FILE', path)}"
    return PassError(message, pass_name=pass_.name, reproducer=path)


__all__ = ["Instruments", "PassRecord", "TargetError", "run_pipeline"]
