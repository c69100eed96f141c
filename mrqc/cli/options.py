"""The arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from mrqc.errors import UsageError


class Engine(StrEnum):
    """What runs a lowered module."""

    SIMULATOR = "simulator"
    C = "c"


class Recipe(StrEnum):
    """How much work re-quantization may take."""

    FAST = "fast"
    DEFAULT = "default"
    BEST = "best"


class InputOutput(StrEnum):
    """In whose quantization a lowered module takes its inputs and gives its outputs."""

    TARGET = "target"
    ORIGINAL = "original"


Model: TypeAlias = Annotated[
    str, typer.Argument(metavar="MODEL", help="An .onnx, .tflite or .mrq file; - reads .mrq text from stdin.")
]
Batch: TypeAlias = Annotated[
    int | None,
    typer.Option("--batch", metavar="N", min=1, help="The leading extent where the file leaves it open; 1."),
]
Target: TypeAlias = Annotated[
    str | None, typer.Option("--target", metavar="NAME|FILE.toml", help="What to lower to; see mrqc targets.")
]
TextOutput: TypeAlias = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE.mrq", help="Where to write; stdout by default.")
]
Pipeline: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--passes", metavar="PIPELINE", help="name,name{option=value},… or a named pipeline; see mrqc passes."
    ),
]
PrintAfter: TypeAlias = Annotated[
    str | None,
    typer.Option("--print-after", metavar="PASS|all", help="Print the module after these passes to stderr."),
]
CheckBits: TypeAlias = Annotated[
    bool,
    typer.Option("--check-bits", help="Check, on random inputs, that exact passes change no bit."),
]
EngineChoice: TypeAlias = Annotated[
    Engine, typer.Option("--engine", help="What runs the lowered module: numpy, or the emitted C, compiled.")
]
Cpu: TypeAlias = Annotated[
    str, typer.Option("--cpu", metavar="NAME", help="Which processor the C is written for: generic.")
]
Compiler: TypeAlias = Annotated[
    str | None, typer.Option("--compiler", metavar="NAME", help="The C compiler, such as gcc or clang.")
]
Mean: TypeAlias = Annotated[
    str | None,
    typer.Option("--mean", metavar="X[,X…]", help="Subtracted from 8-bit pixels, per channel if several."),
]
Std: TypeAlias = Annotated[
    str | None, typer.Option("--std", metavar="X[,X…]", help="8-bit pixels are divided by it, after --mean.")
]
Resize: TypeAlias = Annotated[bool, typer.Option("--resize", help="Give images of a folder the size that MODEL takes.")]
Calib: TypeAlias = Annotated[
    Path | None,
    typer.Option("--calib", metavar="PATH", help="Unlabelled samples for re-quantization; synthetic by default."),
]
CalibLimit: TypeAlias = Annotated[
    int | None,
    typer.Option("--calib-limit", min=1, metavar="N", help="Take N samples, evenly over --calib; 128 by default."),
]
RecipeChoice: TypeAlias = Annotated[
    Recipe | None, typer.Option("--recipe", help="How much work re-quantization may take; the target's own by default.")
]
LabelOffset: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--label-offset", metavar="N", help="Added to labels; by default 1 for 1001 classes, labels to 999, else 0."
    ),
]
Limit: TypeAlias = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="Use only the first N samples.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def check_cpu(cpu: str) -> None:
    """Refuse what no C is written for, before any work is done.

    Raises:
        UsageError: The processor is not ``generic``.
    """
    if cpu != "generic":
        raise UsageError(f"--cpu {cpu}: not available in this release (possible: generic)")
