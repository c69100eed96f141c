"""``mrqc ablate``: what each technique of re-quantization contributes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrqc.cli import library, options
from mrqc.cli.console import note, write_json, write_result
from mrqc.cli.modules import Images, calibration_of, load_model
from mrqc.errors import UsageError
from mrqc.files import check_destination, write_files

PICTURES = (".svg", ".html")


def ablate(
    model: options.Model,
    target: Annotated[
        str, typer.Option("--target", metavar="NAME|FILE.toml", help="What to lower to; see mrqc targets.")
    ],
    data: Annotated[
        Path,
        typer.Option("--data", metavar="PATH", help="A folder of images, an .npz with x and y, or an .npy."),
    ],
    calib: options.Calib = None,
    calib_limit: options.CalibLimit = None,
    mean: options.Mean = None,
    std: options.Std = None,
    resize: options.Resize = False,
    label_offset: options.LabelOffset = None,
    limit: options.Limit = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.svg|.html", help="Also draw the rungs, .html with the table.")
    ] = None,
    by_pass: Annotated[
        bool,
        typer.Option("--by-pass", help="Follow a recipe instead, and compare the module behind each of its passes."),
    ] = False,
    recipe: options.RecipeChoice = None,
    batch: options.Batch = None,
    json: options.Json = False,
) -> None:
    """Measure what each technique of re-quantization contributes, on data.

    MODEL is moved to the target naively, with each technique alone, and with all up to it; each result is compared
    with MODEL on the same samples. With --by-pass it is what the passes of one recipe cost, one after the other.
    """
    _check(plot, by_pass, recipe is not None)
    images = Images.of(mean, std, resize)
    calibration = calibration_of(target, calib, calib_limit, None, images)
    with library.progress.activity("starting") as shown:
        scheme = library.targets.load_target(target)
        original = load_model(model, shown, batch)
        dataset = images.data(data, original)
        samples = calibration.samples(original)
        shown.describe("running the original")
        yardstick = library.report.Yardstick(
            original, dataset, label_offset=label_offset, limit=limit, progress=shown.advance, remark=note
        )
        if by_pass:
            pipeline = library.passes.pipeline_for(scheme, recipe.value if recipe else None)
            passes = library.passes.parse_pipeline(pipeline, scheme)
            followed = library.report.attribute(original, passes, yardstick, samples, shown.report)
            text, facts = library.report.format_attribution(followed), followed.as_json()
        else:
            result = library.report.ablate(original, scheme, yardstick, samples, progress=shown.report)
            text, facts = library.report.format_ablation(result), result.as_json()
            if plot is not None:
                draw = library.report.plot_svg if plot.suffix == ".svg" else library.report.plot_html
                write_files({plot: draw(result)})
    if json:
        write_json(facts)
    else:
        write_result(text)


def _check(plot: Path | None, by_pass: bool, has_recipe: bool) -> None:
    """Raise UsageError where options contradict each other, InputError where the picture cannot be written."""
    if has_recipe and not by_pass:
        raise UsageError("--recipe: the ladder of techniques has all recipes at its end; --by-pass follows one")
    if plot is None:
        return
    if by_pass:
        raise UsageError("--plot: it draws the ladder of techniques, which --by-pass does not measure")
    if plot.suffix not in PICTURES:
        raise UsageError(f"--plot: {plot} must end in {' or '.join(PICTURES)}")
    check_destination(plot)
