"""``mrqc evaluate``: accuracy, and agreement with the original."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrqc.cli import library, options
from mrqc.cli.console import note, write_json, write_result
from mrqc.cli.modules import Images, calibration_of, load_model, lowered_model
from mrqc.errors import UsageError

if TYPE_CHECKING:
    from mrqc.report import Evaluation


def evaluate(
    model: options.Model,
    data: Annotated[
        Path,
        typer.Option("--data", metavar="PATH", help="A folder of images, an .npz with x and y, or an .npy."),
    ],
    target: options.Target = None,
    engine: options.EngineChoice = options.Engine.SIMULATOR,
    mean: options.Mean = None,
    std: options.Std = None,
    resize: options.Resize = False,
    label_offset: options.LabelOffset = None,
    limit: options.Limit = None,
    calib: options.Calib = None,
    calib_limit: options.CalibLimit = None,
    recipe: options.RecipeChoice = None,
    batch: options.Batch = None,
    json: options.Json = False,
) -> None:
    """Measure accuracy on data.

    MODEL and what it becomes on the target run on the same samples, and their answers are compared. Without
    --target, MODEL is measured alone.
    """
    if engine is options.Engine.C and target is None:
        raise UsageError("--engine c: give --target; the original runs in its interpreter")
    images = Images.of(mean, std, resize)
    calibration = calibration_of(target, calib, calib_limit, recipe, images)
    with library.progress.activity("starting") as shown:
        original = load_model(model, shown, batch)
        dataset = images.data(data, original)
        lowered = None if target is None else lowered_model(original, target, shown, calibration)
        shown.describe("evaluating")
        result = library.report.evaluate(
            original,
            lowered,
            dataset,
            engine=engine.value,
            label_offset=label_offset,
            limit=limit,
            progress=shown.advance,
            remark=note,
        )
    if json:
        write_json(result.as_json())
    else:
        write_result(_table(result))


def _table(result: Evaluation) -> str:
    rows = [("images", str(result.images))]
    rows += _accuracy_rows("top-1", result.top1, result.top1_original, result.top1_loss)
    rows += _accuracy_rows("top-5", result.top5, result.top5_original, result.top5_loss)
    if result.agreement is not None:
        rows.append(("agreement", f"{result.agreement:.4f}"))
    if result.kl is not None:
        rows.append(("KL divergence", f"{result.kl:.6f}"))
    rows += [
        (name, f"{count} images")
        for name, count in (("lost", result.lost), ("gained", result.gained))
        if count is not None
    ]
    rows.append(("images per second", f"{result.images_per_second:.2f}"))
    return library.report.format_table(rows)


def _accuracy_rows(
    name: str, lowered: float | None, original: float | None, loss: float | None
) -> list[tuple[str, str]]:
    if original is None:
        return []
    if lowered is None or loss is None:
        return [(f"{name} original", f"{original:.4f}")]
    return [(name, f"{lowered:.4f} (original {original:.4f}, loss {loss:.4f})")]
