"""``mrqc verify``: the emitted C against the simulator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrqc.cli import library, options
from mrqc.cli.console import complain, write_json, write_result
from mrqc.cli.exit_codes import BUG
from mrqc.cli.modules import Images, calibration_of, load_model, lowered_model


def verify(
    model: options.Model,
    target: options.Target = None,
    samples: Annotated[int, typer.Option("--samples", min=1, metavar="N", help="How many inputs to try.")] = 16,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="PATH", help="Take inputs from here; by default extreme and random codes."),
    ] = None,
    mean: options.Mean = None,
    std: options.Std = None,
    resize: options.Resize = False,
    sanitize: Annotated[
        bool, typer.Option("--sanitize", help="Compile with the address and undefined-behaviour sanitizers.")
    ] = False,
    compiler: options.Compiler = None,
    cpu: options.Cpu = "generic",
    calib: options.Calib = None,
    calib_limit: options.CalibLimit = None,
    recipe: options.RecipeChoice = None,
    batch: options.Batch = None,
    json: options.Json = False,
) -> None:
    """Compare the emitted C with the simulator.

    MODEL is lowered, its C is compiled and run, and every output byte compared with the simulator's.
    A difference is a bug of mrqc: exit code 70.
    """
    options.check_cpu(cpu)
    images = Images.of(mean, std, resize)
    calibration = calibration_of(target, calib, calib_limit, recipe, images)
    with library.progress.activity("starting") as shown:
        original = load_model(model, shown, batch)
        dataset = None
        if data is not None:
            dataset = images.data(data, original)
        lowered = lowered_model(original, target, shown, calibration)
        inputs = (
            library.report.extreme_and_random_inputs(lowered, samples)
            if dataset is None
            else library.report.inputs_from_data(lowered, dataset, samples)
        )
        shown.describe("compiling and running")
        result = library.report.verify_c(lowered, inputs, compiler=compiler, sanitize=sanitize, progress=shown.advance)
    if json:
        write_json(result.as_json())
    else:
        compared = f"{result.samples} samples, {result.total_bytes} bytes"
        write_result(f"{compared}, {result.differing_bytes} differing bytes\n")
    if result.differing_bytes:
        complain(f"this is a bug in mrqc: the C differs from the simulator: {result.first_difference}")
        raise typer.Exit(BUG)
