"""The compiler as a library: load, lower, simulate, emit."""

from __future__ import annotations

import importlib.metadata
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from mrqc.backends.c import emit_c as emit_c_sources
from mrqc.backends.onnx import Form, export_onnx
from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.backends.tflite import export_tflite
from mrqc.calibration.samples import Calibration, calibration_samples
from mrqc.calibration.teacher import Progress
from mrqc.errors import InputError, UsageError
from mrqc.frontends import onnx, tflite
from mrqc.ir.graph import Module
from mrqc.ir.text import parse_module, print_module
from mrqc.ir.types import FLOAT
from mrqc.ops import OPS_BY_MNEMONIC, nn
from mrqc.passes import (
    AlignScales,
    BalanceRounding,
    Instruments,
    LowerToInt,
    Pass,
    Recipe,
    Symmetrize,
    parse_pipeline,
    pipeline_for,
    run_pipeline,
)
from mrqc.targets import Target, load_target

VERSION = importlib.metadata.version("mrqc")

InputOutput = Literal["target", "original"]
"""Whether a lowered module takes and gives codes of the target's scheme or of the original model's."""


def load(path: str | Path, *, batch: int | None = None, instruments: Instruments | None = None) -> Module:
    """Return the module of a model file: quantized ops over codes, NHWC inside.

    Args:
        path: ``.onnx`` (QDQ, QOperator or float), ``.tflite`` or ``.mrq``.
        batch: What the leading extent becomes where the file leaves it open; 1 if None.
        instruments: Observes the passes of the import.

    Raises:
        InputError: The file cannot be read, is none of these, or holds what mrqc does not support; every unsupported
            node is named. Or ``batch`` is given for a file whose batch is fixed.
        UsageError: ``batch`` is not positive.
    """
    if batch is not None and batch < 1:
        raise UsageError(f"the batch must be at least 1, found {batch}")
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: no model format ends in {path.suffix!r} (possible: {', '.join(_READERS)})")
    return reader(path, batch, instruments)


def parse(text: str, file: str = "<string>") -> Module:
    """Return the module that a text is; ``parse(str(module)) == module``.

    Raises:
        InputError: With file, line, column and the line itself.
    """
    return parse_module(text, OPS_BY_MNEMONIC, file)


def lower(
    module: Module,
    target: str | Path | Target,
    calibration: Calibration = None,
    *,
    io: InputOutput = "target",
    passes: str | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    instruments: Instruments | None = None,
) -> Module:
    """Return an ``int`` module that the target can run, proved by ``legalize``.

    Args:
        module: A quantized ``nn`` module.
        target: Name, path of a TOML file, or a loaded target.
        calibration: Unlabelled samples of the module's inputs for the passes that look at data: a path as
            ``mrqc lower --calib`` takes it, arrays, N first, by input name or one for one input, a data set, or
            :class:`mrqc.calibration.CalibrationSamples`. None stands for synthetic ones. Without such a pass they
            are checked and have no influence.
        io: The scheme of inputs and outputs.
        passes: A pipeline in place of the target's own.
        recipe: Which of the target's own pipelines: ``fast``, ``default`` or ``best``.
        progress: Called with what a long pass is doing, how much of it is done, and how much there is.
        instruments: What else to observe.

    Raises:
        TargetError: The target cannot run the module; every reason at once.
        InputError: The module is not quantized throughout, or the samples do not fit it.
        UsageError: ``passes`` does not parse, there is no such recipe, or both are given.
    """
    loaded = load_target(target)
    _require_codes(module)
    pipeline = _pipeline(loaded, io, passes, recipe)
    return _run(module, pipeline, calibration, progress, instruments)


def requantize(
    module: Module,
    target: str | Path | Target,
    calibration: Calibration = None,
    *,
    io: InputOutput = "target",
    passes: str | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    instruments: Instruments | None = None,
) -> Module:
    """Return the ``nn`` module in the target's scheme, for a model file or to be run over the reals.

    It is what :func:`lower` makes integers of, but for ``balance-rounding``: that takes back what only the target's own
    rounding adds to sums, and whatever runs a model file rounds ties both ways. A runtime such as ``tflite`` takes
    every module in the scheme that it has; it is returned as it is.

    Args:
        module: A quantized ``nn`` module.
        target: Name, path of a TOML file, or a loaded target.
        calibration: Samples, as for :func:`lower`.
        io: The scheme of inputs and outputs.
        passes: A pipeline in place of the target's own.
        recipe: Which of the target's own pipelines, as for :func:`lower`.
        progress: Called with what a long pass is doing, how much of it is done, and how much there is.
        instruments: What else to observe.

    Raises:
        TargetError: The target's scheme cannot hold the module; every reason at once.
        InputError: The module is not quantized throughout, or the samples do not fit it.
        UsageError: ``passes`` does not parse, there is no such recipe, or both are given.
    """
    loaded = load_target(target)
    pipeline = _pipeline(loaded, io, passes, recipe)
    if passes is None and loaded.is_runtime:
        calibration_samples(calibration, module)
        return module
    _require_codes(module)
    if passes is None:
        scheme = itertools.takewhile(lambda pass_: not isinstance(pass_, LowerToInt), pipeline)
        pipeline = [pass_ for pass_ in scheme if not isinstance(pass_, BalanceRounding)]
    return _run(module, pipeline, calibration, progress, instruments)


def run_passes(
    module: Module, passes: str, target: Target | None = None, instruments: Instruments | None = None
) -> Module:
    """Return the module after a pipeline, given by name or pass by pass.

    Raises:
        UsageError: The pipeline does not parse.
        MrqcError: Whatever a pass raises.
    """
    return run_pipeline(module, parse_pipeline(passes, target), instruments)


def simulate(module: Module) -> Program:
    """Return a bit-exact program of an ``int`` module: ``program(x)`` or ``program({"input": x})``.

    Raises:
        UsageError: The module has not been lowered.
    """
    _require_integers(module)
    return Program(module)


def reference(module: Module) -> ReferenceProgram:
    """Return a program that runs an ``nn`` module over the reals, rounding once after each op."""
    return ReferenceProgram(module)


def emit_c(module: Module, name: str = "kernel", cpu: str = "generic") -> dict[str, str]:
    """Return C source and header of an ``int`` module, by file name.

    Args:
        module: A lowered module.
        name: A C identifier: prefix of every exported name.
        cpu: ``generic``: portable C99.

    Raises:
        UsageError: The module has not been lowered, or name or cpu are not possible.
    """
    _require_integers(module)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageError(f"the name of a kernel must be a C identifier, found {name!r}")
    if cpu != "generic":
        raise UsageError(f"no code is generated for cpu {cpu!r} yet (possible: generic)")
    return emit_c_sources(module, name, cpu)


def emit_onnx(module: Module, form: str = "qdq") -> bytes:
    """Return an ``nn`` module as an ONNX file, every scale, zero point and code as it is.

    Args:
        module: An imported module, or one from :func:`requantize`.
        form: ``qdq``, or ``qoperator`` for operators over codes where there are any.

    Raises:
        TargetError: ONNX has no operator for a statement; all of them are named.
        UsageError: There is no such form.
    """
    if form not in set(Form):
        raise UsageError(f"no form of ONNX is called {form!r} (possible: {', '.join(Form)})")
    return export_onnx(module, Form(form))


def emit_tflite(module: Module) -> bytes:
    """Return an ``nn`` module as a TFLite file, every scale, zero point and code as it is.

    Args:
        module: An imported module, or one from :func:`requantize`.

    Raises:
        TargetError: TFLite has no operator for a statement; all of them are named.
    """
    # What TFLite has no operator for but can say with others.
    return export_tflite(run_passes(module, "fold-batch-normalization"), f"mrqc {VERSION}")


def _pipeline(target: Target, io: InputOutput, passes: str | None, recipe: str | None) -> list[Pass]:
    """Return the passes that lower to a target.

    Raises:
        UsageError: ``passes`` does not parse, there is no such recipe, or both are given.
    """
    if passes is not None and recipe is not None:
        raise UsageError("passes and a recipe are two ways to say the same: give one of them")
    text = pipeline_for(target, recipe) if passes is None else passes
    return [_with_io(pass_, io) for pass_ in parse_pipeline(text, target)]


def _with_io(pass_: Pass, io: InputOutput) -> Pass:
    return replace(pass_, io=io) if isinstance(pass_, Symmetrize | AlignScales) and io != "target" else pass_


def _run(
    module: Module,
    pipeline: list[Pass],
    calibration: Calibration,
    progress: Progress | None,
    instruments: Instruments | None,
) -> Module:
    samples = calibration_samples(calibration, module)
    if progress is not None:
        instruments = replace(instruments or Instruments(), on_progress=progress)
    return run_pipeline(module, pipeline, instruments, samples).with_facts(mrqc=VERSION)


def _require_codes(module: Module) -> None:
    """Make sure that a module is no float model; one that is quantized in part is looked at statement by statement.

    Raises:
        InputError: Nothing that it computes is quantized.
    """
    constants = {s.result for s in module.graph.statements if isinstance(s.op, nn.Constant)}
    elements = [value.type.element for value in module.graph.values() if value not in constants]
    if any(element == FLOAT for element in elements) and not any(element.is_quantized for element in elements):
        raise InputError(
            f"module {module.name} is a float model, nothing in it is quantized; every target runs quantized models "
            "(quantize it first, for example with TensorFlow Lite's converter or ONNX Runtime's quantizer)"
        )


def _require_integers(module: Module) -> None:
    foreign = next((s for s in module.graph.statements if not s.op.mnemonic.startswith("int.")), None)
    if foreign is not None:
        raise UsageError(f"module {module.name} is not lowered: it contains {foreign.op.mnemonic} (call lower first)")


def _load_onnx(path: Path, batch: int | None, instruments: Instruments | None) -> Module:
    return run_passes(onnx.import_onnx(path, batch), "import", None, instruments)


def _load_text(path: Path, batch: int | None, instruments: Instruments | None) -> Module:
    del instruments
    if batch is not None:
        raise InputError(f"{path}: the batch cannot become {batch}: a module in text has its batch already")
    return parse(read_text(path), str(path))


def _load_tflite(path: Path, batch: int | None, instruments: Instruments | None) -> Module:
    # What stands between DEQUANTIZE and QUANTIZE in a TFLite file is computed in floats; folding would change that.
    return run_passes(tflite.import_tflite(path, batch), "canonicalize", None, instruments)


def read_text(path: Path) -> str:
    """Return the content of a text file.

    Raises:
        InputError: It cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text: byte {error.object[error.start]:#04x} at {error.start}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


_READERS: dict[str, Callable[[Path, int | None, Instruments | None], Module]] = {
    ".onnx": _load_onnx,
    ".mrq": _load_text,
    ".tflite": _load_tflite,
}

__all__ = [
    "VERSION",
    "InputOutput",
    "emit_c",
    "emit_onnx",
    "emit_tflite",
    "load",
    "lower",
    "parse",
    "print_module",
    "read_text",
    "reference",
    "requantize",
    "run_passes",
    "simulate",
]
