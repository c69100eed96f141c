"""From a lowered module to the files that ``mrqc lower`` writes."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from mrqc.cli import library
from mrqc.errors import UsageError

if TYPE_CHECKING:
    from mrqc.ir.graph import Module


class Emitter(StrEnum):
    """What a lowered module can be written as."""

    C = "c"
    ONNX = "onnx"
    TFLITE = "tflite"
    MRQ = "mrq"


class OnnxForm(StrEnum):
    """How ONNX writes quantized operators."""

    QDQ = "qdq"
    QOPERATOR = "qoperator"


MODEL_FORMATS = (Emitter.ONNX, Emitter.TFLITE)
"""What holds a module over real numbers, in whichever scheme it is."""

_BY_SUFFIX = {f".{emitter}": emitter for emitter in Emitter}


def choose_emitter(output: Path, chosen: Emitter | None) -> Emitter:
    """Return the emitter that ``--emit`` names, or else the one that the suffix of the output stands for.

    Raises:
        UsageError: Neither names one, or the C source would have the name of its header.
    """
    emitter = chosen or _BY_SUFFIX.get(output.suffix.lower())
    if emitter is None:
        raise UsageError(
            f"-o {output}: no output format ends in {output.suffix!r} (possible: {', '.join(_BY_SUFFIX)}; or choose "
            "with --emit)"
        )
    if emitter is Emitter.C and output.suffix.lower() in (".h", ".hpp"):
        raise UsageError(f"-o {output}: name the C source; its header is written beside it")
    return emitter


def kernel_name(output: Path) -> str:
    """Return the stem of a file as a C identifier: the prefix of all names in the emitted C."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", output.stem)
    return name if re.match(r"[A-Za-z]", name) else f"kernel_{name.lstrip('_')}"


def output_paths(output: Path, emitter: Emitter) -> tuple[Path, ...]:
    """Return the files that will be written; the header is named as the source includes it."""
    if emitter is Emitter.C:
        return (output, output.parent / f"{kernel_name(output)}.h")
    return (output,)


def emitted_files(
    lowered: Module, output: Path, emitter: Emitter, cpu: str, form: OnnxForm
) -> dict[Path, str] | dict[Path, bytes]:
    """Return the content of every output file."""
    if emitter is Emitter.ONNX:
        return {output: library.compiler.emit_onnx(lowered, form.value)}
    if emitter is Emitter.TFLITE:
        return {output: library.compiler.emit_tflite(lowered)}
    if emitter is Emitter.MRQ:
        return {output: library.compiler.print_module(lowered)}
    name = kernel_name(output)
    sources = library.compiler.emit_c(lowered, name, cpu)
    source, header = output_paths(output, emitter)
    return {source: sources[f"{name}.c"], header: sources[f"{name}.h"]}
