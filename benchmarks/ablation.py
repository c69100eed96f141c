"""Whether ``mrqc ablate`` ranks the techniques on MobileNetV2 as the experiments did that mrqc started from.

    python benchmarks/ablation.py [--limit N] [--calib-limit N] [--target NAME …] [--whole] [--plot FOLDER]

Measures ladders on the first N validation images and prints their tables: the rungs whose order is known and those that
these are measured against, or with --whole all of them, which takes an hour for each target. Then, for each pair of
rungs whose order is known (docs/requantization.md, "What fails, and why"), it says whether KL has that order, and exits
with 1 if one has not. Models and data are those that the tests use: MRQC_ASSETS names their folder.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from mrqc.calibration import CalibrationSamples, only_input, open_data
from mrqc.compiler import load
from mrqc.report import Ablation, Yardstick, ablate, format_ablation, plot_svg
from mrqc.targets import load_target

ASSETS = Path(os.environ.get("MRQC_ASSETS", Path(__file__).resolve().parent.parent.parent / "shared"))

# Better first. Names of rungs.
ORDERS = {
    "sym-npu": (
        ("naive + correct-weights", "naive"),
        ("naive + clip-weights", "naive"),
        ("… + correct-biases-on-data", "naive + correct-weights"),
        ("… + correct-biases-on-data", "… + correct-biases"),
        ("… + correct-biases", "naive + correct-weights"),
        ("original weights", "… + correct-biases"),
    ),
    "pow2-npu": (
        ("free multipliers", "naive"),
        ("naive + fold-rounding-error", "naive"),
        ("naive + joint-scales", "naive"),
        ("… + joint-scales", "… + fold-rounding-error"),
        ("… + correct-biases-on-data", "… + clip-weights"),
        ("… + correct-biases-on-data", "… + correct-biases"),
        ("original weights", "original weights, joint scales"),
    ),
}


def divergences(ablation: Ablation) -> dict[str, float]:
    return {row.rung.name: row.fidelity.kl for row in ablation.rows if row.fidelity.kl is not None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=400, help="validation images")
    parser.add_argument("--calib-limit", type=int, default=100, help="calibration images")
    parser.add_argument("--target", nargs="+", choices=list(ORDERS), default=list(ORDERS))
    parser.add_argument("--whole", action="store_true", help="all rungs")
    parser.add_argument("--plot", type=Path, help="a folder for the pictures")
    options = parser.parse_args()
    module = load(ASSETS / "models" / "mobilenet_v2_qat_u8.tflite")
    data = open_data(ASSETS / "data" / "imagenet" / "val", only_input(module))
    samples = CalibrationSamples.open(ASSETS / "data" / "imagenet" / "calib", module, limit=options.calib_limit)
    yardstick = Yardstick(module, data, limit=options.limit)
    wrong = 0
    for target in options.target:
        pairs, start = ORDERS[target], time.perf_counter()
        only = None if options.whole else {name for pair in pairs for name in pair}
        ablation = ablate(module, load_target(target), yardstick, samples, only=only)
        print(f"{format_ablation(ablation)}\n{time.perf_counter() - start:.0f} s\n", flush=True)
        if options.plot is not None:
            (options.plot / f"{module.name}-{target}.svg").write_text(plot_svg(ablation), encoding="utf-8")
        kl = divergences(ablation)
        for better, worse in pairs:
            holds = kl[better] < kl[worse]
            wrong += not holds
            print(f"{'yes' if holds else 'NO '}  {better} ({kl[better]:.4f}) before {worse} ({kl[worse]:.4f})")
        print()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
