"""What re-quantization costs, and what is lost: shared models on hardware targets by the named recipes.

    python benchmarks/requantization.py [--model NAME …] [--target NAME …] [--recipe NAME …] [--limit N] [--write]

Prints a line for each as it comes: accuracy and distance to the original in the integer simulation, the seconds of
lowering and the peak of its resident memory, measured in a process of its own. ``--write`` puts the rows into the table
in docs/requantization.md, where rows that were not measured now stay as they are. Models and data are those that the
tests use: MRQC_ASSETS names their folder. ``fast`` sees no data but synthetic pictures, the other recipes the
calibration set.
"""

import argparse
import csv
import os
import re
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from mrqc.calibration import CalibrationSamples, npz_bytes, only_input, open_data, synthetic_inputs
from mrqc.compiler import load, lower, print_module
from mrqc.errors import TargetError
from mrqc.ir import Module
from mrqc.passes import RECIPES
from mrqc.report import Fidelity, Yardstick
from mrqc.targets import BUILTIN_TARGETS, load_target

ROOT = Path(__file__).resolve().parent.parent
ASSETS = Path(os.environ.get("MRQC_ASSETS", ROOT.parent / "shared"))
PAGE = ROOT / "docs" / "requantization.md"
START, END = "<!-- results: benchmarks/requantization.py -->\n", "<!-- /results -->"
HEADER = (
    *("model", "target", "recipe", "top-1 original", "top-1", "lost / gained", "agreement", "KL"),
    *("SQNR dB", "seconds", "peak MiB"),
)
SYNTHETIC_COUNT = 64


@dataclass(frozen=True)
class Subject:
    """A model, its data below the folder of data, and whether their labels are its classes."""

    file: str
    data: str | None
    labelled: bool = True

    @property
    def name(self) -> str:
        return self.file.rpartition(".")[0]


SUBJECTS = (
    Subject("mobilenet_v2_qat_u8.tflite", "imagenet"),
    Subject("mobilenet_v2_ptq_s8.tflite", "imagenet"),
    Subject("mobilenet_v1_025_128_qat_u8.tflite", "imagenet"),
    Subject("resnet8_s8.tflite", "cifar10"),
    Subject("resnet8.qdq.u8.onnx", "cifar10"),
    Subject("resnet8.qdq.s8_pc.onnx", "cifar10"),
    Subject("kws_dscnn_s8.tflite", "kws"),
    Subject("vww_mobilenet_s8.tflite", "imagenet", labelled=False),
    Subject("ad_autoencoder_s8.tflite", None),
)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    model: str
    target: str
    recipe: str
    original: float | None
    fidelity: Fidelity | None
    seconds: float
    megabytes: float
    refusal: str = ""

    def cells(self) -> list[str]:
        found = self.fidelity
        start = [self.model, self.target, self.recipe]
        if found is None:
            return [*start, _text(self.original, ".4f"), f"refused: {self.refusal}", *[""] * 6]
        return [
            *start,
            _text(self.original, ".4f"),
            _text(found.top1, ".4f"),
            "" if found.lost is None else f"{found.lost} / {found.gained}",
            _text(found.agreement, ".4f"),
            _text(found.kl, ".4f"),
            _text(found.sqnr_db, ".1f"),
            f"{self.seconds:.1f}",
            f"{self.megabytes:.0f}",
        ]


def _text(number: float | None, form: str) -> str:
    return "" if number is None else format(number, form)


def data_of(subject: Subject, part: str, module: Module, folder: Path) -> Path:
    """Return where the samples of a model are; images of another size and synthetic ones are written to ``folder``."""
    value = only_input(module)
    if subject.data is None:
        # Other seeds than calibration without data has.
        codes = synthetic_inputs(module, SYNTHETIC_COUNT, seed=1 if part == "calib" else 2)[value.name]
        return write_samples(folder / f"{part}.npz", {"x": codes})
    if subject.data != "imagenet":
        return ASSETS / "data" / subject.data / f"{part}.npz"
    images = ASSETS / "data" / "imagenet" / part
    size = value.type.shape[1:3]
    if subject.labelled and size == (224, 224):
        return images
    labels = images / "labels.csv"
    if labels.exists():
        with labels.open(encoding="utf-8", newline="") as file:
            entries = [(entry["file"], int(entry["label"])) for entry in csv.DictReader(file)]
    else:
        entries = [(path.name, 0) for path in sorted(images.glob("*.jpg"))]
    arrays = {"x": np.stack([resized(images / name, size) for name, _ in entries])}
    if subject.labelled and labels.exists():
        arrays["y"] = np.array([label for _, label in entries])
    return write_samples(folder / f"{part}.npz", arrays)


def resized(path: Path, size: tuple[int, ...]) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR))


def write_samples(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    path.write_bytes(npz_bytes(arrays))
    return path


def lowered(model: Path, target: str, recipe: str, calibration: Path | None, result: Path) -> tuple[float, float, str]:
    """Lower a model into a file; return seconds, the peak of memory in MiB, and why it was refused if it was."""
    os.environ["MRQC_CACHE"] = "off"
    module = load(model)
    start = time.perf_counter()
    refusal = ""
    try:
        samples = None if calibration is None else CalibrationSamples.open(calibration, module)
        module = lower(module, target, samples, recipe=recipe)
    except TargetError as error:
        refusal = str(error.diagnostics[0] if error.diagnostics else error)
    seconds = time.perf_counter() - start
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if not refusal:
        result.write_text(print_module(module), encoding="utf-8")
    return seconds, megabytes, refusal


def measure(subject: Subject, targets: list[str], recipes: list[str], limit: int | None) -> list[Row]:
    model = ASSETS / "models" / subject.file
    module = load(model)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        calibration = data_of(subject, "calib", module, folder)
        data = open_data(data_of(subject, "val", module, folder), only_input(module))
        yardstick = Yardstick(module, data, limit=limit)
        for target in targets:
            for recipe in recipes:
                seen = None if recipe == "fast" else calibration
                # A process for each, because the peak of memory never falls.
                with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                    work = pool.submit(lowered, model, target, recipe, seen, folder / "lowered.mrq")
                    seconds, megabytes, refusal = work.result()
                found = None if refusal else yardstick.measure(load(folder / "lowered.mrq"))
                rows.append(Row(subject.name, target, recipe, yardstick.top1, found, seconds, megabytes, refusal))
                print(f"| {' | '.join(rows[-1].cells())} |", flush=True)
    return rows


def rewrite(page: str, rows: list[Row]) -> str:
    """Return the page with new rows in its table; others stay."""
    before, _, rest = page.partition(START)
    old, _, after = rest.partition(END)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in old.splitlines()[2:]]
    cells = {tuple(line[:3]): line for line in lines} | {(r.model, r.target, r.recipe): r.cells() for r in rows}
    models, recipes = [subject.name for subject in SUBJECTS], list(RECIPES)

    def order(key: tuple[str, ...]) -> tuple[int, int, int]:
        return models.index(key[0]), list(BUILTIN_TARGETS).index(key[1]), recipes.index(key[2])

    known = [key for key in cells if key[0] in models and key[1] in BUILTIN_TARGETS and key[2] in recipes]
    table = [HEADER, ["---"] * len(HEADER), *(cells[key] for key in sorted(known, key=order))]
    text = "".join(re.sub(r" +", " ", f"| {' | '.join(line)} |\n") for line in table)
    return f"{before}{START}{text}{END}{after}"


def main() -> None:
    hardware = [name for name in BUILTIN_TARGETS if not load_target(name).is_runtime]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", choices=[s.name for s in SUBJECTS], metavar="NAME", help="all")
    parser.add_argument("--target", nargs="+", choices=hardware, default=hardware, metavar="NAME", help="all hardware")
    parser.add_argument("--recipe", nargs="+", choices=list(RECIPES), default=["fast", "default"], metavar="NAME")
    parser.add_argument("--limit", type=int, help="only the first N validation samples")
    parser.add_argument("--write", action="store_true", help="put the rows into docs/requantization.md")
    options = parser.parse_args()
    print(f"| {' | '.join(HEADER)} |")
    for subject in SUBJECTS:
        if options.model is None or subject.name in options.model:
            rows = measure(subject, options.target, options.recipe, options.limit)
            if options.write:
                PAGE.write_text(rewrite(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")


if __name__ == "__main__":
    main()
