"""``mrqc run``: a module on arrays from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mrqc.cli import library, options
from mrqc.cli.console import write_json, write_result
from mrqc.cli.modules import Images, calibration_of, load_model, lowered_model
from mrqc.errors import UsageError
from mrqc.files import check_destination, write_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrqc.ir.graph import Module


def run(
    model: options.Model,
    inputs: Annotated[
        Path,
        typer.Option("--input", metavar="FILE.npy|npz", help="Codes of MODEL's inputs, or real values; N first."),
    ],
    target: options.Target = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE.npz", help="Where to write the arrays; .npy for one."),
    ] = None,
    engine: options.EngineChoice = options.Engine.SIMULATOR,
    trace: Annotated[bool, typer.Option("--trace", help="Also give every value between.")] = False,
    calib: options.Calib = None,
    calib_limit: options.CalibLimit = None,
    mean: options.Mean = None,
    std: options.Std = None,
    resize: options.Resize = False,
    recipe: options.RecipeChoice = None,
    batch: options.Batch = None,
    json: options.Json = False,
) -> None:
    """Run MODEL on arrays from a file.

    It runs as it is, over the reals, or lowered to a target, bit for bit. An integer array of the input's
    dtype holds codes of MODEL's own input, a float array real values.
    """
    if engine is options.Engine.C and trace:
        raise UsageError("--trace: the C gives no values between; use --engine simulator")
    calibration = calibration_of(target, calib, calib_limit, recipe, Images.of_calibration(calib, mean, std, resize))
    if output is not None:
        check_destination(output)
    with library.progress.activity("starting") as shown:
        original = load_model(model, shown, batch)
        if output is not None:
            library.tensors.check_array_file(output, 2 if trace else len(original.graph.outputs))
        codes, reals = library.tensors.read_inputs(inputs, original)
        if target is None and engine is options.Engine.SIMULATOR:
            module, arrays = original, codes
        else:
            module = lowered_model(original, target, shown, calibration)
            arrays = codes if module is original else reals
        shown.describe("running")
        results = _results(module, arrays, engine, trace)
    types = library.tensors.types_by_name(module)
    if output is not None:
        write_files({output: library.tensors.array_file(output, results)})
    if json:
        write_json({"outputs": library.tensors.arrays_as_json(results, types)})
    elif output is None:
        write_result(library.report.format_table(list(library.tensors.describe_arrays(results, types))))


def _results(
    module: Module, arrays: dict[str, NDArray[Any]], engine: options.Engine, trace: bool
) -> dict[str, NDArray[Any]]:
    if engine is options.Engine.C:
        with library.c.CompiledKernel(module) as kernel:
            return kernel.run(arrays)
    program = library.report.own_program(module)
    outputs = program.run(arrays)
    if not trace:
        return outputs
    # The model's own names of its outputs come first; a value between may have the same name and gives way.
    return outputs | {name: array for name, array in program.trace(arrays).items() if name not in outputs}
