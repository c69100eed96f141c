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
    batch: options.Batch = None,
    json: options.Json = False,
) -> None:
    """Measure what each technique of re-quantization contributes, on data.

    MODEL is moved to the target naively, with each technique alone, and with all up to it; each result is compared
    with MODEL on the same samples.
    """
    if plot is not None:
        if plot.suffix not in PICTURES:
            raise UsageError(f"--plot: {plot} must end in {' or '.join(PICTURES)}")
        check_destination(plot)
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
        result = library.report.ablate(original, scheme, yardstick, samples, progress=shown.report)
    if plot is not None:
        draw = library.report.plot_svg if plot.suffix == ".svg" else library.report.plot_html
        write_files({plot: draw(result)})
    if json:
        write_json(result.as_json())
    else:
        write_result(library.report.format_ablation(result))
