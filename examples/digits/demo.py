"""From a uint8 asymmetric ONNX model to verified C for an int8 symmetric power-of-two NPU, in five steps.

Runs the same commands that a person would type, shows them, and stops at the first one that fails.
"""

import ctypes
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = "examples/digits/digits.onnx"
TEST_DATA = "examples/digits/test.npz"
TARGET = "pow2-npu"
BUILD = "build/digits"
KERNEL = f"{BUILD}/kernel.c"
LIBRARY = f"{BUILD}/kernel.so"
STRICT_FLAGS = "-std=c99 -pedantic -Wall -Wextra -Wconversion -Werror -O2"
NUMPY_DTYPES = {"i8": np.int8, "u8": np.uint8, "i16": np.int16}
SHOWN_DIGITS = (2, 3, 5, 8)
SHADES = " .:-=+*#%@"
LARGEST_PIXEL = 16

Json = dict[str, Any]

console = Console(highlight=False)


def heading(number: int, title: str) -> None:
    """Start a step."""
    console.print(f"\n[bold cyan]{number}  {title}[/]")


def run(command: str) -> str:
    """Show a command, run it in the repository, and return its standard output; ends the demo if it fails."""
    console.print(f"   $ {command}", style="dim", soft_wrap=True, markup=False)
    words = shlex.split(command)
    if words[0] == "mrqc":
        # The console script beside this Python, whether or not the environment is activated.
        words[0] = str(Path(sys.executable).with_name("mrqc"))
    try:
        finished = subprocess.run(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError:
        sys.exit(f"   there is no program {words[0]}")
    if finished.returncode != 0:
        console.print(finished.stdout, markup=False)
        console.print(f"   [bold red]failed with exit code {finished.returncode}[/]")
        sys.exit(finished.returncode)
    return finished.stdout


def run_json(command: str) -> Json:
    """Run a command of mrqc that prints one JSON object."""
    return json.loads(run(f"{command} --json"))


def lower() -> Json:
    """Step 1: write kernel.c and kernel.h."""
    heading(1, "Lower to the target's integer scheme and emit C")
    (REPOSITORY / BUILD).mkdir(parents=True, exist_ok=True)
    facts = run_json(f"mrqc lower {MODEL} --target {TARGET} -o {KERNEL}")
    lines = len((REPOSITORY / KERNEL).read_text().splitlines())
    console.print(
        f"   {lines} lines of C in {facts['seconds']:.2f} s; "
        f"{facts['arena_bytes']} bytes of RAM, {facts['constant_bytes']} bytes of constants"
    )
    return facts


def compile_kernel() -> None:
    """Step 2: compile with every warning an error."""
    heading(2, "Compile, every warning an error")
    run(f"{os.environ.get('CC') or 'cc'} {STRICT_FLAGS} -shared -fPIC {KERNEL} -o {LIBRARY}")
    console.print("   no warnings")


def verify() -> None:
    """Step 3: the compiled C against the simulator."""
    heading(3, "Verify the C against the bit-exact simulator")
    facts = run_json(f"mrqc verify {MODEL} --target {TARGET} --samples 64")
    differing = facts["differing_bytes"]
    console.print(f"   {facts['samples']} inputs, {facts['total_bytes']} output bytes, {differing} differ")
    if differing:
        sys.exit("   the compiled C and the simulator disagree")


def evaluate() -> None:
    """Step 4: what the move to the target cost, on images that neither training nor calibration saw."""
    heading(4, "Evaluate on held-back images")
    facts = run_json(f"mrqc evaluate {MODEL} --target {TARGET} --data {TEST_DATA}")
    images = facts["images"]
    table = Table(title=f"{images} handwritten digits", title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column("original\nuint8, asymmetric", justify="right")
    table.add_column(f"{TARGET}\nint8, symmetric", justify="right")
    accuracies = (facts["top1_original"], facts["top1"])
    table.add_row("right answers", *(f"{accuracy:.2%}" for accuracy in accuracies))
    table.add_row("wrong answers", *(str(round(images * (1 - accuracy))) for accuracy in accuracies))
    table.add_row("same answer as the original", "", f"{facts['agreement']:.2%}")
    table.add_row("images per second on this computer", "", f"{facts['images_per_second']:,.0f}")
    console.print(table)
    console.print(f"   accuracy lost: {100 * facts['top1_loss']:.2f} percentage points")


def classify(facts: Json, image: npt.NDArray[np.float32]) -> int:
    """The digit that the compiled kernel sees in one image of pixel values."""
    source, result = facts["inputs"][0], facts["outputs"][0]
    source_dtype = NUMPY_DTYPES[source["dtype"]]
    limits = np.iinfo(source_dtype)
    codes = np.rint(image / source["scale"]) + source["zero_point"]
    codes = np.ascontiguousarray(np.clip(codes, limits.min, limits.max).astype(source_dtype))
    logits = np.zeros(result["shape"], NUMPY_DTYPES[result["dtype"]])
    arena = np.zeros(max(1, facts["arena_bytes"]), np.uint8)
    kernel = ctypes.CDLL(str(REPOSITORY / LIBRARY)).kernel_run
    kernel.restype = None
    kernel(*(ctypes.c_void_p(array.ctypes.data) for array in (codes, logits, arena)))
    return int(logits.argmax())


def drawing(image: npt.NDArray[np.float32]) -> str:
    """One image as text, two characters per pixel."""
    darkness = np.rint(image[0] * (len(SHADES) - 1) / LARGEST_PIXEL).astype(int)
    return "\n".join("".join(SHADES[shade] * 2 for shade in row) for row in darkness)


def show_digits(facts: Json) -> None:
    """Step 5: a few images, and what the compiled kernel says they are."""
    heading(5, "Look for yourself: what the compiled C says")
    with np.load(REPOSITORY / TEST_DATA) as data:
        chosen = [int(np.argmax(data["y"] == digit)) for digit in SHOWN_DIGITS]
        images = data["x"][chosen]
    grid = Table.grid(padding=(0, 1))
    grid.add_row(*(drawing(image) for image in images))
    answers = [classify(facts, image) for image in images]
    grid.add_row(
        *(
            f"[green]{answer}[/]" if answer == label else f"[red]{answer}, should be {label}[/]"
            for answer, label in zip(answers, SHOWN_DIGITS, strict=True)
        )
    )
    console.print(grid)
    console.print(f"\n   The code is in {KERNEL}. It is meant to be read.\n")


def main() -> None:
    """Run the five steps."""
    console.print(f"[bold]mrqc[/]: {MODEL} for {TARGET}", soft_wrap=True)
    facts = lower()
    compile_kernel()
    verify()
    evaluate()
    show_digits(facts)


if __name__ == "__main__":
    main()
